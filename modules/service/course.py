"""A job under way: what of it is given to which engine, what its pictures are so far, and what is made of them."""

from __future__ import annotations

import io
import time
from collections import Counter
from concurrent.futures import Future
from dataclasses import replace

from PIL import Image

from modules.schema.events import Event, Failed, Finished, ImageSaved, Preview, Progress
from modules.schema.request import GenerationRequest
from modules.service.finished import FinishedFile, sheet_file
from modules.service.jobs import Job
from modules.service.pictures import Pictures
from modules.service.pieces import Piece
from modules.service.planner import Planner
from modules.service.plans import Part, Plan

_MOST_BATCHES = 8
_MOST_HELD_BYTES = 1 << 29


class Course:
    """`pieces`: those that are drawn, or wait for an earlier one to be handed on, in the order of their pictures.

    `engines`: how many may draw at once. `delivered`: numbers of the pictures that are there. `saved`: what is being
    saved, in order. Parts whose pictures are all there already (a job that was lost and runs again) are left out.
    """

    def __init__(self, job: Job, planner: Planner, pictures: Pictures, engines: int = 1) -> None:
        self.job = job
        self.pieces: list[Piece] = []
        self.delivered = {image.index for image in job.images}
        self.saved: list[Future[list[Event]]] = []
        self._planner = planner
        self._pictures = pictures
        self._engines = engines
        self._plan: Plan | None = None
        self._next = 0
        self._part: Part | None = None
        self._part_job = job
        self._offset = 0
        self._at = 0
        self._began = time.monotonic()
        self._drew: set[str] = set()
        self._seconds = 0.0
        self._timings: Counter[str] = Counter()
        self._interrupted = False
        self._stopped: Failed | Finished | None = None

    @property
    def has_sheets(self) -> bool:
        """Whether something may be made of the pictures; a job in one part has none."""
        return self._plan is not None and len(self._plan.sizes) > 1

    @property
    def at_work(self) -> list[Piece]:
        """The pieces that engines are drawing."""
        return [piece for piece in self.pieces if piece.engine]

    # Handing out

    @property
    def has_next(self) -> bool:
        """Whether an engine could be given something now."""
        if self._is_stopped:
            return False
        if any(piece.lost for piece in self.pieces):
            return True
        if sum(piece.held_bytes for piece in self.pieces) > _MOST_HELD_BYTES:
            return False
        if self._part is not None or self._plan is None:
            return True
        return self._missing_part() is not None and not (self._plan.in_order and self.pieces)

    def next_piece(self) -> Piece | None:
        """What an engine is to be given next; None: nothing (yet). Raises UserErrors.

        With one engine that is a whole part. Several take a few batches at a time each, fewer towards the end, so
        that all are done at about the same time; whole batches, because a picture that is drawn in a batch of another
        size may differ in its last bits.
        """
        while self.has_next:
            lost = next((piece for piece in self.pieces if piece.lost), None)
            if lost is not None:
                lost.lost = False
                return lost
            if self._part is None and not self._open_part():
                return None
            piece = self._cut()
            if piece is not None:
                self.pieces.append(piece)
                return piece
        return None

    def _missing_part(self) -> int | None:
        """The next part that has something to draw."""
        assert self._plan is not None
        sizes = self._plan.sizes
        for index in range(self._next, len(sizes)):
            first, size = sum(sizes[:index]), sizes[index]
            if not size or not self.delivered.issuperset(range(first, first + size)):
                return index
        return None

    def _open_part(self) -> bool:
        if self._plan is None:
            self._plan = self._planner.plan(self.job.request)
        index = self._missing_part()
        if index is None:
            return False
        if self._plan.in_order:
            self._pictures.flush()
        self._next = index + 1
        part = self._plan.part(index, self)
        self._part, self._offset, self._at = part, sum(self._plan.sizes[:index]), 0
        save = self.job.save and self._plan.saves_cells
        lossless = self._plan.in_order or not self._plan.saves_cells
        self._part_job = replace(self.job, request=part.request, model=part.model, save=save, lossless=lossless)
        return True

    def _cut(self) -> Piece | None:
        """The next piece of the open part; None where nothing of it is missing any more. The last one closes it."""
        assert self._part is not None
        part, count = self._part, self._part.request.image_count
        request = part.request
        if self._engines > 1 and isinstance(request, GenerationRequest):
            size = request.batch_size
            while self._at < count and self._is_there(self._at, size):
                self._at += size
            left = (count - self._at) // size
            batches = min(max(left // (4 * self._engines), 1), _MOST_BATCHES, left)
            piece = Piece(self._part_job, part, self._offset, self._at, batches * size)
        else:
            piece = Piece(self._part_job, part, self._offset, 0, count)
        self._at = piece.start + piece.count
        if self._at >= count:
            self._part = None
        return piece if piece.count or not count else None

    def _is_there(self, at: int, size: int) -> bool:
        return self.delivered.issuperset(range(self._offset + at, self._offset + at + size))

    # Coming back

    def begun(self, piece: Piece, engine: str) -> None:
        """`engine` has been given `piece`."""
        piece.engine = engine
        self._drew.add(engine)

    def ended(self, piece: Piece, ending: Failed | Finished) -> None:
        """An engine has ended a piece; anything but "done" means that no more is drawn."""
        piece.engine, piece.ended = "", True
        if isinstance(ending, Finished):
            self._seconds += ending.seconds
            self._timings.update(ending.timings)
        if isinstance(ending, Failed) or ending.reason != "done":
            self.stop(ending)

    def stop(self, ending: Failed | Finished) -> None:
        """Give out no more; of several endings a failure counts, and the first."""
        if self._stopped is None or (isinstance(ending, Failed) and isinstance(self._stopped, Finished)):
            self._stopped = ending
        self._give_up_lost()

    def interrupt(self) -> None:
        """Give out no more; what is drawn ends early."""
        self._interrupted = True
        self._give_up_lost()

    def _give_up_lost(self) -> None:
        for piece in self.pieces:
            if piece.lost:
                piece.lost, piece.ended = False, True

    @property
    def _is_stopped(self) -> bool:
        return self._interrupted or self._stopped is not None

    @property
    def interrupted(self) -> bool:
        return self._interrupted

    @property
    def is_over(self) -> bool:
        """Whether nothing of it is drawn, waits for an earlier piece, or is left to be drawn."""
        return not self.pieces and not self.has_next

    @property
    def ending(self) -> Failed | Finished:
        """How the job ends: times are summed up, or those of the clock where several engines took part."""
        if isinstance(self._stopped, Failed):
            return self._stopped
        reason = "interrupted" if self._interrupted else self._stopped.reason if self._stopped else "done"
        seconds = time.monotonic() - self._began if len(self._drew) > 1 else self._seconds
        return Finished(reason, seconds, dict(self._timings))

    @property
    def seconds_of_work(self) -> float:
        """What one engine would have taken."""
        return self._seconds

    @property
    def used(self) -> float | None:
        """The seconds it had of several engines together; None where one did it all."""
        return self._seconds if len(self._drew) > 1 else None

    def placed(self, piece: Piece, event: Progress | Preview) -> Progress | Preview | None:
        """What an engine says of its piece, as news of the whole job; previews only of what is to come first."""
        if isinstance(event, Progress):
            piece.now = event
        total = self.job.request.image_count
        if not total or piece.count == total:
            return event
        leading = next((piece for piece in self.pieces if piece.now is not None and piece.engine), piece)
        if isinstance(event, Preview):
            return replace(event, image=piece.first + event.image) if piece is leading else None
        shown = leading.now or event
        under_way = sum(one.now.fraction * one.count for one in self.at_work if one.now is not None)
        fraction = self._fraction(under_way, total)
        spent = time.monotonic() - self._began
        left = spent * (1 - fraction) / fraction if fraction > 0 else None
        return replace(shown, image=leading.first + shown.image, images=total, fraction=fraction, seconds_left=left)

    def _fraction(self, under_way: float, total: int) -> float:
        behind = len(self.delivered) if not self.pieces else min(self.pieces[0].first, total)
        ended = sum(piece.count for piece in self.pieces if piece.ended)
        return min((behind + ended + under_way) / total, 1.0)

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
