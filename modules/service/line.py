"""The queue as people see it, and what they may do to it: everybody to their own jobs, the machine's owner to all."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from modules.schema.errors import BadRequest
from modules.schema.events import Notice, Progress
from modules.schema.orders import AnyOrder
from modules.schema.request import GenerationRequest
from modules.schema.scripts import ScriptRequest
from modules.schema.training import TrainingRequest
from modules.service.estimates import Estimates, QueueItem
from modules.service.jobs import Job, Jobs
from modules.service.streams import Streams
from modules.service.turns import Move

_KEPT_SECONDS = 0.5
# A very long queue's list is kept a while although something has changed: at most a fifth of the time goes to it.
_LONG_SECONDS = 0.02
_REST = 4
_LONGEST_REST = 2.0


class Submit(Protocol):
    """Puts an order into the queue."""

    def __call__(self, request: AnyOrder, owner: str, *, save: bool | None = None) -> Job: ...


@dataclass(frozen=True)
class OwnJob:
    """An open job as its own person sees it: its place, the order itself, how far it is while it runs, and how many
    pictures it has made."""

    item: QueueItem
    order: AnyOrder
    progress: Progress | None
    images: int


@dataclass(frozen=True)
class _Kept:
    """The queue as it was; good `until` then where nothing has changed, else until the other time."""

    items: list[QueueItem]
    changes: int
    until: float
    rests_until: float


class Line:
    """The queue of one program.

    `submit` and `cancel` are the app's; `wake` makes the engines look for a job; `engines` is how many draw.
    """

    def __init__(
        self,
        jobs: Jobs,
        streams: Streams,
        estimates: Estimates,
        *,
        submit: Submit,
        cancel: Callable[[str, str], None],
        wake: Callable[[], None],
        engines: Callable[[], int] = lambda: 1,
    ) -> None:
        self._jobs = jobs
        self._streams = streams
        self._estimates = estimates
        self._submit = submit
        self._cancel = cancel
        self._wake = wake
        self._engines = engines
        self._lock = threading.Lock()
        self._kept: _Kept | None = None

    # Looking

    def items(self) -> list[QueueItem]:
        """Everybody's running and waiting jobs in running order, trainings last, with the seconds until each is done.

        However many people look, it is worked out anew only where something has changed, or twice a second. Whoever
        gets it leaves it as it is.
        """
        with self._lock:
            changes, now = self._jobs.changes, time.monotonic()
            kept = self._kept
            if kept is None or now >= (kept.until if kept.changes == changes else kept.rests_until):
                kept = self._kept = self._look(changes)
            return kept.items

    def _look(self, changes: int) -> _Kept:
        began = time.thread_time()
        items = self._estimates.queue(
            self._jobs.line(), self.seconds_left, engines=self._engines(), paused=self.paused is not None
        )
        now, took = time.monotonic(), time.thread_time() - began
        rest = min(_REST * took, _LONGEST_REST) if took > _LONG_SECONDS else 0.0
        return _Kept(items, changes, now + max(_KEPT_SECONDS, rest), now + rest)

    def own(self, owner: str, limit: int) -> list[OwnJob]:
        """The person's own jobs among them, with what was asked for."""
        items = [item for item in self.items() if item.owner == owner][:limit]
        orders = self._jobs.orders([item.job_id for item in items])
        return [self._own(item, orders[item.job_id]) for item in items if item.job_id in orders]

    def newest(self, owner: str) -> tuple[str, str] | None:
        """Id and state of the person's newest job, also when it came and went between two looks."""
        return self._jobs.newest(owner)

    def place(self, job: Job) -> tuple[int, int]:
        """(place, how many wait) of a waiting job among those that wait for the same."""
        lane = [item for item in self.items() if item.position and item.training == job.is_training]
        return job.position or 0, max(len(lane), job.position or 0)

    def seconds_left(self, job_id: str) -> float | None:
        """What a running job says of itself."""
        now = self._streams.of(job_id).progress()
        return now.seconds_left if now is not None else None

    @property
    def paused(self) -> float | None:
        """Since when the owner of the machine lets no job begin (seconds since the epoch), or None."""
        return self._jobs.paused

    # Doing, to one's own

    def move(self, job_id: str, owner: str, to: Move | int) -> Job:
        """Move a waiting job among the person's own: to the front, back, one up or down, or to a place (1 is first).

        Raises NotFound, or BadRequest for a job that has begun.
        """
        job = self._jobs.find(job_id, owner)
        if not self._jobs.move(job.id, owner, to):
            raise BadRequest("Only a job that waits can be moved; this one has begun or ended.", "to")
        return self._jobs.get(job.id)

    def repeat(self, job_id: str, owner: str, *, new_seed: bool = False) -> Job:
        """Order the same again, with the same seed or a new one. Raises what ordering it would."""
        job = self._jobs.find(job_id, owner)
        if isinstance(job.request, TrainingRequest):
            raise BadRequest("A training is not repeated but gone on with: use Resume in the Train tab.", "job")
        order = _with_new_seed(job.request) if new_seed else job.request
        return self._submit(order, owner, save=job.save)

    # Doing, as the machine's owner

    def pause(self) -> None:
        """Let no job begin, over restarts too; what runs goes on."""
        self._jobs.pause(True)

    def resume(self) -> None:
        self._jobs.pause(False)
        self._wake()

    def cancel(self, number: int) -> None:
        """Take anybody's job out of the queue, or interrupt it; its person is told. Raises NotFound."""
        job = self._jobs.numbered(number)
        if job.is_open:
            self._streams.of(job.id).publish(Notice("The owner of this machine stopped this job.", "warning"))
            self._cancel(job.id, job.owner)

    def _own(self, item: QueueItem, order: AnyOrder) -> OwnJob:
        if item.state != "running":
            return OwnJob(item, order, None, 0)
        images = len(self._jobs.get(item.job_id).images)
        return OwnJob(item, order, self._streams.of(item.job_id).progress(), images)


def _with_new_seed(order: AnyOrder) -> AnyOrder:
    if isinstance(order, ScriptRequest):
        return order.replace(base=order.base.replace(seed=-1, subseed=-1))
    return order.replace(seed=-1, subseed=-1) if isinstance(order, GenerationRequest) else order
