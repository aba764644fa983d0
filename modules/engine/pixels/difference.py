"""Soft inpainting's second half: where a result differs enough from its original to be shown."""

from __future__ import annotations

import numpy as np
from PIL import Image

from modules.engine.pixels.masks import blur
from modules.schema.parts import SoftInpaint

Array = np.ndarray

_RADIUS, _SIGMA = 2, 1.5
_BLUR = 4.0


def changed_mask(distance: Array, mask: Array, options: SoftInpaint, size: tuple[int, int]) -> Image.Image:
    """The overlay mask (L, of `size`) from how far each latent pixel has moved; white shows the result.

    distance, mask: float [h,w]; mask 1 is drawn anew. Far outliers are smoothed by taking means of the middle of
    each place's neighbourhood.
    """
    smooth = _middle_mean(_middle_mean(distance, 0.9, 1.0), 0.25, 0.75)
    kept = mask ** (options.preservation_strength / 2)
    share = 0.5 * (1 - options.mask_influence) + options.mask_influence * (1 - kept)
    scaled = smooth / (np.maximum(options.difference_threshold, 1e-6) * share / (1.00001 - share) + 1e-12)
    likeness = 1 / (1 + scaled**options.difference_contrast)
    eased = likeness**3 * (likeness * (6 * likeness - 15) + 10)
    small = Image.fromarray(np.rint(255 * (1 - eased)).astype(np.uint8))
    return blur(small.resize(size, Image.Resampling.LANCZOS), _BLUR, _BLUR)


def _middle_mean(values: Array, low: float, high: float) -> Array:
    """At each place the mean of its neighbours' values between two quantiles, near ones weighing more."""
    offsets = range(-_RADIUS, _RADIUS + 1)
    padded = np.pad(values, _RADIUS)
    inside = np.pad(np.ones_like(values), _RADIUS)
    height, width = values.shape
    around, weights = [], []
    for y in offsets:
        for x in offsets:
            cut = np.s_[_RADIUS + y : _RADIUS + y + height, _RADIUS + x : _RADIUS + x + width]
            around.append(padded[cut])
            weights.append(inside[cut] * np.exp(-0.5 * (x * x + y * y) / _SIGMA**2))
    order = np.argsort(around, 0)
    ranked = np.take_along_axis(np.stack(around), order, 0)
    weight = np.take_along_axis(np.stack(weights), order, 0)
    ends = np.cumsum(weight, 0) / weight.sum(0)
    begins = np.concatenate([np.zeros_like(ends[:1]), ends[:-1]])
    used = np.clip(np.minimum(ends, high) - np.maximum(begins, low), 0, None)
    return (ranked * used).sum(0) / used.sum(0)
