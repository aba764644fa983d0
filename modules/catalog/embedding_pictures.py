"""Embeddings inside pictures, as AUTOMATIC1111 shares them: in a PNG text chunk, or hidden in the pixels.

The chunk `sd-ti-embedding` is base64 of JSON in which a tensor is {"TORCHTENSOR": nested lists}. Hidden data is the
same JSON through zlib; its bytes' low halves fill the low 4 bits of a block left of the picture, the high halves
those of a block on its right, row by row, each set apart by a black column and XOR-ed with a fixed random sequence.
The high 4 bits of the blocks are decoration.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import zlib
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from modules.schema.errors import ModelFileError
from modules.schema.json_object import parse_object

ENDINGS = (".png", ".webp", ".avif", ".jxl")
CHUNK = "sd-ti-embedding"
_MOST_PIXELS = 50_000_000
_MOST_JSON = 64 * 2**20
_CHANNELS = 3
# What Pillow raises for damaged files.
_BROKEN = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)

Bytes = NDArray[np.uint8]


def read_picture(path: Path) -> dict[str, Any] | None:
    """The table in a picture, tensors as {"TORCHTENSOR": lists}; None where it carries none.

    Raises ModelFileError for a file that is no picture.
    """
    try:
        with Image.open(path) as image:
            if image.width * image.height > _MOST_PIXELS:
                raise ModelFileError(f"{path.name} is too large a picture to carry an embedding.")
            image.load()
            text = cast("dict[str, Any]", getattr(image, "text", {})).get(CHUNK)
            if isinstance(text, str):
                return _from_chunk(text)
            return _from_pixels(np.asarray(image.convert("RGB")))
    except _BROKEN as error:
        raise ModelFileError(f"{path.name} is not a picture that can be read ({error}).") from None


def shapes_of(table: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors in a table, nested ones by their own name."""
    found: dict[str, tuple[int, ...]] = {}
    for name, value in table.items():
        if isinstance(value, dict):
            inner = cast("dict[str, Any]", value)
            found |= (
                {name: _shape(inner["TORCHTENSOR"])} if "TORCHTENSOR" in inner else {name: (), **shapes_of(inner)}
            )
    return found


def _shape(value: object) -> tuple[int, ...]:
    if not isinstance(value, list):
        return ()
    items = cast("list[object]", value)
    return (len(items), *(_shape(items[0]) if items else ()))


def chunk_of(table: dict[str, Any]) -> PngImagePlugin.PngInfo:
    """The text chunk to save a PNG with."""
    info = PngImagePlugin.PngInfo()
    info.add_text(CHUNK, base64.b64encode(json.dumps(table).encode()).decode())
    return info


def hide(table: dict[str, Any], picture: Image.Image) -> Image.Image:
    """The picture between the two blocks that hold `table`."""
    data = np.frombuffer(zlib.compress(json.dumps(table).encode(), level=9), np.uint8)
    low, high = (_block(half, picture.height) for half in (data & 0x0F, data >> 4))
    wide = Image.new("RGB", (picture.width + low.shape[1] + high.shape[1] + 2, picture.height))
    wide.paste(Image.fromarray(low), (0, 0))
    wide.paste(picture.convert("RGB"), (low.shape[1] + 1, 0))
    wide.paste(Image.fromarray(high), (low.shape[1] + 1 + picture.width + 1, 0))
    return wide


def _block(halves: Bytes, height: int) -> Bytes:
    """[height, width, 3] of half bytes, filled up by beginning anew, over a texture in the high bits."""
    width = math.ceil(halves.size / (height * _CHANNELS)) or 1
    filled = np.resize(halves, (height, width, _CHANNELS))
    rows, columns = np.mgrid[0:height, 0:width]
    # A soft weave; never black, so that no column of it can pass for a border.
    texture = (128 + 64 * np.sin(rows / 5) * np.cos(columns / 5)).astype(np.uint8) & 0xF0
    return (filled ^ _random_halves(filled.shape)) | texture[:, :, None]


def _from_chunk(text: str) -> dict[str, Any] | None:
    try:
        return parse_object(base64.b64decode(text))
    except (binascii.Error, ValueError):
        return None


def _from_pixels(pixels: Bytes) -> dict[str, Any] | None:
    halves = _without_border(pixels) & 0x0F
    black = np.flatnonzero(~halves.any(axis=(0, 2)))
    if black.size < 2:
        return None
    left, right = halves[:, : black[0]], halves[:, black[-1] + 1 :]
    if left.shape != right.shape or not left.size:
        return None
    random = _random_halves(left.shape)
    data = ((right ^ random) << 4 | (left ^ random)).tobytes()
    try:
        return parse_object(zlib.decompressobj().decompress(data, _MOST_JSON))
    except zlib.error:
        return None


def _without_border(pixels: Bytes) -> Bytes:
    """Without black rows and columns around everything, which some hosts add."""
    lit = pixels.all(axis=2)
    rows, columns = np.flatnonzero(lit.any(axis=1)), np.flatnonzero(lit.any(axis=0))
    if not rows.size:
        return pixels
    return pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _random_halves(shape: tuple[int, ...]) -> Bytes:
    """The fixed sequence: x -> 1664525 x + 1013904223 mod 2^32 from 0, each value mod 255, its low half."""
    count = math.prod(shape)
    values = np.zeros(count, np.uint64)
    step, shift, known = 1664525, 1013904223, 1
    if count:
        values[0] = shift
    # The first n values give the next n: n steps at once are one step with other numbers.
    while known < count:
        block = values[: min(known, count - known)]
        values[known : known + len(block)] = (block * np.uint64(step) + np.uint64(shift)) & np.uint64(0xFFFFFFFF)
        shift = (step * shift + shift) % 2**32
        step = step * step % 2**32
        known *= 2
    return (values % 255).astype(np.uint8).reshape(shape) & 0x0F
