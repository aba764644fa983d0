"""Pictures that requests begin with: kept once each, under the name of their content.

A request names a picture by the SHA-256 of its pixels (`PictureHash`), so equal pictures are one file, and a request
means the same picture for ever. Files are PNG, named HASH.png.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import struct
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from modules.catalog.writing import write_whole
from modules.schema.errors import BadRequest, NotFound, UserError
from modules.service.picture_text import read_picture_text

MOST_PIXELS = 16384 * 16384 // 2
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "AVIF", "TIFF", "BMP")
_BROKEN = (OSError, ValueError, SyntaxError, TypeError, KeyError, IndexError, OverflowError, struct.error, EOFError)
_MODES = {"1": "L", "L": "L", "LA": "RGBA", "PA": "RGBA", "RGBA": "RGBA", "I;16": "L"}
_LEVEL = 1
_SURELY_KEPT_SECONDS = 3600
_NAME = re.compile(r"\b[0-9a-f]{64}\b")
ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")


class InputPictures:
    """The folder of input pictures. Safe for threads and processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, data: bytes) -> str:
        """Keep a picture file of any usual format, turned upright; returns its name. Raises BadRequest."""
        return self.add_picture(read_picture(data))

    def add_picture(self, picture: Image.Image) -> str:
        """Keep a picture of mode RGB, RGBA or L; returns its name."""
        name = picture_hash(picture)
        path = self.folder / f"{name}.png"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if path.is_file():
                os.utime(path)
            else:
                file = io.BytesIO()
                picture.save(file, "PNG", compress_level=_LEVEL)
                write_whole(path, file.getvalue())
        except OSError as error:
            raise UserError(f"The picture could not be kept ({error.strerror}): make room on the disk.") from error
        return name

    def add_file(self, path: Path) -> tuple[str, str]:
        """Keep the picture in a file; returns its name and what it says of its making. Raises BadRequest."""
        try:
            data = path.read_bytes()
            return self.add(data), picture_infotext(data)
        except OSError as error:
            raise BadRequest(f"{path} cannot be read ({error.strerror}).", "pictures") from None
        except BadRequest as error:
            raise BadRequest(f"{path}: {error}", "pictures") from None

    def path(self, name: str) -> Path:
        """The file of that name; raises NotFound, or BadRequest where none was chosen."""
        if not name:
            raise BadRequest("There is no picture to begin with: choose one first.", "image")
        path = self.folder / f"{name}.png"
        if len(name) != 64 or not name.isalnum() or not path.is_file():
            raise NotFound("That picture is not there any more: choose it again.")
        return path

    def use(self, name: str) -> None:
        """Note that the picture is needed, so that it is kept for another while; raises NotFound."""
        path = self.path(name)
        with contextlib.suppress(OSError):
            os.utime(path)

    def open(self, name: str) -> Image.Image:
        """The picture of that name; raises NotFound."""
        with Image.open(self.path(name)) as picture:
            picture.load()
            return picture.copy()

    def opaque(self, name: str, background: str) -> Image.Image:
        """The picture of that name in RGB, `background` (#rrggbb) under what is transparent; raises NotFound."""
        picture = self.open(name)
        if picture.mode not in ("RGBA", "LA"):
            return picture.convert("RGB")
        whole = Image.new("RGBA", picture.size, background)
        whole.alpha_composite(picture.convert("RGBA"))
        return whole.convert("RGB")

    def prune(self, days: float, gib: float, requests: Iterable[str] = ()) -> None:
        """Remove pictures that nobody has used for so long, and where there is more than `gib` of them, those that
        were used longest ago; but none that open `requests` (as JSON) name, or that was used within the last hour."""
        needed = {name for request in requests for name in _NAME.findall(request)}
        now = time.time()
        room = gib * (1 << 30)
        for used, size, path in sorted(self._files(), reverse=True):
            room -= size
            kept = path.stem in needed or used > now - _SURELY_KEPT_SECONDS
            if not kept and (room < 0 or used < now - days * 86400):
                path.unlink(missing_ok=True)
                room += size

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        """When each picture was used last, its size in bytes, and its file."""
        for path in self.folder.glob("*.png"):
            with contextlib.suppress(OSError):
                status = path.stat()
                yield status.st_mtime, status.st_size, path


def read_picture(data: bytes) -> Image.Image:
    """Upright, as RGB, RGBA (where something is transparent) or L; raises BadRequest for what is no picture."""
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise BadRequest(f"A picture of {image.width}x{image.height} pixels is too large.")
            upright = ImageOps.exif_transpose(image)
            transparent = "transparency" in upright.info
            return upright.convert("RGBA" if transparent else _MODES.get(upright.mode, "RGB"))
    except UnidentifiedImageError:
        raise BadRequest("This is not a picture that can be read: use PNG, JPEG, WebP, GIF, AVIF or TIFF.") from None
    except Image.DecompressionBombError:
        raise BadRequest("The picture claims to have so many pixels that it is not opened.") from None
    except _BROKEN:
        raise BadRequest("The picture is damaged and cannot be read.") from None


def picture_hash(picture: Image.Image) -> str:
    """SHA-256 of mode, size and pixels, in hex."""
    head = f"{picture.mode} {picture.width}x{picture.height} ".encode()
    return hashlib.sha256(head + picture.tobytes()).hexdigest()


def picture_infotext(data: bytes) -> str:
    """What a picture file says of its making; formats that hold no text have none."""
    try:
        return read_picture_text(data).infotext
    except BadRequest:
        return ""


def pictures_at(path: Path) -> list[Path]:
    """The picture files in a folder and below it, 2 before 10; a file is itself. Raises BadRequest for neither."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise BadRequest(f"There is no file or folder {path}.", "pictures")
    found = [file for file in path.rglob("*") if file.suffix.lower() in ENDINGS and file.is_file()]
    if not found:
        raise BadRequest(f"There is no picture in {path}.", "pictures")
    return sorted(found, key=lambda file: [natural(part) for part in file.relative_to(path).parts])


def natural(name: str) -> list[tuple[int, str]]:
    """Sorts numbers in names by their value."""
    return [(int(part), "") if part.isdecimal() else (-1, part.casefold()) for part in re.split(r"(\d+)", name)]
