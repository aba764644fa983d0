"""A job under way: which of its parts runs, what its pictures are so far, and what is made of them at the end."""

from __future__ import annotations

import io
import time
from concurrent.futures import Future
from dataclasses import replace

from PIL import Image

from modules.schema.events import Event, Failed, Finished, ImageSaved, Preview, Progress
from modules.service.finished import FinishedFile, sheet_file
from modules.service.jobs import Job
from modules.service.pictures import Pictures
from modules.service.planner import Planner
from modules.service.plans import Part, Plan


class Course:
    """`first`: number of the running part's first picture. `part_job`: the job with that part's request and model.

    `saved`: what is being saved, in order. Parts whose pictures are all there already (a job that was lost and runs
    again) are left out.
    """

    def __init__(self, job: Job, planner: Planner, pictures: Pictures) -> None:
        self.job = job
        self.part_job = job
        self.first = 0
        self.interrupted = False
        self.saved: list[Future[list[Event]]] = []
        self._planner = planner
        self._pictures = pictures
        self._plan: Plan | None = None
        self._next = 0
        self._began = time.monotonic()
        self._seconds = 0.0

    @property
    def has_sheets(self) -> bool:
        """Whether something may be made of the pictures; a job in one part has none."""
        return self._plan is not None and len(self._plan.sizes) > 1

    def next_part(self, delivered: set[int]) -> Part | None:
        """The next part that has something to draw, or None; raises UserErrors."""
        if self._plan is None:
            self._plan = self._planner.plan(self.job.request)
        sizes = self._plan.sizes
        while self._next < len(sizes):
            first = sum(sizes[: self._next])
            index, self._next = self._next, self._next + 1
            size = sizes[index]
            if size and all(number in delivered for number in range(first, first + size)):
                continue
            if self._plan.in_order:
                self._pictures.flush()
            part = self._plan.part(index, self)
            self.first = first
            save = self.job.save and self._plan.saves_cells
            lossless = self._plan.in_order or not self._plan.saves_cells
            self.part_job = replace(self.job, request=part.request, model=part.model, save=save, lossless=lossless)
            return part
        return None

    def placed(self, event: Progress | Preview) -> Progress | Preview:
        """What a part says of itself, as news of the whole job."""
        total = self.job.request.image_count
        if not self.has_sheets or not total:
            return event
        if isinstance(event, Preview):
            return replace(event, image=self.first + event.image)
        fraction = (self.first + event.fraction * event.images) / total
        spent = time.monotonic() - self._began
        left = spent * (1 - fraction) / fraction if fraction > 0 else None
        return replace(event, image=self.first + event.image, images=total, fraction=fraction, seconds_left=left)

    def ended(self, ending: Failed | Finished) -> Failed | Finished:
        """A part's ending, as far as it ends the job: times are summed up, an interrupt is not lost between parts."""
        if isinstance(ending, Failed):
            return ending
        self._seconds += ending.seconds
        reason = "interrupted" if self.interrupted else ending.reason
        return replace(ending, seconds=self._seconds, reason=reason)

    def sheets(self) -> list[FinishedFile]:
        """What the script makes of the pictures; runs where pictures are saved, after them."""
        if self._plan is None:
            return []
        count = self.job.request.image_count
        made = self._plan.sheets(self)
        return [
            sheet_file(sheet, count + n, self.infotext(sheet.part), kind=sheet.kind) for n, sheet in enumerate(made)
        ]

    # What a script sees

    def pictures(self, part: int) -> list[Image.Image]:
        """The pictures of a part that are saved, in order."""
        return [self._opened(image) for image in self._images(part)]

    def infotext(self, part: int) -> str:
        """The text of a part's first picture, or ""."""
        return next((image.infotext for image in self._images(part)), "")

    def _images(self, part: int) -> list[ImageSaved]:
        assert self._plan is not None
        first = sum(self._plan.sizes[:part])
        numbers = range(first, first + self._plan.sizes[part])
        done = [future.result() for future in self.saved if future.done() and not future.exception()]
        events = [*self.job.images, *(event for events in done for event in events)]
        images = {event.index: event for event in events if isinstance(event, ImageSaved) and not event.sheet}
        return [images[number] for number in numbers if number in images]

    def _opened(self, image: ImageSaved) -> Image.Image:
        with Image.open(io.BytesIO(self._pictures.data(image.name))) as picture:
            return picture.convert("RGB")
