"""A picture in tiles that overlap: where they lie, and how drawn ones become one picture again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Weights = NDArray[np.float64]
Box = tuple[int, int, int, int]


def positions(length: int, tile: int, overlap: int) -> list[int]:
    """Where tiles begin along a side; the last one ends with the picture."""
    if length <= tile:
        return [0]
    count = -(-(length - overlap) // max(tile - overlap, 1))
    return [int(index * (length - tile) / (count - 1)) for index in range(count)]


class Tiles:
    """Tiles of `tile` (width, height) over a picture of `size`, row by row; neighbours share `overlap` pixels."""

    def __init__(self, size: tuple[int, int], tile: tuple[int, int], overlap: int) -> None:
        self._size, self._tile = size, tile
        self._overlap = min(overlap, min(tile) - 8)
        self._columns = positions(size[0], tile[0], self._overlap)
        self._rows = positions(size[1], tile[1], self._overlap)

    @property
    def overlap(self) -> int:
        """What was asked for, or the most that tiles of this size can share."""
        return self._overlap

    @property
    def boxes(self) -> list[Box]:
        """(left, top, right, bottom) of every tile, within the picture."""
        (width, height), (wide, high) = self._size, self._tile
        return [
            (left, top, min(left + wide, width), min(top + high, height))
            for top in self._rows
            for left in self._columns
        ]

    def joined(self, pictures: Sequence[Image.Image]) -> Image.Image:
        """The whole picture: tiles are cross-faded where they overlap."""
        width, height = self._size
        whole: Weights = np.zeros((height, width, 3))
        weights: Weights = np.zeros((height, width, 1))
        for n, (picture, (left, top, right, bottom)) in enumerate(zip(pictures, self.boxes, strict=True)):
            row, column = divmod(n, len(self._columns))
            size = (right - left, bottom - top)
            pixels = np.asarray(picture.resize(size) if picture.size != size else picture, dtype=np.float64)
            mask = (
                self._ramp(self._rows, row, size[1])[:, None, None]
                * self._ramp(self._columns, column, size[0])[None, :, None]
            )
            whole[top:bottom, left:right] += pixels * mask
            weights[top:bottom, left:right] += mask
        return Image.fromarray((whole / weights).round().astype(np.uint8))

    def _ramp(self, starts: list[int], at: int, length: int) -> Weights:
        """Rises over the overlap with the tile before, falls over that with the one after."""
        weights: Weights = np.ones(length)
        side = np.arange(1, self._overlap + 1) / (self._overlap + 1)
        if at > 0 and self._overlap:
            weights[: self._overlap] = side
        if at < len(starts) - 1 and self._overlap:
            weights[-self._overlap :] = np.minimum(weights[-self._overlap :], side[::-1])
        return weights
