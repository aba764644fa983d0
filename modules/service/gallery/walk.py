"""Picture files below a folder, folder by folder; nothing outside of it is ever looked at."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from modules.service.gallery.describe import ENDINGS
from modules.service.inputs import natural


@dataclass(frozen=True)
class Folder:
    """`name` is its path below the root ("." for the root itself); `files` are in the order of their names."""

    name: str
    files: dict[str, os.stat_result] = field(default_factory=dict[str, os.stat_result])


def walk(root: Path, *, trusted: bool) -> Iterator[Folder]:
    """The folders with their pictures. Hidden folders, links and what may not be read are passed over.

    In a `trusted` root links to folders are followed (a user's own, to another disk), each folder once; in another
    one only links to pictures inside of it are.
    """
    seen: set[str] = set()
    waiting = [PurePosixPath()]
    while waiting:
        place = waiting.pop()
        real = os.path.realpath(root / place)
        if real in seen:
            continue
        seen.add(real)
        below, files = _listed(root, place, trusted=trusted)
        yield Folder(str(place), files)
        waiting += [place / name for name in sorted(below, key=natural, reverse=True)]


def inside(path: Path, root: Path) -> bool:
    """Whether a path is below the root after all links are followed."""
    with contextlib.suppress(OSError, RuntimeError):
        return path.resolve(strict=True).is_relative_to(root.resolve(strict=True))
    return False


def _listed(root: Path, place: PurePosixPath, *, trusted: bool) -> tuple[list[str], dict[str, os.stat_result]]:
    """Names of the folders in a folder, and its pictures."""
    below: list[str] = []
    files: dict[str, os.stat_result] = {}
    with contextlib.suppress(OSError), os.scandir(root / place) as entries:
        for entry in entries:
            if entry.name.startswith(".") or not _can_be_kept(entry.name):
                continue
            with contextlib.suppress(OSError):
                if entry.is_dir(follow_symlinks=trusted):
                    below.append(entry.name)
                elif _is_picture(entry, root):
                    files[entry.name] = entry.stat()
    return below, {name: files[name] for name in sorted(files, key=natural)}


def _is_picture(entry: os.DirEntry[str], root: Path) -> bool:
    if os.path.splitext(entry.name)[1].lower() not in ENDINGS or not entry.is_file():
        return False
    return not entry.is_symlink() or inside(Path(entry.path), root)


def _can_be_kept(name: str) -> bool:
    """Names that are no text (of another system's coding) cannot be kept in the index."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
