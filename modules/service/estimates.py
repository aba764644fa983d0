"""How long a job will take, learned from finished ones: seconds for each step x pixel x picture of a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from modules.schema.events import Finished
from modules.schema.parts import SAME_SAMPLER, Hires
from modules.schema.request import GenerationRequest
from modules.schema.samplers import SAMPLERS
from modules.schema.sizes import hires_size
from modules.service.jobs import Job, Jobs

_LOADING = "load"


@dataclass(frozen=True)
class QueueItem:
    """A running (position 0) or waiting job; `seconds` until it will be done, None when not known.

    Holds nothing of the job's content: it may be shown to anybody, without the owner.
    """

    job_id: str
    owner: str
    state: str
    position: int
    seconds: float | None


def work(request: GenerationRequest) -> float:
    """Size of a job: network calls x pixels x pictures, over all its passes."""
    calls = request.steps * SAMPLERS.get(request.sampler).calls_per_step
    if request.image is not None and not request.image.exact_steps:
        calls = max(calls * request.image.denoising_strength, 1)
    hires = request.hires
    first = 0 if hires is not None and hires.picture else calls * request.width * request.height
    return (first + _hires_work(request, hires)) * request.image_count


def _hires_work(request: GenerationRequest, hires: Hires | None) -> float:
    if hires is None:
        return 0.0
    size = hires_size(request.width, request.height, hires)
    sampler = request.sampler if hires.sampler == SAME_SAMPLER else hires.sampler
    calls = (hires.steps or request.steps) * SAMPLERS.get(sampler).calls_per_step
    return calls * size.width * size.height


class Estimates:
    """Median of the last jobs' speed for each checkpoint and precision."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    def learn(self, job: Job, end: Finished) -> None:
        """Take a completed job as a measurement; loading the model is left out."""
        seconds = end.seconds - end.timings.get(_LOADING, 0.0)
        if end.reason == "done" and seconds > 0 and isinstance(job.request, GenerationRequest):
            self._jobs.add_speed(_key(job.request, job), seconds / work(job.request))

    def seconds(self, job: Job) -> float | None:
        """Expected length of a job, or None when nothing like it has been run."""
        request = job.drawing
        speeds = self._jobs.speeds(_key(request, job)) if request is not None else []
        if request is None or not speeds:
            return None
        return median(speeds) * work(request) * job.request.image_count / request.image_count

    def queue(self, jobs: list[Job], left: Callable[[str], float | None]) -> list[QueueItem]:
        """Times until the end of each of `jobs` (in running order); `left` is what a running one says of itself.

        Trainings wait for each other only, and nothing waits for them.
        """
        items: list[QueueItem] = []
        until: dict[bool, float | None] = {True: 0.0, False: 0.0}
        for job in jobs:
            said = left(job.id) if job.state == "running" else None
            own, before = said if said is not None else self.seconds(job), until[job.is_training]
            until[job.is_training] = done = None if before is None or own is None else before + own
            items.append(QueueItem(job.id, job.owner, job.state, job.position or 0, done))
        return items


def _key(request: GenerationRequest, job: Job) -> str:
    return f"{request.precision} {job.model.checkpoint}"
