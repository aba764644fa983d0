"""Everything that the Models page does: look, rename, delete with a way back, hash, and bring new files in."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from modules.catalog.beside import Note, files_beside, write_note
from modules.catalog.model_places import PLACES, ModelKind, all_roots
from modules.schema.errors import BadRequest, ModelFileError, NotFound, UserError
from modules.schema.settings import Settings
from modules.service.engines import Engines
from modules.service.gallery.gallery import Gallery
from modules.service.gallery.query import Owners
from modules.service.jobs import Jobs
from modules.service.models import trash
from modules.service.models.arrivals import Arrivals, Arrived, model_stem
from modules.service.models.bringing import Bringing
from modules.service.models.downloads import Downloads
from modules.service.models.files import ModelFile, ModelFiles
from modules.service.models.hubs import Tokens
from modules.service.models.moving import move_all, renamed
from modules.service.models.remote import Token
from modules.service.models.tasks import Task, Tasks
from modules.service.models.trash import TrashedModel
from modules.service.models.uploads import Upload
from modules.service.models.use import InUse
from modules.service.models.used import Uses, uses_of

log = logging.getLogger(__name__)

Order = Literal["name", "kind", "family", "size", "newest", "oldest"]
_DAY_SECONDS = 86400.0
_DOWNLOADS_AT_ONCE = 2

Renamed = Callable[[ModelFile, ModelFile], None]


@dataclass(frozen=True)
class Wish:
    """Which files are wanted: those of a kind, that answer to all words of the search, perhaps only broken ones."""

    search: str = ""
    kind: ModelKind | None = None
    broken: bool = False
    order: Order = "name"


@dataclass(frozen=True)
class Listed:
    """`counts` by kind are of all files, `total` and `files` of those that were asked for."""

    files: Sequence[ModelFile]
    total: int
    counts: Mapping[ModelKind, int]
    broken: int


class ModelDesk:
    """The model files of one data folder. Every method may be called from any thread.

    `renamed` hears of each file that has another name from now on.
    """

    def __init__(
        self, files: ModelFiles, use: InUse, settings: Settings, renamed: Renamed, token: Token | None = None
    ) -> None:
        self.files = files
        self._use = use
        self._settings = settings
        self._renamed = renamed
        self.arrivals = Arrivals(files.places, lambda: int(self._settings.model_gib * (1 << 30)))
        self._disk = Tasks("model-disk")
        self._net = Tasks("model-net", _DOWNLOADS_AT_ONCE)
        state, token = files.places.state, token or Tokens(files.places.data)
        self._downloads = Downloads(state, self.arrivals, self._net, token, self._downloaded)
        self._bringing = Bringing(self.arrivals, self._arrived)

    @classmethod
    def of(cls, files: ModelFiles, engines: Engines, jobs: Jobs, settings: Settings, renamed: Renamed) -> Self:
        """A desk that has looked around."""
        desk = cls(files, InUse(engines, jobs.open_jobs), settings, renamed)
        desk.start()
        return desk

    def start(self) -> None:
        """Find what an earlier run of the program left: downloads to go on with, rubbish to remove."""
        self._downloads.restore()
        self.arrivals.tidy(keep=self._downloads.ids)
        self.tidy()

    def use(self, settings: Settings) -> None:
        self._settings = settings

    def close(self) -> None:
        self._net.close()
        self._disk.close()

    # Looking

    def listed(self, wish: Wish, offset: int = 0, limit: int | None = None) -> Listed:
        """The files that are wanted, from `offset` on."""
        self.files.refresh_if_changed()
        every = self.files.all()
        counts = {kind: sum(file.kind == kind for file in every) for kind in PLACES}
        words = wish.search.lower().split()
        found = [
            file
            for file in every
            if wish.kind in (None, file.kind) and not (wish.broken and not file.problem) and file.answers_to(words)
        ]
        _sort(found, wish.order)
        end = None if limit is None else offset + limit
        return Listed(found[offset:end], len(found), counts, sum(file.problem is not None for file in every))

    def pictures(self, kind: ModelKind, name: str, gallery: Gallery, owners: Owners) -> list[Uses]:
        """Which pictures of these owners a file was used for."""
        return uses_of(self.files.find(kind, name), self.files, gallery, owners)

    # Changing

    def rename(self, kind: ModelKind, name: str, wanted: str) -> ModelFile:
        """Give a file another name in its folder; its ending stays, and what is beside it goes along.

        Raises NotFound, BadRequest or UserError.
        """
        file, root = self._movable(kind, name)
        ending = "" if file.path.is_dir() else file.path.suffix
        if "/" in wanted or "\\" in wanted:
            raise BadRequest("A file's name has no slashes: its folder stays.", "name")
        stem = model_stem(wanted.strip().removesuffix(ending))
        moves = renamed(file.path, stem, self._beside(file))
        if moves[0][0] != moves[0][1]:
            move_all(moves)
            hashes, sha256 = self.files.hashes_of(kind), file.sha256
            if sha256:
                hashes.keep(moves[0][1], sha256)
            self.files.refresh(kind)
        new = self._at(kind, moves[0][1])
        log.info("%s of %s was renamed to %s", file.name, root, new.name)
        self._renamed(file, new)
        return new

    def trash(self, kind: ModelKind, name: str) -> TrashedModel:
        """Move a file, and what is beside it, to the trash. Raises NotFound, BadRequest or UserError."""
        file, root = self._movable(kind, name)
        trashed = trash.put(kind, root, file.path, self._beside(file), file.size)
        self.files.refresh(kind)
        return trashed

    def trashed(self) -> list[TrashedModel]:
        """What is in the trash, the newest first."""
        return sorted(trash.all_trashed(all_roots(self.files.places)), key=lambda one: -one.since)

    def restore(self, trash_id: str) -> ModelFile:
        """Take a model out of the trash, to where it was. Raises NotFound or UserError."""
        trashed = trash.find(trash_id, all_roots(self.files.places))
        path = trash.restore(trashed)
        self.files.refresh(trashed.kind)
        return self._at(trashed.kind, path)

    def delete(self, trash_id: str) -> None:
        """Delete a model of the trash for good. Raises NotFound or UserError."""
        trash.delete(trash.find(trash_id, all_roots(self.files.places)))

    def tidy(self) -> None:
        """Delete what has been in the trash for long enough."""
        for one in self.trashed():
            if time.time() - one.since > self._settings.trash_days * _DAY_SECONDS:
                try:
                    trash.delete(one)
                except UserError as error:
                    log.warning("%s", error)

    # Work that takes long

    def hash(self, wanted: Iterable[tuple[ModelKind, str]] | None) -> Task | None:
        """Compute the sha256 of files, of all where None are named; None where all are known. Raises NotFound."""
        named = self.files.all() if wanted is None else [self.files.find(kind, name) for kind, name in wanted]
        files = [file for file in named if not file.sha256 and not (wanted is None and file.problem)]
        if not files:
            return None
        label = files[0].path.name if len(files) == 1 else f"{len(files)} files"
        return self._disk.add(Task("hash", label, lambda task: self._hash(files, task), sum(f.size for f in files)))

    def bring(self, path: str, kind: ModelKind | None, name: str, *, keep: bool) -> Task:
        """Copy or (`keep` False) move a file of this machine to the models. Raises UserErrors."""
        with _refusing():
            task = self._bringing.task(path, kind, name, keep=keep)
        return self._disk.add(task)

    def download(self, url: str, name: str, kind: ModelKind | None, sha256: str) -> Task:
        """Fetch a file from elsewhere. Raises BadRequest."""
        return self._downloads.order(url, name, kind, sha256)

    def upload(self, name: str, kind: ModelKind | None, size: int | None, sha256: str) -> Upload:
        """A file that is going to be sent; see `Upload`."""
        return Upload(self.arrivals, name, kind, size, sha256)

    def uploaded(self, upload: Upload) -> ModelFile:
        """All of a file has been sent: the file at its place. Raises UserErrors."""
        with _refusing():
            arrived = upload.finish()
        self._arrived(arrived, upload.sha256)
        return self._at(arrived.kind, arrived.path)

    def tasks(self) -> list[Task]:
        """Work that is going on, waits, or has ended lately."""
        return [*self._disk.all(), *self._net.all()]

    def can_resume(self, task: Task) -> bool:
        return task.what == "download" and not task.is_open and task.id in self._downloads.ids

    def pause(self, task_id: str) -> Task:
        task = self._task(task_id)
        if task.what != "download":
            raise BadRequest("Only downloads can be paused; this can be cancelled.")
        self._net.stop(task, "pause")
        return task

    def resume(self, task_id: str) -> Task:
        """Go on with a download that was paused or has failed."""
        task = self._task(task_id)
        self._downloads.resume(task)
        return task

    def cancel(self, task_id: str) -> None:
        """Give a task up; one that has ended is taken off the list."""
        task = self._task(task_id)
        if task.what == "download":
            self._downloads.give_up(task)
        elif task.is_open:
            self._disk.stop(task, "cancel")
        else:
            self._disk.forget(task)

    # Inside

    def _task(self, task_id: str) -> Task:
        task = self._disk.get(task_id) or self._net.get(task_id)
        if task is None:
            raise NotFound("That task is not there any more.")
        return task

    def _movable(self, kind: ModelKind, name: str) -> tuple[ModelFile, Path]:
        file = self.files.find(kind, name)
        if file.root is None:
            raise BadRequest(f"{file.path.name} belongs to a training run, or is no file of its own: it stays there.")
        reason = self._use.reason(file.path)
        if reason:
            raise BadRequest(reason)
        return file, file.root

    def _beside(self, file: ModelFile) -> list[Path]:
        others = {path for kind in PLACES for path in self.files.paths(kind)}
        return files_beside(file.path, others)

    def _at(self, kind: ModelKind, path: Path) -> ModelFile:
        found = next((file for file in self.files.all(kind) if file.path == path), None)
        if found is None:
            raise NotFound(f"{path.name} is at its place, but is not listed there: refresh the list.")
        return found

    def _hash(self, files: Sequence[ModelFile], task: Task) -> str:
        before, failed = 0, ""
        for file in files:
            try:
                self.files.compute_hash(file, lambda read, before=before: task.tell(before + read))
            except UserError as error:
                failed = str(error)
            before += file.size
            task.tell(before)
        return failed

    def _arrived(self, arrived: Arrived, sha256: str = "") -> None:
        if sha256:
            self.files.hashes_of(arrived.kind).keep(arrived.path, sha256)
        self.files.refresh(arrived.kind)

    def _downloaded(self, arrived: Arrived, sha256: str, words: str) -> None:
        if words and not arrived.path.with_suffix(".json").exists():
            try:
                write_note(arrived.path, Note(activation_text=words))
            except OSError as error:
                log.warning("the note beside %s could not be written: %s", arrived.path, error)
        self._arrived(arrived, sha256)


@contextmanager
def _refusing() -> Iterator[None]:
    """What is wrong with a file that somebody brings is their order's fault, not the machine's."""
    try:
        yield
    except ModelFileError as error:
        raise BadRequest(str(error), "file") from None


def _sort(files: list[ModelFile], order: Order) -> None:
    """In place; those that are equal stay in the order of their names."""
    files.sort(key=lambda file: (file.name.casefold(), file.name))
    if order == "size":
        files.sort(key=lambda file: -file.size)
    elif order in ("newest", "oldest"):
        files.sort(key=lambda file: file.mtime, reverse=order == "newest")
    elif order == "kind":
        places = list(PLACES)
        files.sort(key=lambda file: places.index(file.kind))
    elif order == "family":
        files.sort(key=lambda file: (file.family is None, file.family or ""))
