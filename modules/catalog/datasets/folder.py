"""A folder of pictures as a data set. Only the folder itself is read, not those below it.

What was read of a picture is kept in the cache, so that a thousand pictures open in about a second.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from modules.catalog.cache import FileCache, Stamp
from modules.catalog.datasets.captions import NameRule, Source, caption_from_name, read_caption
from modules.catalog.datasets.facts import ENDINGS, PictureFacts, read_facts
from modules.catalog.datasets.notes import PLAIN, Notes, PictureNote
from modules.schema.errors import BadRequest

MASK = "-mask"
_DIGITS = re.compile(r"([0-9]+)")
_CACHE_KIND = "picture-2"
_MOST_BYTES = 512 << 20
_READERS = 4
_STORED_AT_ONCE = 100


@dataclass(frozen=True)
class DataPicture:
    """A picture of a data set; `mask` is the file `NAME-mask.*` beside it."""

    path: Path
    stamp: Stamp
    facts: PictureFacts
    caption: str
    source: Source
    mask: Path | None = None
    note: PictureNote = PLAIN

    @property
    def file(self) -> str:
        return self.path.name

    @property
    def id(self) -> str:
        """What the picture is called where file names are not wanted."""
        return picture_id(self.path.name)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the upright picture."""
        return self.facts.width, self.facts.height

    @property
    def taken(self) -> tuple[int, int]:
        """Size of what is trained of it."""
        box = self.note.crop
        return (box[2] - box[0], box[3] - box[1]) if box else self.size

    @property
    def is_trained(self) -> bool:
        return not self.facts.problem and not self.note.excluded


def picture_id(file: str) -> str:
    """16 hexadecimal digits that stand for a file's name."""
    return hashlib.sha256(os.fsencode(file)).hexdigest()[:16]


def read_folder(
    folder: Path,
    cache: FileCache,
    notes: Notes,
    only: Collection[str] | None = None,
    *,
    name_rule: NameRule = caption_from_name,
) -> list[DataPicture]:
    """The pictures of a folder, 2 before 10; `only` those of some ids.

    Raises BadRequest for a folder that cannot be read.
    """
    files = _files(folder)
    masks = _masks(files)
    mask_files = set(masks.values())
    wanted = [name for name in files if _is_picture(name) and name not in mask_files]
    if only is not None:
        wanted = [name for name in wanted if picture_id(name) in only]
    facts = _all_facts(folder, {name: files[name] for name in wanted}, cache)
    pictures: list[DataPicture] = []
    for name in wanted:
        stem = os.path.splitext(name)[0]
        caption, source = read_caption(folder / name, has_file=f"{stem}.txt" in files, name_rule=name_rule)
        mask = folder / masks[stem] if stem in masks else None
        pictures.append(DataPicture(folder / name, files[name], facts[name], caption, source, mask, notes.of(name)))
    return pictures


def count_pictures(folder: Path) -> tuple[int, int]:
    """(pictures, those with a caption's file) without opening any; (0, 0) for a folder that cannot be read."""
    try:
        files = _files(folder)
    except BadRequest:
        return 0, 0
    mask_files = set(_masks(files).values())
    stems = [os.path.splitext(name)[0] for name in files if _is_picture(name) and name not in mask_files]
    return len(stems), sum(f"{stem}.txt" in files for stem in stems)


def _files(folder: Path) -> dict[str, Stamp]:
    """The files of a folder that are not hidden, in natural order. Links that lead out of the folder are left out."""
    found: dict[str, Stamp] = {}
    inside = Path(os.path.realpath(folder))
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.name.startswith(".") and entry.is_file() and _stays(entry, inside):
                    found[entry.name] = Stamp.of(entry.stat())
    except OSError as error:
        raise BadRequest(f"The folder {folder} cannot be read ({error.strerror}).", "data_root") from None
    return dict(sorted(found.items(), key=lambda item: _natural(item[0])))


def _stays(entry: os.DirEntry[str], folder: Path) -> bool:
    return not entry.is_symlink() or Path(os.path.realpath(entry.path)).is_relative_to(folder)


def _natural(name: str) -> tuple[list[tuple[int, str]], str]:
    """Sorts numbers in names by their value."""
    parts = _DIGITS.split(name)
    return [(int(part), "") if part.isdecimal() else (-1, part.casefold()) for part in parts], name


def _masks(files: dict[str, Stamp]) -> dict[str, str]:
    """Stem of a picture to the name of its mask's file."""
    stems = {os.path.splitext(name)[0] for name in files if _is_picture(name)}
    masks: dict[str, str] = {}
    for name in files:
        stem = os.path.splitext(name)[0]
        if _is_picture(name) and stem.endswith(MASK) and stem[: -len(MASK)] in stems:
            masks[stem[: -len(MASK)]] = name
    return masks


def _is_picture(name: str) -> bool:
    return name.lower().endswith(ENDINGS)


def _all_facts(folder: Path, files: dict[str, Stamp], cache: FileCache) -> dict[str, PictureFacts]:
    facts: dict[str, PictureFacts] = {}
    unknown: list[str] = []
    for name, stamp in files.items():
        known = cache.get(_CACHE_KIND, folder / name, stamp)
        if known is None:
            unknown.append(name)
        else:
            facts[name] = PictureFacts.from_json(known)
    with ThreadPoolExecutor(_READERS) as readers:
        for first in range(0, len(unknown), _STORED_AT_ONCE):
            names = unknown[first : first + _STORED_AT_ONCE]
            read = dict(zip(names, readers.map(lambda n: _read(folder / n, files[n]), names), strict=True))
            cache.put(_CACHE_KIND, [(folder / name, files[name], one.to_json()) for name, one in read.items()])
            facts |= read
    return facts


def _read(path: Path, stamp: Stamp) -> PictureFacts:
    if stamp.size > _MOST_BYTES:
        return PictureFacts(problem=f"a file of {stamp.size >> 20} MiB is not read")
    return read_facts(path)
