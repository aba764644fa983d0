"""Bringing a picture to the size that is drawn, by A1111's resize modes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

Enlarge = Callable[[Image.Image, int, int], Image.Image]
"""(picture, width, height) -> the picture at that size."""


def stretch(picture: Image.Image, width: int, height: int) -> Image.Image:
    """The picture at that size by Lanczos; the same picture where it has it already."""
    size = (width, height)
    return picture if picture.size == size else picture.resize(size, Image.Resampling.LANCZOS)


def fit(picture: Image.Image, width: int, height: int, mode: str, enlarge: Enlarge = stretch) -> Image.Image:
    """`picture` (RGB or L) as width x height: stretched, cropped, or with bars that repeat its outermost pixels."""
    if mode == "Crop and resize":
        return _crop(picture, width, height, enlarge)
    if mode == "Resize and fill":
        return _fill(picture, width, height, enlarge)
    return enlarge(picture, width, height)


def covering(size: tuple[int, int], width: int, height: int) -> tuple[int, int]:
    """Size of a picture of `size` when it just covers width x height."""
    w, h = size
    return (width, h * width // w) if width * h > height * w else (w * height // h, height)


def fitting(size: tuple[int, int], width: int, height: int) -> tuple[int, int]:
    """Size of a picture of `size` when it just fits into width x height; at least one pixel."""
    w, h = size
    if width * h < height * w:
        return width, max(h * width // w, 1)
    return max(w * height // h, 1), height


def _crop(picture: Image.Image, width: int, height: int, enlarge: Enlarge) -> Image.Image:
    scaled = enlarge(picture, *covering(picture.size, width, height))
    left, top = width // 2 - scaled.width // 2, height // 2 - scaled.height // 2
    result = Image.new(picture.mode, (width, height))
    result.paste(scaled, (left, top))
    return result


def _fill(picture: Image.Image, width: int, height: int, enlarge: Enlarge) -> Image.Image:
    scaled = enlarge(picture, *fitting(picture.size, width, height))
    left, top = width // 2 - scaled.width // 2, height // 2 - scaled.height // 2
    sides = [(top, height - top - scaled.height), (left, width - left - scaled.width)]
    pixels = np.asarray(scaled)
    return Image.fromarray(np.pad(pixels, [*sides, *[(0, 0)] * (pixels.ndim - 2)], mode="edge"))
