"""The contact sheet that A1111's API puts before the pictures of a batch."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

from PIL import Image
from PIL.PngImagePlugin import PngInfo


def grid_rows(count: int, *, rows: int = -1, batch_size: int = 1, no_gaps: bool = False) -> int:
    """Rows of a grid of `count` pictures. `rows`: -1 is near square, 0 is one row a picture of a batch.

    `no_gaps` takes the largest divisor up to the square root instead of its nearest number.
    """
    if rows > 0:
        wanted = rows
    elif rows == 0:
        wanted = batch_size
    elif no_gaps:
        wanted = next(n for n in range(math.isqrt(count), 0, -1) if count % n == 0)
    else:
        wanted = round(math.sqrt(count))
    return max(1, min(wanted, count))


def make_grid(pictures: Sequence[bytes], rows: int, infotext: str | None) -> bytes:
    """Encoded pictures side by side, row after row, as one PNG that carries `infotext`."""
    images = [Image.open(io.BytesIO(data)).convert("RGB") for data in pictures]
    columns = math.ceil(len(images) / rows)
    width, height = images[0].size
    sheet = Image.new("RGB", (columns * width, rows * height))
    for index, image in enumerate(images):
        sheet.paste(image, (index % columns * width, index // columns * height))
    text = PngInfo()
    if infotext:
        text.add_itxt("parameters", infotext)
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", pnginfo=text)
    return buffer.getvalue()
