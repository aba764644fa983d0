"""How the work of a call grows with its input: what hostile texts are judged by, on however busy a machine."""

from __future__ import annotations

import time
from collections.abc import Callable

_TIMES = 8
_ROUNDS = 6
# Work in proportion to the length takes eight times as long for eight times the length, work by its square 64 times.
_MOST = 24


def grows_in_proportion(call: Callable[[str], object], text: Callable[[int], str], count: int) -> bool:
    """Whether `text(8 * count)` takes `call` about eight times as long as `text(count)`.

    Each is measured as its quickest round in processor time, in turns, so that a busy machine slows both; it is
    measured again while the answer is "no", because a disturbance can only lengthen a round.
    """
    texts = {times: text(times * count) for times in (1, _TIMES)}
    quickest = dict.fromkeys(texts, float("inf"))
    for _ in range(_ROUNDS):
        for times in texts:
            quickest[times] = min(quickest[times], _timed(call, texts[times]))
        if quickest[_TIMES] < _MOST * quickest[1]:
            return True
    return False


def _timed(call: Callable[[str], object], text: str) -> float:
    started = time.thread_time()
    call(text)
    return time.thread_time() - started
