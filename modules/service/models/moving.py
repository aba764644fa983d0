"""Moving a model together with what belongs to it: all of it, or nothing."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from modules.schema.errors import BadRequest, UserError

Moves = list[tuple[Path, Path]]


def move_all(moves: Moves) -> None:
    """Move each (old, new), never onto something that is there; what was moved before a failure is moved back.

    Raises BadRequest where a new name is taken, UserError where the disk refuses.
    """
    for old, new in moves:
        if os.path.lexists(new) and not _is_same(old, new):
            raise BadRequest(f"There is a {new.name} already: choose another name.", "name")
    done: Moves = []
    try:
        for old, new in moves:
            new.parent.mkdir(parents=True, exist_ok=True)
            move(old, new)
            done.append((old, new))
    except OSError as error:
        for old, new in reversed(done):
            move(new, old)
        name = moves[len(done)][0].name
        raise UserError(f"{name} could not be moved ({error.strerror}): it stays where it is.") from error


def move(old: Path, new: Path) -> None:
    """Move a file, folder or link; over to another disk it is copied first. Raises OSError."""
    try:
        os.rename(old, new)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.move(old, new)


def renamed(path: Path, stem: str, beside: Iterable[Path]) -> Moves:
    """The moves that give a model (and the files `beside` it) another stem."""
    old = path.name if path.is_dir() else path.stem
    return [(one, one.with_name(stem + one.name[len(old) :])) for one in (path, *beside)]


def _is_same(old: Path, new: Path) -> bool:
    """Whether both names are of one file: a change of letter case, where the disk knows no case."""
    try:
        return os.path.samefile(old, new) and old.name.casefold() == new.name.casefold()
    except OSError:
        return False
