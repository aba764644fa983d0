"""The point of a picture that should stay in sight when something is cut off.

As in A1111's focal point crop: the mean of faces, of corners (Shi and Tomasi, "Good features to track", 1994) and of
the place with the most going on (entropy), by their weights. Points are shares of width and height.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from modules.catalog.datasets.opening import flat

Point = tuple[float, float]
Grey = NDArray[np.float32]

_SIDE = 256
_STRIDE = 4
_MOST_CORNERS = 100
_QUALITY = 0.04
_NEIGHBOURS = 7
_CORNERS_END = 0.9
_LEVELS = 16


def focal_point(
    image: Image.Image, faces: Sequence[Point] = (), *, face: float = 0.9, edges: float = 0.5, entropy: float = 0.15
) -> Point:
    """The weighted mean of the picture's points of interest; its middle where nothing stands out."""
    small = flat(image)
    small.thumbnail((_SIDE, _SIDE))
    grey = np.asarray(small.convert("L"), np.float32)
    found = [(_middle(faces), face), (corner_point(grey), edges), (entropy_point(grey), entropy)]
    points = [(point, weight) for point, weight in found if point is not None and weight > 0]
    total = sum(weight for _, weight in points)
    if not total:
        return 0.5, 0.5
    x, y = (sum(point[axis] * weight for point, weight in points) / total for axis in (0, 1))
    return round(x, 4), round(y, 4)


def _middle(points: Sequence[Point]) -> Point | None:
    if not points:
        return None
    return sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)


def corner_point(grey: Grey) -> Point | None:
    """The middle of the strongest corners of [height, width] shades; the lowest tenth, where signatures are, is not
    looked at. None where there is no corner."""
    height, width = grey.shape
    if min(height, width) < _NEIGHBOURS:
        return None
    strength = _corner_strength(grey)
    strength[int(height * _CORNERS_END) :] = 0
    strongest = strength.max()
    if strongest <= 1e-3:
        return None
    # A corner is the strongest of its neighbourhood.
    peaks = Image.fromarray(strength).filter(ImageFilter.MaxFilter(_NEIGHBOURS))
    is_corner = (strength >= np.asarray(peaks)) & (strength >= _QUALITY * strongest)
    rows, columns = is_corner.nonzero()
    order = np.argsort(-strength[rows, columns], kind="stable")[:_MOST_CORNERS]
    return (float(columns[order].mean()) + 0.5) / width, (float(rows[order].mean()) + 0.5) / height


def entropy_point(grey: Grey) -> Point | None:
    """The middle of the square (half the short side) whose shades have the highest entropy; None for a plain one."""
    height, width = grey.shape
    side = max(min(height, width) // 2, 1)
    levels = np.minimum(grey / (256 / _LEVELS), _LEVELS - 1).astype(np.int32)
    best, point = 0.0, None
    for upper in range(0, height - side + 1, _STRIDE):
        for left in range(0, width - side + 1, _STRIDE):
            counts = np.bincount(levels[upper : upper + side, left : left + side].ravel(), minlength=_LEVELS)
            share = counts[counts > 0] / side**2
            bits = float(-(share * np.log2(share)).sum())
            if bits > best + 1e-6:
                best, point = bits, ((left + side / 2) / width, (upper + side / 2) / height)
    return point


def _corner_strength(grey: Grey) -> Grey:
    """The smaller eigenvalue of each pixel's summed gradient products (3 x 3), [height, width]."""
    down, right = np.gradient(grey)
    xx, yy, xy = (_summed(product) for product in (right * right, down * down, right * down))
    return ((xx + yy) / 2 - np.sqrt(((xx - yy) / 2) ** 2 + xy**2)).astype(np.float32)


def _summed(values: Grey) -> Grey:
    """Sums over 3 x 3 pixels."""
    padded = np.pad(values, 1, mode="edge")
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    return rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
