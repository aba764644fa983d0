"""A Brownian path that is a function of its seed alone: the noise of SDE samplers.

The path over [start, end] is a dyadic tree: the increment over an interval is drawn once, and halves are drawn
given the whole (a Brownian bridge), down to a resolution of 1e-6. So the increment between two points does not depend
on which points were asked for before, and a sampler with other steps sees the same path. Li et al., "Scalable
Gradients for Stochastic Differential Equations" (2020). The seeds of the tree's nodes are those of torchsde's
BrownianTree, and with the same normal numbers the increments are equal to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

# Seeds and a shape to float32 [seeds, *shape]: the first tensor that each seed gives.
Normals = Callable[[Sequence[int], tuple[int, ...]], Tensor]

_DIGITS = 6
_POOL_SIZE = 24


@dataclass(frozen=True)
class _Interval:
    """A node of the tree: the interval number `number` of 2**`depth`, from the left."""

    start: float
    end: float
    number: int = 0
    depth: int = 0

    @cached_property
    def middle(self) -> float:
        return round(0.5 * (self.end + self.start), _DIGITS)

    @property
    def left(self) -> _Interval:
        return _Interval(self.start, self.middle, 2 * self.number, self.depth + 1)

    @property
    def right(self) -> _Interval:
        return _Interval(self.middle, self.end, 2 * self.number + 1, self.depth + 1)

    def splits(self, start: float, end: float) -> Iterator[_Interval]:
        """The intervals to be halved before [start, end] is made of whole ones."""
        if (start, end) == (self.start, self.end):
            return
        yield self
        if start < self.middle:
            yield from self.left.splits(start, min(end, self.middle))
        if end > self.middle:
            yield from self.right.splits(max(start, self.middle), end)


class BrownianTree:
    """The Brownian path of seed `entropy` over [start, end], start < end, values of `shape`."""

    def __init__(self, entropy: int, start: float, end: float, shape: tuple[int, ...], normals: Normals) -> None:
        self._entropy = entropy
        self._shape = shape
        self._normals = normals
        self._root = _Interval(round(start, _DIGITS), round(end, _DIGITS))
        self._whole = normals([self._seed(())], shape)[0] * math.sqrt(end - start)
        # Left halves' increments along the last query's ends: the next query begins at one of them.
        self._left_halves: dict[_Interval, Tensor] = {}

    def __call__(self, a: float, b: float) -> Tensor:
        """W(b) - W(a); points outside the path's interval are moved to its ends."""
        start, end = (round(min(max(t, self._root.start), self._root.end), _DIGITS) for t in sorted((a, b)))
        if start == end:
            return torch.zeros_like(self._whole)
        total = self._between(start, end)
        return total if a < b else -total

    def _between(self, start: float, end: float) -> Tensor:
        splits = list(self._root.splits(start, end))
        missing = [interval for interval in splits if interval not in self._left_halves]
        seeds = [self._seed((interval.number, interval.depth)) for interval in missing]
        drawn = dict(zip(missing, self._normals(seeds, self._shape), strict=True)) if missing else {}
        used: dict[_Interval, Tensor] = {}
        parts = list(self._parts(self._root, self._whole, (start, end), drawn, used))
        self._left_halves = used
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total

    def _parts(
        self,
        interval: _Interval,
        whole: Tensor,
        query: tuple[float, float],
        drawn: dict[_Interval, Tensor],
        used: dict[_Interval, Tensor],
    ) -> Iterator[Tensor]:
        """Increments of the intervals that `query` is made of, from the left; fills `used`."""
        start, end = query
        if query == (interval.start, interval.end):
            yield whole
            return
        left = self._left_halves[interval] if interval not in drawn else _left_half(interval, whole, drawn[interval])
        used[interval] = left
        middle = interval.middle
        if start < middle:
            yield from self._parts(interval.left, left, (start, min(end, middle)), drawn, used)
        if end > middle:
            yield from self._parts(interval.right, whole - left, (max(start, middle), end), drawn, used)

    def _seed(self, key: tuple[int, ...]) -> int:
        sequence = np.random.SeedSequence(entropy=self._entropy, spawn_key=key, pool_size=_POOL_SIZE)
        return int(sequence.generate_state(1)[0])


def _left_half(interval: _Interval, whole: Tensor, noise: Tensor) -> Tensor:
    """The increment of the left half given the whole's: a Brownian bridge."""
    per_length = 1 / (interval.end - interval.start)
    left, right = interval.middle - interval.start, interval.end - interval.middle
    return left * whole * per_length + math.sqrt(left * right * per_length) * noise
