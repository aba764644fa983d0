"""How long jobs will take, learned from finished ones, and when each waiting one will be done."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from statistics import median

from modules.schema.events import Finished
from modules.service.jobs import InLine, Job, Jobs
from modules.service.measures import measure

_LOADING = "load"


@dataclass(frozen=True)
class QueueItem:
    """A running (position 0) or waiting job; `seconds` until it will be done and `takes`, the seconds it takes by
    itself; None when not known. `number` tells jobs apart and opens nothing.

    Holds nothing of the job's content: it may be shown to anybody, without id and owner.
    """

    job_id: str
    owner: str
    state: str
    position: int
    seconds: float | None
    takes: float | None = None
    number: int = 0
    training: bool = False


class Estimates:
    """Median of the last jobs' speed for each kind of work (for pictures: each checkpoint and precision)."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    def learn(self, job: Job, end: Finished) -> None:
        """Take a completed job as a measurement; loading the model is left out. Scripts vary too much."""
        size = measure(job.request, job.model)
        seconds = end.seconds - end.timings.get(_LOADING, 0.0)
        is_plain = getattr(job.request, "kind", "") != "script"
        if end.reason == "done" and seconds > 0 and size.what and size.units > 0 and is_plain:
            self._jobs.add_speed(size.what, seconds / size.units)

    def seconds(self, job: Job) -> float | None:
        """Expected length of a job, or None when nothing like it has been run."""
        size = measure(job.request, job.model)
        speed = self._speed(size.what)
        return None if speed is None else speed * size.units

    def queue(
        self, line: Iterable[InLine], left: Callable[[str], float | None], *, engines: int = 1, paused: bool = False
    ) -> list[QueueItem]:
        """Times until the end of each job of `line` (in running order), drawn by so many engines; `left` is what a
        running one says of itself. While the queue is paused nobody knows when what waits will be done.

        Trainings wait for each other only, and nothing waits for them.
        """
        speed = cache(self._speed)
        lanes = {True: _Lane(1), False: _Lane(engines)}
        items: list[QueueItem] = []
        for job in line:
            pace = speed(job.what)
            takes = None if pace is None else pace * job.units
            said = left(job.job_id) if job.state == "running" else None
            done = lanes[job.training].done(takes if said is None else said)
            known = math.isfinite(done) and not (paused and job.position)
            items.append(
                QueueItem(
                    job_id=job.job_id,
                    owner=job.owner,
                    state=job.state,
                    position=job.position,
                    seconds=done if known else None,
                    takes=takes,
                    number=job.number,
                    training=job.training,
                )
            )
        return items

    def _speed(self, what: str) -> float | None:
        speeds = self._jobs.speeds(what) if what else []
        return median(speeds) if speeds else None


class _Lane:
    """Engines that take one job after another, each the next that is free; infinity is "not known"."""

    def __init__(self, engines: int) -> None:
        self._free = [0.0] * max(engines, 1)

    def done(self, seconds: float | None) -> float:
        """When the next job, of so many seconds, will be done."""
        end = self._free[0] + (math.inf if seconds is None else seconds)
        heapq.heapreplace(self._free, end)
        return end
