"""What is known of a picture file after it was read once: size, turn, transparency, and how it looks.

Two pictures look the same when their `look` is nearly the same: 16 x 16 shades of grey of the whole picture,
stretched to one contrast, compared by their mean difference.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "AVIF", "TIFF", "BMP")
ENDINGS = (".png", ".jpg", ".jpeg", ".jfif", ".webp", ".gif", ".avif", ".tif", ".tiff", ".bmp")
MOST_PIXELS = 16384 * 16384 // 2
BROKEN = (OSError, ValueError, SyntaxError, TypeError, KeyError, IndexError, OverflowError, EOFError, MemoryError)
"""What Pillow raises for damaged files."""

_ORIENTATION = 0x0112
_LOOK = 16
_COARSE = 4
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


class Looks:
    """Finds pictures that look the same among many, by the `look` of each."""

    def __init__(self, looks: Sequence[str]) -> None:
        shades = np.frombuffer(bytes.fromhex("".join(looks)), np.uint8)
        self._fine = shades.reshape(len(looks), _LOOK * _LOOK).astype(np.float32)
        blocks = self._fine.reshape(len(looks), _COARSE, _LOOK // _COARSE, _COARSE, _LOOK // _COARSE)
        self._coarse = blocks.mean(axis=(2, 4)).reshape(len(looks), _COARSE * _COARSE)

    def near(self, one: int, most: float) -> list[int]:
        """Indices from `one` on whose mean difference to it (0 to 255) is at most `most`, itself first."""
        # Means of blocks never differ by more than what they are the means of.
        roughly = np.abs(self._coarse[one:] - self._coarse[one]).mean(axis=1) <= most
        found = roughly.nonzero()[0] + one
        exactly = np.abs(self._fine[found] - self._fine[one]).mean(axis=1) <= most
        return [int(index) for index in found[exactly]]


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
