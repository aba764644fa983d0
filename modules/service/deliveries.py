"""A job on its way from the engine to its readers."""

from __future__ import annotations

import logging
import uuid
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field

from modules.schema.events import Event, Failed, Finished, Notice
from modules.service.course import Course
from modules.service.jobs import Job

log = logging.getLogger(__name__)


@dataclass
class Delivery:
    """A job on its way to its readers; `line` holds what must wait for a picture before it to be saved.

    `asked`: it was told to stop.
    """

    job: Job
    course: Course
    line: deque[Event | Future[list[Event]]] = field(default_factory=deque)
    delivered: set[int] = field(default_factory=set)
    asked: bool = False


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
