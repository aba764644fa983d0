"""Deleted pictures: in a hidden folder of the outputs folder until their time is over, each under its old path.

`.trash/ID/FOLDERS/FILE` says where a picture came from, and the time of `.trash/ID` when it was deleted, so the trash
is found again when the index is lost.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from modules.schema.errors import UserError
from modules.service.gallery.describe import ENDINGS

TRASH = ".trash"
_ID = re.compile(r"[0-9a-f]{32}")
_MOST_NAMES = 1000


@dataclass(frozen=True)
class Trashed:
    """A picture in the trash: `place` is its path below the outputs folder, `since` when it was put there."""

    id: str
    place: PurePosixPath
    since: float


class Trash:
    """The trash of the outputs folder `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, picture_id: str, place: PurePosixPath) -> Trashed:
        """Move a picture, and the text beside it, into the trash. Raises FileNotFoundError, or UserError."""
        new = PurePosixPath(TRASH, picture_id, place)
        self._move(place, new)
        return Trashed(picture_id, new, time.time())

    def restore(self, place: PurePosixPath) -> PurePosixPath:
        """Move a picture back to where it was, with a number where its name is taken. Raises like `put`."""
        home = self._free(PurePosixPath(*place.parts[2:]))
        self._move(place, home)
        self._tidy(place)
        return home

    def delete(self, place: PurePosixPath) -> None:
        """Delete a picture of the trash for good. Raises UserError."""
        if place.parts[:1] != (TRASH,):
            raise UserError("Only what is in the trash can be deleted for good.")
        try:
            (self._root / place).unlink(missing_ok=True)
            (self._root / place).with_suffix(".txt").unlink(missing_ok=True)
        except OSError as error:
            raise UserError(f"{place.name} could not be deleted ({error.strerror}).") from error
        self._tidy(place)

    def all(self) -> Iterator[Trashed]:
        """Everything that is in the trash folder."""
        folder = self._root / TRASH
        with contextlib.suppress(OSError):
            for entry in sorted(folder.iterdir()):
                if _ID.fullmatch(entry.name) and entry.is_dir() and not entry.is_symlink():
                    since = entry.stat().st_mtime
                    for path in entry.rglob("*"):
                        if path.suffix.lower() in ENDINGS and path.is_file():
                            yield Trashed(entry.name, PurePosixPath(path.relative_to(self._root).as_posix()), since)

    def _move(self, old: PurePosixPath, new: PurePosixPath) -> None:
        source, target = self._root / old, self._root / new
        try:
            if not source.is_file():
                raise FileNotFoundError(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(source, target)
            beside = source.with_suffix(".txt")
            if beside.is_file():
                shutil.move(beside, target.with_suffix(".txt"))
        except FileNotFoundError:
            raise
        except OSError as error:
            raise UserError(f"{old.name} could not be moved ({error.strerror}).") from error

    def _free(self, place: PurePosixPath) -> PurePosixPath:
        for number in range(1, _MOST_NAMES):
            candidate = place if number == 1 else place.with_stem(f"{place.stem}-{number}")
            if not (self._root / candidate).exists():
                return candidate
        raise UserError(f"There are too many pictures named {place.name} already.")

    def _tidy(self, place: PurePosixPath) -> None:
        """Remove the picture's folders in the trash, as far as they are empty."""
        for parent in list(place.parents)[:-2]:
            try:
                os.rmdir(self._root / parent)
            except OSError:
                return
