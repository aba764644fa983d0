"""Files that are on the server already, copied or moved to the models: whole, or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from modules.catalog.beside import files_beside
from modules.catalog.model_places import ModelKind
from modules.schema.errors import BadRequest, UserError
from modules.service.models.arrivals import Arrivals, Arrived
from modules.service.models.tasks import Task

_CHUNK = 4 << 20


class Bringing:
    """Tasks that bring files; `arrived` hears of each."""

    def __init__(self, arrivals: Arrivals, arrived: Callable[[Arrived], None]) -> None:
        self._arrivals = arrivals
        self._arrived = arrived

    def task(self, typed: str, kind: ModelKind | None, name: str, *, keep: bool) -> Task:
        """The work of bringing a file; `keep` leaves the old one. Raises BadRequest for what cannot be brought."""
        source = _source(typed)
        kind = self._arrivals.look_at(source, kind)
        wanted = self._arrivals.check_name(name or source.name, kind)
        size = source.stat().st_size

        def work(task: Task) -> str:
            try:
                arrived = self._bring(source, kind, wanted, task, keep=keep)
            except OSError as error:
                raise UserError(f"{source.name} could not be brought ({error.strerror}).") from error
            self._arrived(arrived)
            return f"{arrived.path.name} is in {arrived.path.parent}."

        return Task("copy" if keep else "move", wanted, work, size)

    def _bring(self, source: Path, kind: ModelKind, name: str, task: Task, *, keep: bool) -> Arrived:
        folder = self._arrivals.new_folder(kind)
        draft = folder / name
        beside = files_beside(source, ())
        try:
            moved = not keep and _moved(source, draft)
            if not moved:
                self._arrivals.check_size(source.stat().st_size, folder)
                _copy(source, draft, task)
            try:
                arrived = self._arrivals.settle(draft, kind)
            except BaseException:
                if moved:
                    os.rename(draft, source)
                raise
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        _bring_beside(source, arrived.path, beside, keep=keep)
        if not keep and not moved:
            source.unlink()
        return arrived


def _source(typed: str) -> Path:
    """The file that was typed, links followed; raises BadRequest."""
    try:
        path = Path(typed.strip()).expanduser()
        if not path.is_absolute():
            raise BadRequest("Give the whole path of the file, from the root on.", "path")
        path = path.resolve(strict=True)
        if path.is_dir():
            raise BadRequest(f"{path} is a folder: give the path of one file.", "path")
        if not path.is_file():
            raise BadRequest(f"{path} is no ordinary file.", "path")
    except (OSError, RuntimeError, ValueError):
        shown = typed.strip()[:300]
        raise BadRequest(f"There is no file {shown!r} on this machine that can be read.", "path") from None
    return path


def _moved(source: Path, draft: Path) -> bool:
    """Whether the file could be renamed to its new place: not to another disk."""
    try:
        os.rename(source, draft)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        return False
    return True


def _copy(source: Path, draft: Path, task: Task) -> None:
    done = 0
    with source.open("rb", buffering=0) as old, draft.open("wb") as new:
        while data := old.read(_CHUNK):
            new.write(data)
            done += len(data)
            task.tell(done)
    shutil.copystat(source, draft)


def _bring_beside(source: Path, target: Path, beside: list[Path], *, keep: bool) -> None:
    """Notes and previews come along, where none of that name is there."""
    for file in beside:
        new = target.with_name(target.stem + file.name[len(source.stem) :])
        if not os.path.lexists(new):
            shutil.copy2(file, new) if keep else shutil.move(file, new)
