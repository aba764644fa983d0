"""Which part of a picture is trained, and at which size.

Sizes are (width, height) in pixels; boxes are (left, upper, right, lower). The numbers of splitting and of the
auto-sized crop are those of A1111's preprocessing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from modules.catalog.datasets.notes import Box

Size = tuple[int, int]
Objective = Literal["Maximize area", "Minimize error"]

_LATENT = 8
_SMALLEST_BUCKET = 0.75
"""Share of the area asked for that a bucket has at least."""


@dataclass(frozen=True)
class Sizes:
    """The sizes to choose from: sides from `least` to `most` by `step`, areas from `least_area` to `most_area`."""

    least: int = 384
    most: int = 768
    step: int = 64
    least_area: int = 64 * 64
    most_area: int = 640 * 640

    def all(self) -> Iterator[Size]:
        sides = range(self.least, self.most + 1, self.step)
        for width in sides:
            for height in sides:
                if self.least_area <= width * height <= self.most_area:
                    yield width, height


def auto_size(
    size: Size, sizes: Sizes | None = None, objective: Objective = "Maximize area", threshold: float = 0.1
) -> Size | None:
    """Of the sizes whose shape is off by `threshold` at most, the largest or the best in shape; None without one."""
    found = [(one, shape_error(size, one)) for one in (sizes or Sizes()).all()]
    fitting = [(one, error) for one, error in found if error <= threshold]
    if not fitting:
        return None
    if objective == "Maximize area":
        return max(fitting, key=lambda item: (_area(item[0]), -item[1]))[0]
    return max(fitting, key=lambda item: (-item[1], _area(item[0])))[0]


def shape_error(size: Size, other: Size) -> float:
    """How unlike two shapes are: 0 for the same, 0.5 for twice as wide."""
    ratio = (size[0] / size[1]) / (other[0] / other[1])
    return 1 - min(ratio, 1 / ratio)


def bucket(size: Size, wanted: Size) -> Size:
    """The size of about the area of `wanted` whose shape is nearest to `size`'s; sides from half to double."""
    if shape_error(size, wanted) < 1e-6:
        return wanted
    area = _area(wanted)
    side = math.isqrt(area)
    step = max(_LATENT, min(64, side // 64 * _LATENT))
    least = max(step, side // 2 // step * step)
    sizes = Sizes(least, 2 * side, step, int(_SMALLEST_BUCKET * area), area)
    return auto_size(size, sizes, "Minimize error", threshold=1.0) or wanted


def cover(size: Size, shape: Size, focus: tuple[float, float] = (0.5, 0.5)) -> Box:
    """The largest box of that shape inside a picture of `size`, as near to the focus (shares) as it can be."""
    width, height = size
    if width * shape[1] > height * shape[0]:
        wide, high = max(1, round(height * shape[0] / shape[1])), height
    else:
        wide, high = width, max(1, round(width * shape[1] / shape[0]))
    left = min(max(round(focus[0] * width - wide / 2), 0), width - wide)
    upper = min(max(round(focus[1] * height - high / 2), 0), height - high)
    return left, upper, left + wide, upper + high


def whole_latents(size: Size) -> Box:
    """The middle of a picture whose sides are multiples of 8; raises ValueError for what is smaller than that."""
    wide, high = (side // _LATENT * _LATENT for side in size)
    if not wide or not high:
        raise ValueError(f"{size[0]}x{size[1]} is smaller than {_LATENT}x{_LATENT}")
    left, upper = (size[0] - wide) // 2, (size[1] - high) // 2
    return left, upper, left + wide, upper + high


def inside(box: Box, size: Size) -> Box | None:
    """`box` cut to a picture of `size`; None when nothing is left."""
    left, upper = max(box[0], 0), max(box[1], 0)
    right, lower = min(box[2], size[0]), min(box[3], size[1])
    return (left, upper, right, lower) if left < right and upper < lower else None


def parts(size: Size, wanted: Size, threshold: float = 0.5, overlap: float = 0.2) -> list[Box]:
    """Boxes of the shape `wanted` along a picture that is much longer than it, overlapping by a share of `overlap`.

    Empty when it is not: the part of it that one box would show is more than `threshold`.
    """
    width, height = size
    upright = width * wanted[1] < height * wanted[0]
    shown = _shown(size, wanted) if upright else _shown(size[::-1], wanted[::-1])
    if shown >= 1 or shown > threshold:
        return []
    short, side, along = (width, *wanted) if upright else (height, *wanted[::-1])
    scale = side / short
    boxes: list[Box] = []
    for offset in split_offsets(round((height if upright else width) * scale), along, overlap):
        begin, end = round(offset / scale), round((offset + along) / scale)
        boxes.append((0, begin, width, min(end, height)) if upright else (begin, 0, min(end, width), height))
    return boxes


def split_offsets(length: int, side: int, overlap: float = 0.2) -> list[int]:
    """Where the parts of `side` begin along `length`, evenly spaced."""
    count = math.ceil((length - side * overlap) / (side * (1 - overlap)) - 1e-9)
    if count < 2:
        return [0]
    return [int((length - side) / (count - 1) * number) for number in range(count)]


def _shown(size: Size, wanted: Size) -> float:
    return size[0] * wanted[1] / (size[1] * wanted[0])


def _area(size: Size) -> int:
    return size[0] * size[1]
