"""Masks as pictures: reading, softening, and the part of a picture that "Only masked" draws. White is drawn anew."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom are outside."""

_ALPHA_LIMIT = 128


def as_mask(picture: Image.Image, hard: bool) -> Image.Image:
    """The mask (L) in a picture: its transparency where it has any, else its brightness.

    `hard` takes transparency as all or nothing, as A1111 does.
    """
    if picture.mode in ("RGBA", "LA"):
        alpha = picture.getchannel("A")
        if alpha.getextrema() != (255, 255):
            return alpha.point(lambda value: 255 if value > _ALPHA_LIMIT else 0) if hard else alpha
    return picture.convert("L")


def invert(mask: Image.Image) -> Image.Image:
    return ImageOps.invert(mask)


def blur(mask: Image.Image, sigma_x: float, sigma_y: float) -> Image.Image:
    """A Gaussian of these standard deviations in pixels, cut off at 2.5 of them; edges are mirrored."""
    pixels = np.asarray(mask, np.float64)
    for axis, sigma in ((1, sigma_x), (0, sigma_y)):
        if sigma > 0:
            pixels = _blur_along(pixels, axis, sigma)
    return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))


def kernel(sigma: float) -> np.ndarray:
    """Weights of the Gaussian, 2 * int(2.5 sigma + 0.5) + 1 of them, which add up to 1."""
    radius = int(2.5 * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return weights / weights.sum()


def _blur_along(pixels: np.ndarray, axis: int, sigma: float) -> np.ndarray:
    """By the Fourier transform: the time does not grow with sigma."""
    weights = kernel(sigma)
    radius = len(weights) // 2
    padding = [(0, 0), (0, 0)]
    padding[axis] = (radius, radius)
    padded = np.pad(pixels, padding, mode="reflect" if pixels.shape[axis] > 1 else "edge")
    length = padded.shape[axis] + len(weights) - 1
    shape = [1, 1]
    shape[axis] = -1
    spectrum = np.fft.rfft(padded, length, axis) * np.fft.rfft(weights, length).reshape(shape)
    whole = np.fft.irfft(spectrum, length, axis)
    return np.take(whole, range(2 * radius, 2 * radius + pixels.shape[axis]), axis)


def doubled(mask: Image.Image) -> Image.Image:
    """Twice as white: the kept original begins outside the middle of a blurred border."""
    return mask.point(lambda value: min(255, 2 * value))


def region(mask: Image.Image, padding: int) -> Box | None:
    """The box around all that is not black, `padding` wider within the picture; None for a black mask."""
    box = mask.getbbox()
    if box is None:
        return None
    left, top, right, bottom = box
    return (
        max(left - padding, 0),
        max(top - padding, 0),
        min(right + padding, mask.width),
        min(bottom + padding, mask.height),
    )


def expanded(box: Box, shape: tuple[int, int], size: tuple[int, int]) -> Box:
    """`box` made wider or higher about its middle until it has the shape (width, height) of what is drawn.

    It is moved back into the picture of `size`, and cut off where the picture is too small.
    """
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    ratio = shape[0] / shape[1]
    if width / height > ratio:
        top, bottom = _grown(top, bottom, int(width / ratio - height), size[1])
    else:
        left, right = _grown(left, right, int(height * ratio - width), size[0])
    return left, top, right, bottom


def _grown(low: int, high: int, by: int, limit: int) -> tuple[int, int]:
    low, high = low - by // 2, high + by - by // 2
    back = max(high - limit, 0)
    low, high = low - back, high - back
    forward = max(-low, 0)
    return low + forward, min(high + forward, limit)
