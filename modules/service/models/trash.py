"""Deleted models: in a hidden folder beside the others until their time is over, with a way back.

`ROOT/.trash/ID/` holds the files under their old paths below ROOT, and `trashed.json` that says what they are. It is
on the same disk, so that gigabytes go there and back in a moment.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, cast

from modules.catalog.diffusers_folder import read_json_object
from modules.catalog.model_places import PLACES, ModelKind
from modules.catalog.writing import write_whole
from modules.schema.errors import NotFound, UserError
from modules.service.models.moving import Moves, move_all

FOLDER = ".trash"
_FACTS = "trashed.json"
_ID = re.compile(r"[0-9a-f]{16}")
_MOST_NAMES = 1000


@dataclass(frozen=True)
class TrashedModel:
    """`files` are below the root, the model first; `since` is when it was deleted."""

    id: str
    kind: ModelKind
    root: Path
    files: tuple[str, ...]
    size: int
    since: float

    @property
    def folder(self) -> Path:
        return self.root / FOLDER / self.id

    @property
    def name(self) -> str:
        return self.files[0]


def put(kind: ModelKind, root: Path, model: Path, beside: Iterable[Path], size: int) -> TrashedModel:
    """Move a model into the trash of its root; raises UserError."""
    files = tuple(path.relative_to(root).as_posix() for path in (model, *beside))
    trashed = TrashedModel(secrets.token_hex(8), kind, root, files, size, time.time())
    facts = {"kind": kind, "files": files, "size": size, "since": trashed.since}
    try:
        trashed.folder.mkdir(parents=True)
        write_whole(trashed.folder / _FACTS, json.dumps(facts).encode("utf-8", "surrogateescape"))
    except OSError as error:
        shutil.rmtree(trashed.folder, ignore_errors=True)
        raise UserError(f"{model.name} could not be moved to the trash ({error.strerror}).") from error
    try:
        move_all([(root / file, trashed.folder / file) for file in files])
    except UserError:
        shutil.rmtree(trashed.folder, ignore_errors=True)
        raise
    return trashed


def restore(trashed: TrashedModel) -> Path:
    """Move a model back to where it was, with a number where its name is taken; raises UserError."""
    moves = _free(trashed)
    move_all(moves)
    shutil.rmtree(trashed.folder, ignore_errors=True)
    return moves[0][1]


def delete(trashed: TrashedModel) -> None:
    """Delete a model of the trash for good; raises UserError."""
    try:
        shutil.rmtree(trashed.folder)
    except OSError as error:
        raise UserError(f"{trashed.name} could not be deleted ({error.strerror}).") from error


def all_trashed(roots: Iterable[Path]) -> Iterator[TrashedModel]:
    """What is in the trash of these folders; what cannot be understood there is left alone."""
    for root in dict.fromkeys(roots):
        folder = root / FOLDER
        try:
            entries = sorted(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else []
        except OSError:
            continue
        for entry in entries:
            if _ID.fullmatch(entry.name) and not entry.is_symlink():
                found = _read(root, entry)
                if found is not None:
                    yield found


def find(trash_id: str, roots: Iterable[Path]) -> TrashedModel:
    """What has that id; raises NotFound."""
    found = next((one for one in all_trashed(roots) if one.id == trash_id), None)
    if found is None:
        raise NotFound("That model is not in the trash any more.")
    return found


def _read(root: Path, folder: Path) -> TrashedModel | None:
    told = read_json_object(folder / _FACTS)
    kind, files, since, size = (told.get(key) for key in ("kind", "files", "since", "size"))
    if kind not in PLACES or not isinstance(files, list) or not isinstance(since, int | float):
        return None
    names = tuple(str(file) for file in cast("list[Any]", files))
    if not names or any(PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts for name in names):
        return None
    return TrashedModel(
        folder.name,
        cast("ModelKind", kind),
        root,
        tuple(name for name in names if (folder / name).exists() or (folder / name).is_symlink()) or names,
        size if isinstance(size, int) else 0,
        float(since),
    )


def _free(trashed: TrashedModel) -> Moves:
    """Where the files go back to: all with the same number, where one of their names is taken."""
    model = PurePosixPath(trashed.name)
    stem = model.name if (trashed.folder / model).is_dir() else model.stem
    for number in range(1, _MOST_NAMES):
        more = "" if number == 1 else f"-{number}"
        moves: Moves = []
        for file in trashed.files:
            place = PurePosixPath(file)
            name = stem + more + place.name[len(stem) :]
            moves.append((trashed.folder / file, trashed.root / place.with_name(name)))
        if not any(new.exists() or new.is_symlink() for _, new in moves):
            return moves
    raise UserError(f"There are too many models named {model.name} already.")
