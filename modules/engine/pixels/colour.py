"""Colours of inpainting: what fills a hole before it is drawn, and giving a result the colours of its original."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

Array = np.ndarray

# (blur radius in pixels, how often it is laid on): from far away to near, the sharp picture on top.
_LAYERS = ((256, 1), (64, 1), (16, 2), (4, 4), (2, 2), (0, 1))


def filled(picture: Image.Image, mask: Image.Image) -> Image.Image:
    """`picture` (RGB) with its masked part filled by colours from around it."""
    kept = Image.new("RGBA", picture.size)
    kept.paste(picture.convert("RGBA"), mask=mask.point(lambda value: 255 - value))
    around = kept.convert("RGBa")
    result = Image.new("RGBA", picture.size)
    for radius, times in _LAYERS:
        layer = around.filter(ImageFilter.GaussianBlur(radius)).convert("RGBA")
        for _ in range(times):
            result.alpha_composite(layer)
    return result.convert("RGB")


def corrected(picture: Image.Image, original: Image.Image) -> Image.Image:
    """`picture` with the colours of `original` (both RGB), and its own brightness.

    The histograms of both are made equal in CIE Lab; the result lends its colour, the picture its luminosity.
    """
    lab, wanted = _to_lab(np.asarray(picture)), _to_lab(np.asarray(original))
    matched = np.stack([_match(lab[..., k], wanted[..., k]) for k in range(3)], -1)
    colour = _from_lab(matched)
    return Image.fromarray(_with_luminosity(colour, np.asarray(picture, np.float64) / 255))


def _match(values: Array, wanted: Array) -> Array:
    """`values` with the distribution of `wanted`: each goes to the one of the same rank."""
    _, inverse, counts = np.unique(values.ravel(), return_inverse=True, return_counts=True)
    levels, level_counts = np.unique(wanted.ravel(), return_counts=True)
    ranks = np.cumsum(counts) / values.size
    level_ranks = np.cumsum(level_counts) / wanted.size
    return np.interp(ranks, level_ranks, levels)[inverse].reshape(values.shape)


_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])
_KINK = 6 / 29


def _to_lab(rgb: Array) -> Array:
    """sRGB bytes to CIE Lab (D65), rounded to 8 bits as histograms want it: L over 100 and a, b in steps of one."""
    linear = np.where(rgb <= 0.04045 * 255, rgb / 255 / 12.92, ((rgb / 255 + 0.055) / 1.055) ** 2.4)
    xyz = linear @ _TO_XYZ.T / _WHITE
    f = np.where(xyz > _KINK**3, np.cbrt(xyz), xyz / (3 * _KINK**2) + 4 / 29)
    lab = np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1)
    return np.rint(lab * (2.55, 1, 1))


def _from_lab(lab: Array) -> Array:
    """CIE Lab as `_to_lab` gives it to sRGB in 0..1."""
    lightness = (lab[..., 0] / 2.55 + 16) / 116
    f = np.stack([lightness + lab[..., 1] / 500, lightness, lightness - lab[..., 2] / 200], -1)
    xyz = np.where(f > _KINK, f**3, 3 * _KINK**2 * (f - 4 / 29)) * _WHITE
    linear = np.clip(xyz @ np.linalg.inv(_TO_XYZ).T, 0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


_LUMINOSITY = np.array([0.3, 0.59, 0.11])


def _with_luminosity(colour: Array, brightness: Array) -> Array:
    """Hue and saturation of `colour`, luminosity of `brightness`, both 0..1 (W3C, Compositing and Blending)."""
    shifted = colour + ((brightness - colour) @ _LUMINOSITY)[..., None]
    luminosity = (shifted @ _LUMINOSITY)[..., None]
    low, high = shifted.min(-1, keepdims=True), shifted.max(-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        raised = luminosity + (shifted - luminosity) * luminosity / (luminosity - low)
        shifted = np.where(low < 0, raised, shifted)
        lowered = luminosity + (shifted - luminosity) * (1 - luminosity) / (high - luminosity)
        shifted = np.where(high > 1, lowered, shifted)
    return np.rint(np.clip(np.nan_to_num(shifted), 0, 1) * 255).astype(np.uint8)
