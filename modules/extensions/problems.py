"""What went wrong with an extension: one sentence for its page, the traceback in the log."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

log = logging.getLogger(__name__)

_KEPT = 20


@dataclass(frozen=True)
class Problem:
    """`sentence` says what happened and what became of it; `log_id` finds the traceback; `at` is a time."""

    extension: str
    sentence: str
    log_id: str | None = None
    at: float = field(default_factory=time.time)


class Problems:
    """The newest problems of each extension. Safe for threads; `told` hears of each."""

    def __init__(self, told: Callable[[Problem], None] | None = None) -> None:
        self._told = told
        self._lock = threading.Lock()
        self._by_extension: dict[str, deque[Problem]] = {}

    def report(self, extension: str, sentence: str, error: BaseException | None = None) -> Problem:
        """Note a problem; of `error` the log gets the traceback."""
        log_id = uuid.uuid4().hex[:8] if error is not None else None
        if error is not None:
            sentence = f"{sentence} The log has the details under {log_id}."
        log.warning("extension %s: %s", extension, sentence, exc_info=error)
        problem = Problem(extension, sentence, log_id)
        self.take(problem)
        return problem

    def take(self, problem: Problem) -> None:
        """Keep a problem that was noted elsewhere; one that is there already only becomes newer."""
        with self._lock:
            kept = self._by_extension.setdefault(problem.extension, deque(maxlen=_KEPT))
            for old in [one for one in kept if _same(one, problem)]:
                kept.remove(old)
            kept.append(problem)
        if self._told is not None:
            self._told(problem)

    def of(self, extension: str) -> list[Problem]:
        """Oldest first."""
        with self._lock:
            return list(self._by_extension.get(extension, ()))


def _same(one: Problem, other: Problem) -> bool:
    return _bare(one) == _bare(other)


def _bare(problem: Problem) -> str:
    return problem.sentence.replace(problem.log_id or "", "")


def short(error: BaseException) -> str:
    """An error in a few words: its kind and the first line of what it says."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
