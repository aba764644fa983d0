"""What is known of a picture file after it was read once: size, turn, transparency, and how it looks.

Two pictures look the same when their `look` is nearly the same: 16 x 16 shades of grey of the whole picture,
stretched to one contrast, compared by their mean difference.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "AVIF", "TIFF", "BMP")
ENDINGS = (".png", ".jpg", ".jpeg", ".jfif", ".webp", ".gif", ".avif", ".tif", ".tiff", ".bmp")
MOST_PIXELS = 16384 * 16384 // 2
BROKEN = (OSError, ValueError, SyntaxError, TypeError, KeyError, IndexError, OverflowError, EOFError, MemoryError)
"""What Pillow raises for damaged files."""

_ORIENTATION = 0x0112
_LOOK = 16
_OPAQUE = 255
_DEEPEST = 65535


@dataclass(frozen=True)
class PictureFacts:
    """`width` x `height` of the upright picture; `turned`: the file lies otherwise and says so (EXIF); `look`: 256
    bytes in hex; `problem`: why it cannot be used, or empty."""

    width: int = 0
    height: int = 0
    turned: bool = False
    alpha: bool = False
    sha256: str = ""
    look: str = ""
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, table: dict[str, Any]) -> PictureFacts:
        return cls(**table)


def read_facts(path: Path) -> PictureFacts:
    """Read a picture file whole; what is wrong with it is in `problem`."""
    try:
        return facts_of(path.read_bytes())
    except OSError as error:
        return PictureFacts(problem=f"it cannot be read ({error.strerror})")


def facts_of(data: bytes) -> PictureFacts:
    """The facts of a picture file's bytes. Every pixel is decoded, so that half a file is noticed."""
    digest = hashlib.sha256(data).hexdigest()
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                return PictureFacts(sha256=digest, problem=f"{image.width}x{image.height} pixels are too many")
            turned = image.getexif().get(_ORIENTATION, 1) not in (0, 1)
            alpha = _is_transparent(image)
            upright = upright_picture(image)
            return PictureFacts(upright.width, upright.height, turned, alpha, digest, _look(upright))
    except Image.UnidentifiedImageError:
        problem = "it is not a picture of a known kind"
    except Image.DecompressionBombError:
        problem = "it claims to have too many pixels"
    except BROKEN:
        problem = "the file is damaged"
    return PictureFacts(sha256=digest, problem=problem)


def alike(looks: NDArray[np.float32], one: int) -> NDArray[np.float32]:
    """Mean differences (0 to 255) of picture `one` to all; `looks` is [pictures, 256] from `looks_of`."""
    return np.abs(looks - looks[one]).mean(axis=1)


def looks_of(facts: list[PictureFacts]) -> NDArray[np.float32]:
    """[pictures, 256] shades of the pictures' looks."""
    return (
        np.frombuffer(bytes.fromhex("".join(one.look for one in facts)), np.uint8)
        .reshape(len(facts), _LOOK * _LOOK)
        .astype(np.float32)
    )


def upright_picture(image: Image.Image) -> Image.Image:
    """The picture turned as its camera says, in 8 bits a channel: scans may have 16, and TIFF numbers up to 1."""
    upright = ImageOps.exif_transpose(image)
    if not upright.mode.startswith(("I", "F")):
        return upright
    values = np.asarray(upright, np.float32)
    if upright.mode.startswith("I;16") or values.max() > _OPAQUE:
        values = values * (_OPAQUE / _DEEPEST)
    elif upright.mode == "F" and values.max() <= 1:
        values = values * _OPAQUE
    return Image.fromarray(np.nan_to_num(values).clip(0, _OPAQUE).astype(np.uint8))


def _is_transparent(image: Image.Image) -> bool:
    """Whether any pixel is; an alpha channel that is all opaque says nothing."""
    if "A" not in image.getbands() and "transparency" not in image.info:
        return False
    lowest = image.convert("RGBA").getchannel("A").getextrema()[0]
    return isinstance(lowest, int | float) and lowest < _OPAQUE


def _look(image: Image.Image) -> str:
    grey = image.convert("RGBA") if "A" in image.getbands() or "transparency" in image.info else image
    if grey.mode == "RGBA":
        grey = Image.alpha_composite(Image.new("RGBA", grey.size, "white"), grey)
    small = grey.convert("L").resize((_LOOK, _LOOK), Image.Resampling.BOX)
    return ImageOps.autocontrast(small).tobytes().hex()
