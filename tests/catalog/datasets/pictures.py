"""Picture files for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

ORIENTATION = 0x0112


def noise(seed: int, size: tuple[int, int] = (96, 96)) -> Image.Image:
    """A smooth random picture, another one for each seed."""
    small = np.random.default_rng(seed).integers(0, 255, (6, 6, 3), np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def save(folder: Path, name: str, image: Image.Image, **options: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    image.save(folder / name, **options)
    return folder / name


def turned(image: Image.Image, orientation: int = 6) -> Image.Exif:
    """EXIF that says how the camera was held."""
    exif = image.getexif()
    exif[ORIENTATION] = orientation
    return exif
