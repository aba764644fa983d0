"""What came of a job, handed on to its readers: saved, in order, and told to whoever keeps account of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import Protocol

from modules.schema.events import ENDINGS, Event, Failed, Finished, ImageDone
from modules.schema.merge import MergeRequest
from modules.service.deliveries import Delivery, result_of
from modules.service.estimates import Estimates
from modules.service.jobs import DatabaseError, Job, Jobs, State
from modules.service.pictures import Pictures
from modules.service.pieces import Piece
from modules.service.streams import Streams

log = logging.getLogger(__name__)

_ENDINGS: dict[str, State] = {
    "done": "done", "interrupted": "interrupted", "cancelled": "cancelled", "paused": "paused",
}  # fmt: skip


class Marks(Protocol):
    """Is told what becomes of trainings."""

    def began(self, job: Job) -> None: ...
    def waits(self, job: Job) -> None: ...
    def ended(self, job: Job, ending: Failed | Finished) -> None: ...


class Readers:
    """Passes deliveries on. `later` has a call made in the dispatcher's thread, from which all of this is called;
    `merged` is told of new models, `marks` of trainings, `ended` of every job that has ended."""

    def __init__(
        self,
        jobs: Jobs,
        streams: Streams,
        pictures: Pictures,
        estimates: Estimates,
        *,
        merged: Callable[[], object],
        marks: Marks,
        ended: Callable[[Job], None],
        later: Callable[[Callable[[], None]], None],
    ) -> None:
        self._jobs = jobs
        self._streams = streams
        self._pictures = pictures
        self._estimates = estimates
        self._merged = merged
        self._marks = marks
        self._ended = ended
        self._later = later

    def deliver(self, delivery: Delivery) -> None:
        """Hand on everything up to the first picture that is still being saved."""
        self.move_up(delivery)
        stream = self._streams.of(delivery.job.id)
        while delivery.line:
            head = delivery.line[0]
            if isinstance(head, Future):
                if not head.done():
                    return
                for event in result_of(head):
                    stream.publish(event)
            elif isinstance(head, ENDINGS):
                self._end(delivery, head)
            else:
                stream.publish(head)
            delivery.line.popleft()

    def move_up(self, delivery: Delivery, *, all_of_it: bool = False) -> None:
        """Begin to save what is the turn of; `all_of_it`: whatever there is."""

        def save(piece: Piece, event: ImageDone) -> Future[list[Event]]:
            future = self._pictures.submit(piece.job, event, piece.offset)
            delivery.course.saved.append(future)
            return self._followed(delivery, future)

        delivery.move_up(save, all_of_it=all_of_it)

    def finish(self, delivery: Delivery, ending: Failed | Finished) -> None:
        """End a job when everything before it is saved, and what is made of its pictures too."""
        delivery.over, delivery.home = True, ""
        if isinstance(ending, Finished) and delivery.course.has_sheets:
            future = self._pictures.submit_files(delivery.job, delivery.course.sheets)
            delivery.line.append(self._followed(delivery, future))
        delivery.line.append(ending)
        self.deliver(delivery)

    def _followed(self, delivery: Delivery, future: Future[list[Event]]) -> Future[list[Event]]:
        future.add_done_callback(lambda _: self._later(lambda: self.deliver(delivery)))
        return future

    def _end(self, delivery: Delivery, ending: Failed | Finished) -> None:
        """The state is written first: who reads the ending finds the job ended."""
        job = delivery.job
        self._ended(job)
        state: State = "failed" if isinstance(ending, Failed) else _ENDINGS.get(ending.reason, "done")
        try:
            message = ending.message if isinstance(ending, Failed) else ""
            self._jobs.end(job.id, state, message, used=delivery.course.used)
            if isinstance(ending, Finished):
                self._estimates.learn(job, replace(ending, seconds=delivery.course.seconds_of_work))
            if isinstance(job.request, MergeRequest):
                self._merged()
            self._marks.ended(job, ending)
        except DatabaseError:
            log.exception("the end of job %s could not be stored", job.id)
        self._streams.of(job.id).publish(ending)
