"""Drawing at twice the size, so that edges are smooth; beside the colours, a map of which region each pixel is in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from tools.miniature.world.facts import SIDE

Colour = tuple[int, int, int]
Point = tuple[float, float]
OVERSAMPLING = 2
_FIRST_THING = 128  # region numbers below are the background's


def shaded(colour: Colour, factor: float) -> Colour:
    """Darker below 1, nearer to white above."""
    if factor <= 1:
        return tuple(int(part * factor) for part in colour)  # type: ignore[return-value]
    return tuple(int(part + (255 - part) * (factor - 1)) for part in colour)  # type: ignore[return-value]


class Pen:
    """A canvas of `width` x `height` px, and where drawing coordinates lie on it: at first the world's square,
    stretched; after `at`, a thing's own."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        size = (width * OVERSAMPLING, height * OVERSAMPLING)
        self._image, self._regions = Image.new("RGB", size), Image.new("L", size)
        self._draw, self._mark = ImageDraw.Draw(self._image), ImageDraw.Draw(self._regions)
        self._region = 0
        self._origin, self._scale = (0.0, 0.0), (size[0] / SIDE, size[1] / SIDE)

    def at(self, x: float, y: float, scale: float) -> None:
        """Unit shapes, -1 to 1 with y downwards, are drawn around `x`, `y` with `scale` px a unit from here on."""
        self._origin = (x * OVERSAMPLING, y * OVERSAMPLING)
        self._scale = (scale * OVERSAMPLING, scale * OVERSAMPLING)

    def things(self) -> None:
        """From here on regions are things'."""
        self._region = _FIRST_THING

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        placed = [self._place(point) for point in points]
        self._region += 1
        self._draw.polygon(placed, fill=colour)
        self._mark.polygon(placed, fill=self._region)

    def wash(self, box: tuple[float, float, float, float], colour: Colour) -> None:
        """A rectangle that is no region of its own: it gets no outline."""
        self._draw.rectangle([self._place(box[:2]), self._place(box[2:])], fill=colour)

    def ellipse(self, box: tuple[float, float, float, float], colour: Colour) -> None:
        """`box`: left, top, right, bottom."""
        placed = [self._place(box[:2]), self._place(box[2:])]
        self._region += 1
        self._draw.ellipse(placed, fill=colour)
        self._mark.ellipse(placed, fill=self._region)

    def rectangle(self, box: tuple[float, float, float, float], colour: Colour) -> None:
        left, top, right, bottom = box
        self.polygon(((left, top), (right, top), (right, bottom), (left, bottom)), colour)

    def _place(self, point: Sequence[float]) -> Point:
        return self._origin[0] + point[0] * self._scale[0], self._origin[1] + point[1] * self._scale[1]

    def colours(self) -> np.ndarray:
        """float32 [H, W, 3], 0 to 255."""
        return np.asarray(self._image.reduce(OVERSAMPLING), np.float32)

    def edges(self) -> np.ndarray:
        """float32 [H, W], 1 on borders between regions: lines of about two px."""
        region = np.asarray(self._regions)
        edge = np.zeros(region.shape, bool)
        edge[:, 1:] |= region[:, 1:] != region[:, :-1]
        edge[1:] |= region[1:] != region[:-1]
        thick = edge.copy()
        thick[:, :-1] |= edge[:, 1:]
        thick[:-1] |= edge[1:]
        thick[1:] |= edge[:-1]
        thick[:, 1:] |= edge[:, :-1]
        rows, columns = (side // OVERSAMPLING for side in thick.shape)
        return thick.reshape(rows, OVERSAMPLING, columns, OVERSAMPLING).mean((1, 3), dtype=np.float32)

    def thing_mask(self) -> np.ndarray:
        """bool [H, W], True where a thing is."""
        return np.asarray(self._regions)[::OVERSAMPLING, ::OVERSAMPLING] > _FIRST_THING
