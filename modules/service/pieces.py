"""What one engine is given of a job at once: a part of its plan, or some batches of one."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from modules.schema.events import Event, ImageDone, Progress
from modules.schema.request import GenerationRequest
from modules.service.jobs import Job
from modules.service.plans import Part


@dataclass
class Piece:
    """Pictures `start` to `start + count` of a part whose first picture is number `offset` of the job.

    `job`: the job with the whole part's request and model. `line`: what its engine has said and the job's readers
    have not got yet, because an earlier piece is still being drawn. `now`: its newest progress.
    `engine`: who draws it. `lost`: that engine died; `again_at` is the first picture that is drawn again, and
    `deaths` counts how often it was that one.
    """

    job: Job
    part: Part
    offset: int
    start: int
    count: int
    line: deque[Event] = field(default_factory=deque[Event])
    now: Progress | None = None
    engine: str = ""
    ended: bool = False
    lost: bool = False
    again_at: int = -1
    deaths: int = 0

    @property
    def first(self) -> int:
        """Number in the job of its first picture."""
        return self.offset + self.start

    @property
    def order(self) -> Part:
        """What the engine is asked for: the part with the seeds that those pictures have in the whole of it."""
        request = self.part.request
        if not isinstance(request, GenerationRequest) or self.count == request.image_count:
            return self.part
        seed, subseed = request.image_seeds(self.start)
        own = request.replace(seed=seed, subseed=subseed, batch_count=self.count // request.batch_size)
        return Part(own, self.part.model, self.part.upscalers, self.part.files)

    @property
    def held_bytes(self) -> int:
        """Size of the pictures that wait for an earlier piece."""
        return sum(len(event.pixels) for event in self.line if isinstance(event, ImageDone))

    def lose(self, delivered: set[int]) -> bool:
        """Its engine has died: what is there stays, and the piece now begins with the first batch that is missing.

        False: nothing of it is missing.
        """
        self.engine, self.now = "", None
        missing = next((n for n in range(self.first, self.first + self.count) if n not in delivered), None)
        if self.count and missing is None:
            return False
        missing = self.first if missing is None else missing
        self.deaths = self.deaths + 1 if missing == self.again_at else 1
        self.again_at, self.lost = missing, True
        request = self.part.request
        if isinstance(request, GenerationRequest):
            done = (missing - self.first) // request.batch_size * request.batch_size
            self.start, self.count = self.start + done, self.count - done
        return True
