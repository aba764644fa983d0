"""Files that are sent to become part of a data set: pictures, captions (.txt), masks, and zips of them.

Nothing is believed: kinds are told by the first bytes, names are only words, sizes are counted while reading.
"""

from __future__ import annotations

import os
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, BinaryIO

from modules.catalog.datasets.captions import decode_text
from modules.catalog.datasets.facts import ENDINGS, facts_of
from modules.catalog.datasets.folder import MASK
from modules.catalog.writing import write_whole
from modules.schema.errors import UserError
from modules.service.naming import folder_parts, sanitize

MOST_FILES = 5000
MOST_FILE_BYTES = 64 << 20
MOST_BYTES = 4 << 30
_MOST_TEXT_BYTES = 256 << 10
_MOST_SHRUNK = 100
_SHRUNK_FREE = 1 << 20
_CHUNK = 1 << 20
_LONGEST_STEM = 120
_MOST_REFUSED = 200
_LONGEST_LIST = 8 << 20
_LONGEST_END = 22 + 65_535 + 20

_KINDS: tuple[tuple[int, bytes, tuple[str, ...]], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", (".png",)),
    (0, b"\xff\xd8\xff", (".jpg", ".jpeg", ".jfif")),
    (8, b"WEBP", (".webp",)),
    (0, b"GIF8", (".gif",)),
    (4, b"ftypavi", (".avif",)),
    (0, b"II*\x00", (".tif", ".tiff")),
    (0, b"MM\x00*", (".tif", ".tiff")),
    (0, b"BM", (".bmp",)),
)
_ZIP = b"PK\x03\x04"


@dataclass(frozen=True)
class Refused:
    """A file that was not taken, and why."""

    file: str
    sentence: str


@dataclass
class Arrived:
    """What became of an upload: names of the new files, captions by picture's file name, and what was refused."""

    added: list[str] = field(default_factory=list[str])
    captions: dict[str, str] = field(default_factory=dict[str, str])
    refused: list[Refused] = field(default_factory=list[Refused])

    def refuse(self, file: str, sentence: str) -> None:
        if len(self.refused) < _MOST_REFUSED:
            self.refused.append(Refused(file, sentence))


@dataclass(frozen=True)
class _Item:
    """One file: `read` gives its bytes or raises UserError."""

    name: str
    read: Callable[[], bytes]

    @property
    def order(self) -> int:
        """Pictures come before their masks, and those before captions."""
        stem, ending = os.path.splitext(self.name.lower())
        return 2 if ending == ".txt" else int(stem.endswith(MASK))


