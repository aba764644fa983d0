"""What the engine process is asked to do, as it comes in: jobs in a queue, and what is told to a job beside it."""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from typing import BinaryIO

from pydantic import ValidationError

from modules.schema.engine import Command, read_frame
from modules.schema.training import TrainingRequest

log = logging.getLogger(__name__)


class Orders:
    """Commands as they come in: jobs and loads in a queue; what is told to a job (interrupt, skip, pause) beside it,
    asked for at every event."""

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[Command | None] = queue.SimpleQueue()
        self._later: deque[Command | None] = deque()
        self._known: set[str] = set()
        self._signals: dict[str, str] = {}
        self._lock = threading.Lock()

    def read(self, stream: BinaryIO) -> None:
        """Take commands from `stream` until it closes."""
        while (frame := read_frame(stream)) is not None:
            try:
                command = Command.model_validate_json(frame[0])
            except ValidationError:
                log.exception("a command that makes no sense")
                continue
            self.put(command)

    def put(self, command: Command) -> None:
        with self._lock:
            if command.job is not None:
                self._known.add(command.job.id)
            if command.name in ("interrupt", "skip", "pause"):
                # For a job that has ended there is nothing to stop; an interrupt is not weakened by a later skip.
                if command.job_id in self._known and self._signals.get(command.job_id) != "interrupt":
                    self._signals[command.job_id] = command.name
                return
        self._work.put(None if command.name == "shutdown" else command)

    def next(self) -> Command | None:
        """The next job or load; None: shut down."""
        return self._later.popleft() if self._later else self._work.get()

    def waiting(self) -> Command | None:
        """The next job or load that can be done between the steps of a training, if one waits."""
        while not self._work.empty():
            command = self._work.get()
            if command is not None and not _is_training(command):
                return command
            self._later.append(command)
        return None

    @property
    def any_waiting(self) -> bool:
        return not self._work.empty()

    @property
    def must_end(self) -> bool:
        """Whether there is an order to shut down among what was put off."""
        return None in self._later

    def signal(self, job_id: str) -> str | None:
        """What the job has been told. A skip is told once; an interrupt or a pause stays."""
        with self._lock:
            if self._signals.get(job_id) in ("interrupt", "pause"):
                return self._signals[job_id]
            return self._signals.pop(job_id, None)

    def ended(self, job_id: str) -> None:
        with self._lock:
            self._known.discard(job_id)
            self._signals.pop(job_id, None)


def _is_training(command: Command) -> bool:
    return command.job is not None and isinstance(command.job.request, TrainingRequest)
