"""A picture too large for one go, piece by piece: overlapping tiles whose seams are blended."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

import torch
from torch import Tensor

TensorFractions = Generator[float, None, Tensor]


@dataclass(frozen=True)
class Tiling:
    """Side of a tile in input pixels (0: the whole picture at once) and how far neighbours overlap."""

    side: int = 192
    overlap: int = 16


def starts(length: int, side: int, overlap: int) -> list[int]:
    """Where tiles of `side` begin along `length`: they overlap by at least `overlap`, and the last one is flush."""
    if side <= 0 or side >= length:
        return [0]
    stride = max(side - min(overlap, side - 1), 1)
    count = -(-(length - side) // stride) + 1
    return [index * (length - side) // (count - 1) for index in range(count)]


def _ramp(size: int, before: int, after: int) -> Tensor:
    """Weights along one side: rising over `before` places, falling over `after`, 1 between."""
    weights = torch.ones(size)
    if before:
        weights[:before] = (torch.arange(before) + 1) / (before + 1)
    if after:
        weights[size - after :] = torch.minimum(weights[size - after :], (torch.arange(after, 0, -1)) / (after + 1))
    return weights


def _spans(length: int, tiling: Tiling) -> list[tuple[int, int, int, int]]:
    """(first, end, overlap with the one before, overlap with the one after) of each tile along one side."""
    firsts = starts(length, tiling.side, tiling.overlap)
    size = length if len(firsts) == 1 else tiling.side
    ends = [first + size for first in firsts]
    before = [0, *(end - first for end, first in zip(ends, firsts[1:], strict=False))]
    return list(zip(firsts, ends, before, [*before[1:], 0], strict=True))


def tiled(picture: Tensor, work: Callable[[Tensor], Tensor], scale: int, tiling: Tiling) -> TensorFractions:
    """`work` applied tile by tile to [1,C,H,W]; yields the fraction done, returns [1,C2,H*s,W*s] float32.

    `work` makes a tile `scale` times larger. Where tiles overlap they are cross-faded.
    """
    height, width = picture.shape[-2:]
    rows, columns = _spans(height, tiling), _spans(width, tiling)
    total = len(rows) * len(columns)
    result: Tensor | None = None
    weights = torch.zeros(1, 1, height * scale, width * scale, device=picture.device)
    done = 0
    yield 0.0
    for top, bottom, above, below in rows:
        for left, right, before, after in columns:
            tile = work(picture[..., top:bottom, left:right]).float()
            if result is None:
                result = torch.zeros(1, tile.shape[1], height * scale, width * scale, device=tile.device)
            down = _ramp((bottom - top) * scale, above * scale, below * scale)
            across = _ramp((right - left) * scale, before * scale, after * scale)
            mask = (down[:, None] * across[None, :]).to(tile.device)
            place = (..., slice(top * scale, bottom * scale), slice(left * scale, right * scale))
            result[place] += tile * mask
            weights[place] += mask
            done += 1
            yield done / total
    assert result is not None
    return result / weights
