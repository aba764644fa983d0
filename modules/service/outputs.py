"""Finished pictures on the disk: where they go, what they are called, and the text in them."""

from __future__ import annotations

import errno
import os
import re
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from modules.catalog.writing import write_whole
from modules.schema.errors import NotFound, UserError
from modules.schema.infotext import write, write_json
from modules.schema.request import GenerationRequest
from modules.schema.settings import Folders, Settings
from modules.service.naming import Naming, Place, folder_parts, sanitize
from modules.service.picture_files import ENDINGS, encode
from modules.service.picture_text import PictureText, read_picture_text

_NUMBER = re.compile(r"^(\d{1,9})(?=[-.])")
_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif")
_DENIED = (errno.EROFS, errno.EACCES, errno.EPERM)
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class SavedImage:
    """A written picture: `name` is its path below the outputs folder, with slashes; `path` its file."""

    name: str
    path: Path
    infotext: str


class Outputs:
    """The outputs folder. Safe for threads; a picture's file appears whole or not at all.

    `fixed` are settings that are so here whatever the others say.
    """

    def __init__(self, folders: Folders, settings: Settings, **fixed: Any) -> None:
        self._root = folders.outputs
        self._fixed = fixed
        self._settings = settings.replace(**fixed)
        self._lock = threading.Lock()
        self._taken: dict[Path, set[int]] = {}

    def use(self, settings: Settings) -> None:
        """Save as these settings say from now on."""
        self._settings = settings.replace(**self._fixed)

    def encode(
        self,
        pixels: bytes,
        width: int,
        height: int,
        request: GenerationRequest,
        facts: Mapping[str, Any],
        *,
        lossless: bool = True,
    ) -> tuple[bytes, str, str]:
        """(file, its ending, infotext) of RGB `pixels`: PNG, or else the settings' format.

        The texts are in the file unless the settings say otherwise.
        """
        infotext = write(request, facts)
        texts = (infotext, write_json(request, facts)) if self._settings.write_infotext else ("", "")
        wanted = "png" if lossless else self._settings.samples_format
        quality = self._settings.jpeg_quality
        data, format = encode(
            pixels, width, height, format=wanted, infotext=texts[0], exact=texts[1], quality=quality
        )
        return data, ENDINGS[format], infotext

    def save(
        self,
        pixels: bytes,
        width: int,
        height: int,
        request: GenerationRequest,
        facts: Mapping[str, Any],
        *,
        kind: str = "txt2img-images",
        place: Place | None = None,
        lossless: bool = False,
    ) -> SavedImage:
        """Write a picture as `KIND/FOLDERS/NUMBER-NAME.png` and return where; raises UserError where it cannot.

        The settings choose the format, unless it must be `lossless`.

        Folders and name come from the patterns in the settings; the number is the largest there is, plus one.
        """
        longest = self._settings.filenames_max_length
        naming = Naming(request, facts, pixels, datetime.now(), place or Place(), longest)
        folder = self._root.joinpath(*folder_parts(kind), *self._sub_folders(naming))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with self._number(folder) as number:
                data, ending, infotext = self.encode(pixels, width, height, request, facts, lossless=lossless)
                stem = naming.file_stem(self._pattern())
                path = folder / (f"{number:05}-{stem}{ending}" if stem else f"{number:05}{ending}")
                write_whole(path, data)
                if self._settings.save_txt:
                    write_whole(path.with_name(f"{path.name.removesuffix(ending)}.txt"), f"{infotext}\n".encode())
        except OSError as error:
            raise _cannot_save(error, folder) from error
        return SavedImage(path.relative_to(self._root).as_posix(), path, infotext)

    def save_file(
        self, data: bytes, infotext: str, *, kind: str, base: str = "", stem: str = "", caption: str = ""
    ) -> SavedImage:
        """Write a finished PNG file below `KIND/FOLDERS`, as NUMBER-STEM, or with a `base` as BASE-NUMBER-STEM; a
        `caption` goes into the .txt beside it.

        Folders follow the date and nothing else of their pattern; raises UserError where it cannot be written.
        """
        naming = Naming(GenerationRequest(), {}, b"", datetime.now(), Place(), self._settings.filenames_max_length)
        folder = self._root.joinpath(*folder_parts(kind), *self._sub_folders(naming))
        name = sanitize(stem, spaces=False, longest=self._settings.filenames_max_length)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with self._number(folder, base) as number:
                begin = f"{base}-{number:04}" if base else f"{number:05}"
                path = folder / (f"{begin}-{name}.png" if name else f"{begin}.png")
                write_whole(path, data)
                if caption:
                    write_whole(path.with_suffix(".txt"), caption.encode())
        except OSError as error:
            raise _cannot_save(error, folder) from error
        return SavedImage(path.relative_to(self._root).as_posix(), path, infotext)

    def read(self, source: Path | bytes) -> PictureText:
        """The text in a picture of whatever origin; raises BadRequest for what is no picture."""
        return read_picture_text(source)

    def path(self, name: str) -> Path:
        """The picture of that address below the outputs folder; raises NotFound for anything else."""
        parts = name.split("/")
        safe = all(part and part not in (".", "..") and not set(part) & set("\\:\0") for part in parts)
        path = self._root.joinpath(*parts) if safe else None
        if path is None or path.suffix.lower() not in _PICTURES or not path.is_file():
            raise NotFound(f"There is no picture {name!r}.")
        return path

    def _pattern(self) -> str:
        usual = "[seed]" if self._settings.save_to_dirs else "[seed]-[prompt_spaces]"
        return self._settings.samples_filename_pattern or usual

    def _sub_folders(self, naming: Naming) -> list[str]:
        if not self._settings.save_to_dirs:
            return []
        return folder_parts(naming.expand(self._settings.directories_filename_pattern))

    @contextmanager
    def _number(self, folder: Path, base: str = "") -> Generator[int]:
        """A number that no file in the folder has, and no other thread gets while this one is writing."""
        with self._lock:
            taken = self._taken.setdefault(folder / base, set())
            number = max(_largest_number(folder, base), *taken, -1) + 1
            taken.add(number)
        try:
            yield number
        finally:
            with self._lock:
                taken.discard(number)
                if not taken:
                    self._taken.pop(folder / base, None)


def _largest_number(folder: Path, base: str = "") -> int:
    """The largest number that a picture in the folder begins with (after `base` and a dash); -1 for none."""
    begin = f"{base}-" if base else ""
    with os.scandir(folder) as entries:
        names = [e.name for e in entries if e.name.startswith(begin) and e.name.lower().endswith(_PICTURES)]
        matches = (_NUMBER.match(name[len(begin) :]) for name in names)
        return max((int(match[1]) for match in matches if match), default=-1)


def _cannot_save(error: OSError, folder: Path) -> UserError:
    if error.errno in _FULL:
        return UserError(f"The disk of the folder {folder} is full: make room, or choose another outputs folder.")
    if error.errno in _DENIED:
        return UserError(f"The folder {folder} may not be written to: choose another outputs folder.")
    return UserError(f"The picture could not be written to {folder} ({error.strerror}).")
