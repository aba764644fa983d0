"""A job on its way from the engines to its readers."""

from __future__ import annotations

import logging
import uuid
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from modules.schema.events import Event, Failed, Finished, ImageDone, Notice
from modules.service.course import Course
from modules.service.jobs import Job
from modules.service.pieces import Piece

log = logging.getLogger(__name__)


@dataclass
class Delivery:
    """A job on its way to its readers; `line` holds what must wait for a picture before it to be saved.

    `asked`: it was told to stop. `home`: name of the engine that stays with the job between two pieces. `over`: its
    ending is in the line.
    """

    job: Job
    course: Course
    line: deque[Event | Future[list[Event]]] = field(default_factory=deque)
    asked: bool = False
    home: str = ""
    over: bool = False
    _told: set[tuple[int, str]] = field(default_factory=set[tuple[int, str]])

    def take(self, piece: Piece, event: Event) -> None:
        """Keep what an engine said of its piece until it is that piece's turn; nothing is taken twice.

        From here on pictures are numbered within their part.
        """
        if isinstance(event, ImageDone):
            number = piece.first + event.index
            if number in self.course.delivered:
                return
            self.course.delivered.add(number)
            event = replace(event, index=piece.start + event.index)
        elif isinstance(event, Notice):
            # Every engine says of its piece what one alone would say once of the whole part.
            note = (piece.offset, event.text)
            if note in self._told and (piece.start or piece.deaths):
                return
            self._told.add(note)
        piece.line.append(event)

    def move_up(self, save: Callable[[Piece, ImageDone], Future[list[Event]]], *, all_of_it: bool = False) -> None:
        """Bring into the line what the foremost pieces have said; `all_of_it`: the later ones too, over any gap.

        Pictures are saved in that order, so that their files are numbered as if one engine had drawn them.
        """
        pieces = self.course.pieces
        for piece in list(pieces):
            while piece.line:
                event = piece.line.popleft()
                self.line.append(save(piece, event) if isinstance(event, ImageDone) else event)
            if piece.ended:
                pieces.remove(piece)
            elif not all_of_it:
                return


def result_of(future: Future[list[Event]]) -> list[Event]:
    """What came of saving a picture; a bug there must not hold up the job."""
    error = future.exception()
    if error is None:
        return future.result()
    log_id = uuid.uuid4().hex[:8]
    log.error("saving a picture failed (log id %s)", log_id, exc_info=error)
    return [Notice(f"A picture could not be saved because of a fault in the program (log id {log_id}).", "warning")]


def goes_on_later(delivery: Delivery, ending: Failed | Finished) -> bool:
    """Whether a training paused only because the program ends."""
    return not delivery.asked and isinstance(ending, Finished) and ending.reason == "paused"
