"""What a picture file says about how it was made: A1111's text, our exact request, or what NovelAI wrote."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image, UnidentifiedImageError

from modules.schema.errors import BadRequest, UserError
from modules.schema.infotext import read_json
from modules.schema.json_object import parse_object
from modules.schema.request import GenerationRequest
from modules.service.picture_files import EXACT, EXACT_TAG, PARAMETERS, UNICODE_HEADER

_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "AVIF")
# What decoders of damaged or hostile files raise.
_BROKEN = (OSError, ValueError, SyntaxError, TypeError, KeyError, IndexError, OverflowError, struct.error, EOFError)
_NOVELAI_SAMPLERS = {"k_euler": "Euler", "k_dpmpp_2m": "DPM++ 2M", "k_dpmpp_sde": "DPM++ SDE", "ddim": "DDIM"}


@dataclass(frozen=True)
class PictureText:
    """`infotext` is "" where there is none. `request` is exact, from our own chunk; `facts` go with it.

    `items`: other text in the file. `notices`: sentences about what could not be read.
    """

    infotext: str
    request: GenerationRequest | None
    format: str
    width: int
    height: int
    facts: dict[str, Any] = field(default_factory=dict[str, Any])
    items: dict[str, str] = field(default_factory=dict[str, str])
    notices: list[str] = field(default_factory=list[str])


def read_picture_text(source: Path | bytes) -> PictureText:
    """The text in a picture; its pixels are not decoded. Raises BadRequest for what is no (whole) picture."""
    try:
        file = io.BytesIO(source) if isinstance(source, bytes) else source
        with Image.open(file, formats=_FORMATS) as image:
            return _read(image)
    except FileNotFoundError:
        raise BadRequest("The picture is not there any more.") from None
    except Image.DecompressionBombError:
        raise BadRequest("The picture claims to have so many pixels that it is not opened.") from None
    except UnidentifiedImageError:
        raise BadRequest("This is not a picture that can be read: use PNG, JPEG, WebP, GIF or AVIF.") from None
    except UserError:
        raise
    except _BROKEN:
        raise BadRequest("The picture is damaged and cannot be read.") from None


def _read(image: Image.Image) -> PictureText:
    # PNG's text chunks are `str`s; other formats have none but their comments.
    items = {str(key): str(value) for key, value in image.info.items() if isinstance(value, str) and value}
    infotext = items.pop(PARAMETERS, "")
    exact = items.pop(EXACT, None) or _exact_in_exif(image)
    infotext = (_user_comment(image) or _gif_comment(image) or infotext or _from_novelai(items, image)).strip()
    basics = (image.format or "", image.width, image.height)
    if exact is None:
        return PictureText(infotext, None, *basics, items=items)
    try:
        found = read_json(exact)
    except BadRequest as error:
        return PictureText(infotext, None, *basics, items=items, notices=[str(error)])
    return PictureText(infotext, found.request, *basics, found.facts, items, found.notices)


def _exact_in_exif(image: Image.Image) -> str | None:
    try:
        found = _exif(image).get(EXACT_TAG)
    except _BROKEN:
        return None
    return found.decode("utf-8", "replace") if isinstance(found, bytes) else None


def _exif(image: Image.Image) -> Image.Exif:
    """Without decoding the pixels, as a PNG's own method does where there is no EXIF before them."""
    return Image.Image.getexif(image)


def _gif_comment(image: Image.Image) -> str:
    comment = image.info.get("comment", b"") if image.format == "GIF" else b""
    return comment.decode("utf-8", "replace") if isinstance(comment, bytes) else ""


def _user_comment(image: Image.Image) -> str:
    try:
        comment = _exif(image).get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.UserComment)
    except _BROKEN:
        return ""
    if isinstance(comment, str):
        return comment.strip("\0 ")
    return decode_user_comment(comment) if isinstance(comment, bytes) else ""


def decode_user_comment(comment: bytes) -> str:
    """The text of an EXIF UserComment: 8 bytes of character set, then the text.

    "UNICODE" means UTF-16; big-endian is what A1111 and most others write, but the file's own byte order is seen too:
    then it is told by where the zero bytes are.
    """
    header, body = comment[:8], comment[8:]
    if header == UNICODE_HEADER:
        if body[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return body.decode("utf-16", "replace").strip("\0")
        little = body[1::2].count(0) > body[0::2].count(0)
        return body.decode("utf-16-le" if little else "utf-16-be", "replace").strip("\0")
    if header.rstrip(b"\0 ") in (b"ASCII", b"JIS", b""):
        return body.decode("utf-8", "replace").strip("\0 ")
    return comment.decode("utf-8", "replace").strip("\0 ")


def _from_novelai(items: dict[str, str], image: Image.Image) -> str:
    """A1111's text for a picture of NovelAI's first models, which skip a layer of the text encoder; else ""."""
    if items.get("Software") != "NovelAI":
        return ""
    made = parse_object(items.get("Comment", ""))
    if made is None:
        return ""
    sampler = _NOVELAI_SAMPLERS.get(str(made.get("sampler")), "Euler a")
    pairs = {"Steps": made.get("steps"), "Sampler": sampler, "CFG scale": made.get("scale"), "Seed": made.get("seed")}
    known = ", ".join(f"{key}: {value}" for key, value in pairs.items() if isinstance(value, (str, int, float)))
    line = f"{known}, Size: {image.width}x{image.height}, Clip skip: 2, ENSD: 31337"
    return f"{items.get('Description', '')}\nNegative prompt: {made.get('uc', '')}\n{line}"
