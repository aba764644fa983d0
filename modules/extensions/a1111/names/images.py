"""A1111's modules.images, as far as it is plain work on pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image

__all__ = ["image_grid", "resize_image"]


def image_grid(imgs: Sequence[Image.Image], batch_size: int = 1, rows: int | None = None) -> Image.Image:
    """The pictures side by side, in about as many rows as columns."""
    del batch_size
    down = max(rows or math.isqrt(len(imgs)) or 1, 1)
    across = math.ceil(len(imgs) / down)
    width, height = imgs[0].size
    sheet = Image.new("RGB", (across * width, down * height), "black")
    for index, picture in enumerate(imgs):
        sheet.paste(picture, (index % across * width, index // across * height))
    return sheet


def resize_image(resize_mode: int, im: Image.Image, width: int, height: int) -> Image.Image:
    """0: stretched; 1: cut to fit; 2: fitted into a frame of its edge colour's black."""
    if resize_mode == 0:
        return im.resize((width, height), Image.Resampling.LANCZOS)
    pick = max if resize_mode == 1 else min
    factor = pick(width / im.width, height / im.height)
    sized = im.resize((max(round(im.width * factor), 1), max(round(im.height * factor), 1)), Image.Resampling.LANCZOS)
    sheet = Image.new("RGB", (width, height), "black")
    sheet.paste(sized, ((width - sized.width) // 2, (height - sized.height) // 2))
    return sheet
