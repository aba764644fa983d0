"""Model files below some folders, with names that tell them apart."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from modules.catalog.cache import Stamp

_log = logging.getLogger(__name__)
DIFFUSERS_INDEX = "model_index.json"


@dataclass(frozen=True)
class Found:
    """A file (or a diffusers folder): `name` is its path below its folder, with slashes."""

    path: Path
    name: str
    stamp: Stamp
    is_folder: bool = False


def walk(folders: Iterable[Path], wanted: Callable[[str], bool], *, diffusers: bool = False) -> list[Found]:
    """All files whose name is `wanted` below `folders`, each once, sorted by name without regard to case.

    Links are followed. With `diffusers`, a folder with a model index is one entry and is not entered. What may not be
    read is left out with a line in the log. Two files of the same name below different folders get different names.
    """
    found: dict[str, Found] = {}
    seen: set[str] = set()
    for folder in folders:
        for item in _below(folder, "", wanted, diffusers, seen):
            name = _free_name(item, folder, found)
            found[name] = item if name == item.name else Found(item.path, name, item.stamp, item.is_folder)
    return sorted(found.values(), key=lambda item: (item.name.casefold(), item.name))


def _free_name(item: Found, folder: Path, taken: dict[str, Found]) -> str:
    choices = (item.name, f"{folder.name}/{item.name}", item.path.as_posix())
    return next((name for name in choices if name not in taken), choices[-1])


def _below(
    folder: Path, prefix: str, wanted: Callable[[str], bool], diffusers: bool, seen: set[str]
) -> Iterator[Found]:
    real = os.path.realpath(folder)
    if real in seen:
        return
    seen.add(real)
    try:
        with os.scandir(folder) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    except OSError as error:
        _log.warning("The folder %s cannot be read: %s", folder, error.strerror)
        return
    if diffusers and prefix and any(entry.name == DIFFUSERS_INDEX for entry in entries):
        yield Found(folder, prefix.rstrip("/"), folder_stamp(folder), is_folder=True)
        return
    for entry in entries:
        if not entry.name.startswith("."):
            yield from _entry(entry, prefix, wanted, diffusers, seen)


def _entry(
    entry: os.DirEntry[str], prefix: str, wanted: Callable[[str], bool], diffusers: bool, seen: set[str]
) -> Iterator[Found]:
    try:
        status = entry.stat()
    except OSError:
        # A dangling link, or a file that has just gone.
        return
    name = prefix + os.fsencode(entry.name).decode("utf-8", "replace")
    if stat.S_ISDIR(status.st_mode):
        yield from _below(Path(entry.path), name + "/", wanted, diffusers, seen)
    elif stat.S_ISREG(status.st_mode) and wanted(entry.name.lower()):
        yield Found(Path(entry.path), name, Stamp.of(status))


def placed(found: Iterable[Found], places: Mapping[Path, str]) -> list[Found]:
    """The files directly in one of the folders of `places` get that name before their own."""
    return [
        replace(item, name=f"{places[item.path.parent]}/{item.path.name}") if item.path.parent in places else item
        for item in found
    ]


class FolderWatch:
    """Tells cheaply whether files have come to or gone from some folders since they were last walked."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self._folders = tuple(folders)
        self._seen: dict[Path, int | None] | None = None

    def walked(self, found: Iterable[Found]) -> None:
        """Remember the folders as they are, given what a walk has just found in them."""
        inside = {item.path.parent for item in found}
        above = {parent for folder in inside for parent in folder.parents if self._holds(parent)}
        self._seen = {folder: _changed_at(folder) for folder in (*self._folders, *inside, *above)}

    def differs(self) -> bool:
        """Whether any folder has changed, or they were never walked. Files that changed in place are not seen."""
        return self._seen is None or any(_changed_at(folder) != time for folder, time in self._seen.items())

    def _holds(self, folder: Path) -> bool:
        return any(folder.is_relative_to(root) for root in self._folders)


def _changed_at(folder: Path) -> int | None:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return None


def folder_files(folder: Path) -> list[Path]:
    """All files of a diffusers folder, in a fixed order."""
    return sorted(Path(base) / name for base, _, names in os.walk(folder) for name in names)


def folder_stamp(folder: Path) -> Stamp:
    """Stands for the state of a whole folder: bytes of all files, and the latest change."""
    size, latest = 0, 0
    for path in folder_files(folder):
        try:
            status = path.stat()
        except OSError:
            continue
        size, latest = size + status.st_size, max(latest, status.st_mtime_ns)
    return Stamp(size, latest)
