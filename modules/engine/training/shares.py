"""How a step is shared out: each device takes its part of the step's pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Share:
    """Share `number` (from 0) of `count` equal ones."""

    number: int
    count: int

    def of(self, batches: Sequence[int]) -> list[tuple[int, slice]]:
        """Which pictures of which batch are in it, for batches of so many pictures; those of one batch together."""
        whole = sum(batches)
        first, last = (whole * k // self.count for k in (self.number, self.number + 1))
        found, before = [], 0
        for k, pictures in enumerate(batches):
            begin, end = max(first - before, 0), min(last - before, pictures)
            if begin < end:
                found.append((k, slice(begin, end)))
            before += pictures
        return found


WHOLE = Share(0, 1)
