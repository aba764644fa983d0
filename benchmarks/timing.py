"""How long small things take."""

from __future__ import annotations

import time
from collections.abc import Callable


def quickest(call: Callable[[], object], repeats: int, *, warm: bool = True) -> float:
    """Milliseconds of processor time of the quickest of `repeats` calls; `warm`: after one that does not count."""
    if warm:
        call()
    times = []
    for _ in range(repeats):
        started = time.process_time()
        call()
        times.append(time.process_time() - started)
    return min(times) * 1000
