"""Fixed textures, the same in every picture and in step with the 8-pixel grid of the autoencoder."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

CELL = 8  # px
Texture = np.ndarray


@lru_cache(maxsize=16)
def dots(height: int, width: int, period: int) -> Texture:
    """float32 [H, W]: distance to the nearest point of a staggered lattice, in px."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    row = np.floor(y / period)
    shift = (row % 2) * (period / 2)
    dx = (x + shift) % period - (period - 1) / 2
    dy = y % period - (period - 1) / 2
    return np.hypot(dx, dy)


@lru_cache(maxsize=16)
def diagonals(height: int, width: int, rising: bool) -> Texture:
    """float32 [H, W]: 1 on slanted lines two px wide, one every 8 px."""
    y, x = np.mgrid[:height, :width]
    place = (x + y) % CELL if rising else (x - y) % CELL
    return (place < 2).astype(np.float32)


@lru_cache(maxsize=16)
def rows(height: int, width: int) -> Texture:
    """float32 [H, W]: 1 on lines three px wide, one every 8 px."""
    y = np.arange(height) % CELL
    return np.repeat((y < 3).astype(np.float32)[:, None], width, axis=1)


@lru_cache(maxsize=16)
def joints(height: int, width: int, period: int) -> Texture:
    """float32 [H, W]: 1 on the gaps between square tiles."""
    y, x = np.mgrid[:height, :width]
    return ((x % period == period - 1) | (y % period == period - 1)).astype(np.float32)


@lru_cache(maxsize=16)
def tile_light(height: int, width: int, period: int) -> Texture:
    """float32 [H, W], 0.82 to 1.18: the brightness of each tile, from a pattern of 8 x 8 tiles that repeats."""
    pattern = 0.82 + 0.36 * np.random.default_rng(7).random((8, 8), dtype=np.float32)
    y, x = np.mgrid[:height, :width]
    return pattern[(y // period) % 8, (x // period) % 8]


@lru_cache(maxsize=16)
def grain(height: int, width: int) -> Texture:
    """float32 [H, W], -1 to 1: soft blotches of watercolour paper, repeating every 32 px."""
    coarse = np.random.default_rng(3).random((8, 8), dtype=np.float32) * 2 - 1
    fine = np.kron(coarse, np.ones((4, 4), np.float32))
    for axis in (0, 1):
        fine = sum(np.roll(fine, shift, axis) for shift in (-2, -1, 0, 1, 2)) / 5
    fine /= np.abs(fine).max()
    repeats = (-(-height // 32), -(-width // 32))
    return np.tile(fine, repeats)[:height, :width]
