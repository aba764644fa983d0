"""Encoding a picture with its text into a file's bytes: PNG, and JPEG and WebP for those who ask for them."""

from __future__ import annotations

import io
from collections.abc import Mapping

from PIL import Image, PngImagePlugin

PARAMETERS = "parameters"
EXACT = "webui-request"
# Measured at 512x512 (zlib-ng): level 4 is as small as 5 to 9 on noisy pictures; 1 is a quarter faster, 9 % larger.
_PNG_LEVEL = 4
_JPEG_QUALITY = 80
_LONGEST_SIDE = {"jpeg": 65535, "webp": 16383}
# An EXIF block is one JPEG segment, whose length has 16 bits.
_LONGEST_EXIF = 65_000
_EXIF_IFD, _USER_COMMENT = 0x8769, 0x9286
EXACT_TAG = 0xEACF
"""EXIF tag (of the range for private use) with our exact request, as UTF-8."""
UNICODE_HEADER = b"UNICODE\0"

ENDINGS = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}


def encode_png(
    pixels: bytes,
    width: int,
    height: int,
    infotext: str = "",
    exact: str = "",
    others: Mapping[str, str] | None = None,
) -> bytes:
    """RGB `pixels` (height x width x 3 bytes) as PNG; the texts go into chunks, `others` by their key."""
    chunks = PngImagePlugin.PngInfo()
    for key, text in ((PARAMETERS, infotext), (EXACT, exact), *(others or {}).items()):
        if text:
            chunks.add_text(key, text)
    file = io.BytesIO()
    _image(pixels, width, height).save(file, "PNG", pnginfo=chunks, compress_level=_PNG_LEVEL)
    return file.getvalue()


def encode(
    pixels: bytes,
    width: int,
    height: int,
    *,
    format: str = "png",
    infotext: str = "",
    exact: str = "",
    quality: int = _JPEG_QUALITY,
) -> tuple[bytes, str]:
    """(file bytes, format) with the texts inside. JPEG and WebP keep them in EXIF.

    A picture or text that is too large for the wanted format comes back as "png", as in A1111. `format` is "png",
    "jpeg" or "webp"; `quality` 1 to 100.
    """
    exif = _exif(infotext, exact)
    if format == "png" or max(width, height) > _LONGEST_SIDE[format] or len(exif) > _LONGEST_EXIF:
        return encode_png(pixels, width, height, infotext, exact), "png"
    file = io.BytesIO()
    _image(pixels, width, height).save(file, format.upper(), quality=quality, exif=exif)
    return file.getvalue(), format


def _image(pixels: bytes, width: int, height: int) -> Image.Image:
    if len(pixels) != width * height * 3:
        raise ValueError(f"{len(pixels)} bytes are not a picture of {width}x{height} RGB pixels")
    return Image.frombytes("RGB", (width, height), pixels)


def _exif(infotext: str, exact: str) -> bytes:
    exif = Image.Exif()
    if exact:
        exif[EXACT_TAG] = exact.encode()
    if infotext:
        exif.get_ifd(_EXIF_IFD)[_USER_COMMENT] = UNICODE_HEADER + infotext.encode("utf-16-be")
    return exif.tobytes()
