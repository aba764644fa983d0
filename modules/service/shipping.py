"""Model files and pictures that an engine on another machine needs: which a command names, and where they are there.

A file is known by its sha256. Where the other machine has the same file at the same place (a shared folder), that one
is used; else it is sent, and kept in a cache folder of that machine.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import IO

from modules.catalog.hashes import Hashes
from modules.catalog.listing import folder_files
from modules.schema.engine import Command, EngineJob, ModelRef
from modules.schema.errors import ModelFileError
from modules.schema.extras import ExtrasRequest
from modules.schema.request import GenerationRequest
from modules.service.resolve import picture_names

CHUNK = 16 << 20
_PICTURE = "picture"
_OLD_SECONDS = 86400.0


@dataclass(frozen=True)
class Ship:
    """A file: `path` on the machine that has it, its sha256 and size, and its `place` below the cache folder."""

    path: str
    sha256: str
    size: int
    place: str


@dataclass(frozen=True)
class Freight:
    """What a command needs: `root` is a path in the command (a file or a folder of `ships`), or an input picture."""

    root: str
    ships: tuple[Ship, ...]
    kind: str = "model"


def freight_of(command: Command, hashes: Hashes) -> list[Freight]:
    """Everything that a command to draw or to load names; raises ModelFileError for what cannot be read.

    May take long: what was never hashed before is hashed now.
    """
    models = [command.model] if command.model else []
    freight: list[Freight] = []
    if command.job is not None:
        models.append(command.job.model)
        freight += [_model(Path(path), hashes) for path in command.job.upscalers.values()]
        inputs = Path(command.job.inputs)
        freight += [_picture(inputs / f"{name}.png", hashes) for name in _pictures(command.job)]
    paths = dict.fromkeys(path for model in models for path in _paths(model))
    return [*freight, *(_model(Path(path), hashes) for path in paths)]


def relocated(command: Command, places: Mapping[str, str], inputs: str) -> Command:
    """The command with the paths of the machine where it is carried out."""
    job, model = command.job, command.model
    if job is not None:
        upscalers = {name: places[path] for name, path in job.upscalers.items()}
        job = job.replace(model=_relocated(job.model, places), inputs=inputs, upscalers=upscalers)
    return command.replace(job=job, model=_relocated(model, places) if model else None)


def _relocated(model: ModelRef, places: Mapping[str, str]) -> ModelRef:
    return model.replace(
        checkpoint=places[model.checkpoint] if model.checkpoint else "",
        vae=places[model.vae] if model.vae else None,
        named=tuple(one.replace(path=places[one.path]) for one in model.named),
        others={role: _relocated(other, places) for role, other in model.others.items()},
    )


def _paths(model: ModelRef) -> Iterator[str]:
    yield from (path for path in (model.checkpoint, model.vae) if path)
    yield from (one.path for one in model.named)
    for other in model.others.values():
        yield from _paths(other)


def _pictures(job: EngineJob) -> Sequence[str]:
    if isinstance(job.request, GenerationRequest):
        return picture_names(job.request)
    return job.request.pictures if isinstance(job.request, ExtrasRequest) else ()


def _model(path: Path, hashes: Hashes) -> Freight:
    """A model file, or a folder of them, under its own name: the engine tells the format by it."""
    try:
        if not path.is_dir():
            one = _ship(path, hashes, path.name)
            return Freight(str(path), (replace(one, place=f"{one.sha256}/{path.name}"),))
        ships = [_ship(file, hashes, file.relative_to(path).as_posix()) for file in folder_files(path)]
    except OSError as error:
        raise ModelFileError(f"{path.name} cannot be read: {error.strerror}.") from error
    whole = hashlib.sha256("".join(f"{ship.sha256} {ship.place}\n" for ship in ships).encode()).hexdigest()
    return Freight(str(path), tuple(replace(ship, place=f"{whole}/{path.name}/{ship.place}") for ship in ships))


def _ship(path: Path, hashes: Hashes, place: str) -> Ship:
    return Ship(str(path), hashes.sha256(path), path.stat().st_size, place)


def _picture(path: Path, hashes: Hashes) -> Freight:
    try:
        return Freight(str(path), (_ship(path, hashes, path.name),), _PICTURE)
    except OSError as error:
        raise ModelFileError(f"The input picture {path.name} is not there any more: choose it again.") from error


@dataclass
class _Arriving:
    """A file that is being written: what has come so far."""

    ship: Ship
    draft: Path
    file: IO[bytes]
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)


class Store:
    """The files of other machines on this one, below `folder`. Several engines may share the folder."""

    def __init__(self, folder: Path, hashes: Hashes) -> None:
        self._folder = folder
        self._hashes = hashes
        self._arriving: dict[str, _Arriving] = {}
        # What a machine that was switched off has left half-way.
        for draft in folder.rglob(".*.tmp"):
            if time.time() - draft.stat().st_mtime > _OLD_SECONDS:
                draft.unlink(missing_ok=True)

    def close(self) -> None:
        """Throw away what has come half-way."""
        for arriving in self._arriving.values():
            arriving.file.close()
            arriving.draft.unlink(missing_ok=True)

    @property
    def inputs(self) -> str:
        """The folder of input pictures."""
        return str(self._folder / "inputs")

    def missing(self, freight: Freight) -> list[Ship]:
        """What has to be sent of it."""
        if self._has_shared(freight):
            return []
        return [ship for ship in freight.ships if not _is_there(self._place(freight, ship), ship.size)]

    def place(self, freight: Freight) -> str:
        """Where it is on this machine, file or folder, once nothing of it is missing."""
        if self._has_shared(freight):
            return freight.root
        first = self._place(freight, freight.ships[0])
        if len(freight.ships) == 1 and freight.ships[0].path == freight.root:
            return str(first)
        return str(self._folder.joinpath("models", *PurePosixPath(freight.ships[0].place).parts[:2]))

    def begin(self, freight: Freight, ship: Ship) -> str:
        """Get ready to write a file; returns the name of the transfer. Raises OSError."""
        path = self._place(freight, ship)
        path.parent.mkdir(parents=True, exist_ok=True)
        name = secrets.token_hex(8)
        draft = path.with_name(f".{name}.tmp")
        self._arriving[name] = _Arriving(ship, draft, draft.open("wb"))
        return name

    def write(self, name: str, data: bytes) -> None:
        """The next bytes of a transfer. Raises OSError."""
        arriving = self._arriving[name]
        arriving.file.write(data)
        arriving.digest.update(data)

    def finish(self, name: str, freight: Freight, *, keep: bool = True) -> bool:
        """The file is whole: check it and put it in its place; False where it is not what was to be sent."""
        arriving = self._arriving.pop(name)
        try:
            with arriving.file as file:
                file.flush()
                os.fsync(file.fileno())
            right = keep and arriving.digest.hexdigest() == arriving.ship.sha256
            if right:
                os.replace(arriving.draft, self._place(freight, arriving.ship))
            return right
        finally:
            arriving.draft.unlink(missing_ok=True)

    def _place(self, freight: Freight, ship: Ship) -> Path:
        """Below the cache folder, whatever the other machine says."""
        parts = [part for part in PurePosixPath(ship.place).parts if part not in ("/", "..", ".")]
        return self._folder.joinpath("inputs" if freight.kind == _PICTURE else "models", *parts)

    def _has_shared(self, freight: Freight) -> bool:
        """Whether the same files are at the same place: a folder that both machines see."""
        if freight.kind == _PICTURE:
            return False
        return all(_is_there(Path(ship.path), ship.size) and self._is_same(ship) for ship in freight.ships)

    def _is_same(self, ship: Ship) -> bool:
        try:
            return self._hashes.sha256(Path(ship.path)) == ship.sha256
        except ModelFileError:
            return False


def _is_there(path: Path, size: int) -> bool:
    try:
        return path.is_file() and path.stat().st_size == size
    except OSError:
        return False


def send(ship: Ship, write: Callable[[bytes], None], goes_on: Callable[[int], bool]) -> bool:
    """Read a file in chunks for `write`; `goes_on` is asked before each, with the bytes so far. Raises OSError."""
    done = 0
    with Path(ship.path).open("rb") as file:
        while chunk := file.read(CHUNK):
            if not goes_on(done):
                return False
            write(chunk)
            done += len(chunk)
    return True
