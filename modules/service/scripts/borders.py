"""What outpainting adds to a picture: how much at each side, and noise that looks like the picture to begin with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modules.schema.errors import BadRequest
from modules.schema.frozen import Frozen
from modules.schema.knob import knob

ROUNDED_TO = 64
Pixels = NDArray[np.float64]


class Sides(Frozen):
    """Where a picture grows, and how far."""

    pixels: int = knob(128, "Pixels to expand", "How far the picture grows at each side.", section="outpainting",
                       ge=8, le=2048, soft_le=256, step=8, unit="px")  # fmt: skip
    left: bool = knob(True, "To the left", "Whether the picture grows to the left.", section="outpainting")
    right: bool = knob(True, "To the right", "Whether the picture grows to the right.", section="outpainting")
    up: bool = knob(True, "Up", "Whether the picture grows upwards.", section="outpainting")
    down: bool = knob(True, "Down", "Whether the picture grows downwards.", section="outpainting")


class Borders(Frozen):
    """Pixels added at each side."""

    left: int
    up: int
    right: int
    down: int

    def around(self, size: tuple[int, int]) -> tuple[int, int]:
        """The grown picture's width and height."""
        return size[0] + self.left + self.right, size[1] + self.up + self.down


def borders(size: tuple[int, int], sides: Sides) -> Borders:
    """A grown side of the result is a multiple of 64: the pixels that lack are added too. Raises BadRequest."""
    if not (sides.left or sides.right or sides.up or sides.down):
        raise BadRequest("Outpainting has no direction: choose at least one of left, right, up and down.", "script")
    left, right = _shares(size[0], sides.left, sides.right, sides.pixels)
    up, down = _shares(size[1], sides.up, sides.down, sides.pixels)
    return Borders(left=left, up=up, right=right, down=down)


def _shares(length: int, before: bool, after: bool, pixels: int) -> tuple[int, int]:
    if not (before or after):
        return 0, 0
    wanted = length + pixels * (before + after)
    more = -(-wanted // ROUNDED_TO) * ROUNDED_TO - length
    first = more // 2 if before and after else more * before
    return first, more - first


def padded(picture: Image.Image, left: int, up: int, right: int, down: int) -> Image.Image:
    """An RGB picture with its outermost rows and columns repeated."""
    pixels = np.pad(np.asarray(picture), ((up, down), (left, right), (0, 0)), mode="edge")
    return Image.fromarray(pixels)


def matched_noise(picture: Image.Image, new: Image.Image, falloff: float, colours: float) -> Image.Image:
    """`picture` (RGB) with noise of its own kind where `new` (L) is not black.

    White noise is given the picture's amplitude at every frequency, to the power of `falloff`. Its values are then
    exchanged for colours of the known part that lie at the same rank along the axis of most change, so that every
    channel has the known part's distribution. `colours` is how far channels go their own ways, 0 (none) to 1. The
    noise is always the same.
    """
    pixels: Pixels = np.asarray(picture, np.float64)
    unknown = np.asarray(new) > 0
    if unknown.all() or not unknown.any():
        return picture
    known = pixels[~unknown]
    centred = np.where(unknown[..., None], 0.0, pixels - known.mean(0))
    amplitude = np.abs(np.fft.fft2(centred, axes=(0, 1))) ** falloff
    white = np.random.default_rng(0).standard_normal(pixels.shape)
    white = white.mean(2, keepdims=True) * (1 - colours) + white * colours
    shaped = np.fft.ifft2(np.fft.fft2(white, axes=(0, 1)) * amplitude, axes=(0, 1)).real
    _, axes = np.linalg.eigh(np.cov(known, rowvar=False))
    palette = known[np.argsort(known @ axes[:, -1], kind="stable")]
    result = pixels.copy()
    for channel in range(3):
        result[unknown, channel] = palette[_ranks(shaped[unknown, channel], len(palette)), channel]
    return Image.fromarray(result.astype(np.uint8))


def _ranks(values: Pixels, count: int) -> NDArray[np.intp]:
    """The place of each value among all, as one of `count` places."""
    ranks = np.empty(values.size, np.intp)
    ranks[np.argsort(values, kind="stable")] = np.arange(values.size)
    return ranks * count // values.size