class _Budget:
    """Bytes that one upload may still unfold to."""

    def __init__(self, left: int) -> None:
        self._left = left

    def take(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise UserError(f"all files together have more than the {MOST_BYTES >> 30} GiB that are taken at a time")


def take_in(folder: Path, files: Iterable[tuple[str, BinaryIO]]) -> Arrived:
    """Put (name, file) pairs into a data set's folder; captions are handed back, not written. Raises OSError.

    A name that is taken by another picture gets a number; a picture that is there already is not added again.
    """
    arrived, taken = Arrived(), _Names(folder)
    budget = _Budget(MOST_BYTES)
    items = list(_items(files, budget, arrived))
    for item in sorted(items[:MOST_FILES], key=lambda item: item.order):
        try:
            _take(item, taken, arrived)
        except UserError as error:
            arrived.refuse(item.name, str(error))
    if len(items) > MOST_FILES:
        arrived.refuse("", f"Only the first {MOST_FILES} files were taken: send the others once more.")
    return arrived


def _items(files: Iterable[tuple[str, BinaryIO]], budget: _Budget, arrived: Arrived) -> Iterator[_Item]:
    for name, file in files:
        start = file.read(len(_ZIP))
        file.seek(0)
        if start == _ZIP:
            yield from _unzipped(name, file, budget, arrived)
        else:
            yield _Item(_base(name), lambda file=file: _limited(file, MOST_FILE_BYTES, budget))


def _unzipped(name: str, file: BinaryIO, budget: _Budget, arrived: Arrived) -> Iterator[_Item]:
    try:
        _check_list(file)
        # Kept open by the items that read from it.
        archive = zipfile.ZipFile(file)
    except UserError as error:
        arrived.refuse(_base(name), str(error))
        return
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        arrived.refuse(_base(name), "the zip is damaged")
        return
    for entry in archive.infolist():
        base = _base(entry.filename)
        if entry.is_dir() or base.startswith((".", "__")) or "__MACOSX" in entry.filename or not base:
            continue
        if stat.S_ISLNK(entry.external_attr >> 16):
            arrived.refuse(base, "a link in a zip is not followed")
        else:
            yield _Item(base, lambda entry=entry: _from_zip(archive, entry, budget))


def _check_list(file: BinaryIO) -> None:
    """Raise UserError when a zip's own list of its files is so long that reading it would take all memory.

    Format: the end record (PK 5 6) holds the list's bytes as 32 bits at 12; a further record (PK 6 7) before it, for
    lists that need 64 bits.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _LONGEST_END))
    end = file.read()
    file.seek(0)
    at = end.rfind(b"PK\x05\x06")
    record = end[at : at + 22] if at >= 0 else b""
    too_long = len(record) == 22 and int.from_bytes(record[12:16], "little") > _LONGEST_LIST
    if too_long or b"PK\x06\x07" in end[max(0, at - 20) : max(0, at)]:
        raise UserError(f"the zip holds more than the {MOST_FILES} files that are taken at a time")


def _from_zip(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, budget: _Budget) -> bytes:
    if entry.flag_bits & 1:
        raise UserError("it is locked with a password: unpack the zip first")
    if entry.file_size > max(_SHRUNK_FREE, entry.compress_size * _MOST_SHRUNK):
        raise UserError("it unpacks to so much more than its size that it is not opened")
    try:
        with archive.open(entry) as file:
            return _limited(file, min(MOST_FILE_BYTES, entry.file_size), budget)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, ValueError):
        raise UserError("the zip is damaged here, or of a kind that is not known") from None


def _limited(file: IO[bytes], most: int, budget: _Budget) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := file.read(_CHUNK):
        size += len(part)
        if size > most:
            raise UserError(f"it has more than the {MOST_FILE_BYTES >> 20} MiB that a file may have")
        budget.take(len(part))
        parts.append(part)
    return b"".join(parts)


class _Names:
    """The names in a folder, and what the stems of this upload became."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._pictures: dict[str, str] = {}
        for name in sorted(os.listdir(folder)):
            if name.lower().endswith(ENDINGS):
                self._pictures.setdefault(os.path.splitext(name)[0].casefold(), name)
        self._became: dict[str, str] = {}

    def known(self, stem: str) -> str | None:
        """File name of the picture of that stem: of this upload, else of the folder."""
        return self._pictures.get(self._became.get(stem.casefold(), stem).casefold())

    def give(self, stem: str, ending: str, data: bytes) -> str | None:
        """A free file name for a picture; None when that very picture is there already."""
        for number in range(1, MOST_FILES * 2):
            new = stem if number == 1 else f"{stem} ({number})"
            old = self._pictures.get(new.casefold())
            if old is None:
                self._became[stem.casefold()] = new
                self._pictures[new.casefold()] = new + ending
                return new + ending
            if _same(self.folder / old, data):
                self._became[stem.casefold()] = new
                return None
        raise UserError("there are too many pictures of this name")


def _take(item: _Item, names: _Names, arrived: Arrived) -> None:
    stem, ending = os.path.splitext(item.name)
    clean = _clean(stem)
    if ending.lower() == ".txt":
        _take_caption(item, clean, names, arrived)
        return
    data = item.read()
    endings = _endings(data)
    if not endings:
        raise UserError("it is no picture: use PNG, JPEG, WebP, GIF, AVIF, TIFF or BMP, captions as .txt, or a zip")
    problem = facts_of(data).problem
    if problem:
        raise UserError(problem)
    kept = ending.lower() if ending.lower() in endings else endings[0]
    owner = names.known(clean[: -len(MASK)]) if clean.endswith(MASK) else None
    name = os.path.splitext(owner)[0] + MASK + kept if owner else names.give(clean, kept, data)
    if name is None or (owner and _same(names.folder / name, data)):
        raise UserError("it is there already")
    write_whole(names.folder / name, data)
    arrived.added.append(name)


def _take_caption(item: _Item, stem: str, names: _Names, arrived: Arrived) -> None:
    picture = names.known(stem)
    if picture is None:
        raise UserError("there is no picture of this name")
    data = item.read()
    if len(data) > _MOST_TEXT_BYTES or b"\x00\x00" in data:
        raise UserError("it is too long, or no text")
    arrived.captions[picture] = decode_text(data)


def _endings(data: bytes) -> tuple[str, ...]:
    """What files of this kind of picture are called; empty for anything else."""
    return next((endings for at, magic, endings in _KINDS if data[at : at + len(magic)] == magic), ())


def _base(name: str) -> str:
    """The last part of a path of any system."""
    return name.replace("\\", "/").rpartition("/")[2].strip()


def _clean(stem: str) -> str:
    """A stem that is a file's name everywhere, the same each time."""
    text = "".join(c for c in unicodedata.normalize("NFC", stem) if unicodedata.category(c)[0] != "C")
    parts = folder_parts(sanitize(text.lstrip("."), spaces=False, longest=_LONGEST_STEM))
    return "_".join(parts) or "picture"


def _same(path: Path, data: bytes) -> bool:
    try:
        return path.stat().st_size == len(data) and path.read_bytes() == data
    except OSError:
        return False
