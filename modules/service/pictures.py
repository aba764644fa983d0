"""Finished pictures on their way to the disk: saved off the engine's path, never lost when the disk refuses.

Where a picture cannot be saved it is kept below the cache folder, and where that fails too, in memory; the job says
so.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from modules.schema.errors import NotFound, UserError
from modules.schema.events import Event, ImageDone, ImageSaved, Notice
from modules.schema.extras import ExtrasRequest
from modules.schema.request import GenerationRequest
from modules.service.finished import FinishedFile, extras_file
from modules.service.jobs import DatabaseError, Job, Jobs
from modules.service.naming import Place

log = logging.getLogger(__name__)

TEMPORARY = "temporary"
TXT2IMG, IMG2IMG = "txt2img-images", "img2img-images"
_MOST_HELD = 32


class SavedImage(Protocol):
    """A written picture: its address below the folder it was saved to, its file and its text."""

    @property
    def name(self) -> str: ...
    @property
    def path(self) -> Path: ...
    @property
    def infotext(self) -> str: ...


class Saver(Protocol):
    """What is needed of `modules.service.outputs.Outputs`."""

    def save(
        self,
        pixels: bytes,
        width: int,
        height: int,
        request: GenerationRequest,
        facts: dict[str, Any],
        *,
        kind: str = ...,
        place: Place | None = ...,
        lossless: bool = ...,
    ) -> SavedImage: ...

    def encode(
        self, pixels: bytes, width: int, height: int, request: GenerationRequest, facts: dict[str, Any]
    ) -> tuple[bytes, str, str]: ...

    def save_file(
        self, data: bytes, infotext: str, *, kind: str, base: str = ..., stem: str = ..., caption: str = ...
    ) -> SavedImage: ...


class ModelFacts(Protocol):
    """Names and hashes of a job's model files, by infotext key; may take seconds (hashing)."""

    def __call__(self, job: Job) -> dict[str, Any]: ...


class Pictures:
    """Saves pictures in the order in which they were drawn, one after another, so that file numbers follow it.

    `outputs` writes to the user's folder, `temporary` below `temporary_folder` (for jobs that are not to be saved).
    `count` is told whose picture it was, `index` also which file. `finish` may change a drawn picture.
    """

    def __init__(
        self,
        jobs: Jobs,
        outputs: Saver,
        temporary: Saver,
        temporary_folder: Path,
        model_facts: ModelFacts,
        count: Callable[[str], None],
        index: Callable[[Path, str], None],
        finish: Callable[[GenerationRequest, ImageDone], ImageDone] = lambda request, done: done,
    ) -> None:
        self._finish = finish
        self._jobs = jobs
        self._outputs = outputs
        self._temporary = temporary
        self._folder = temporary_folder
        self._model_facts = model_facts
        self._count = count
        self._index = index
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="save-picture")
        self._held: dict[str, bytes] = {}
        self._warned: set[str] = set()
        self._lock = threading.Lock()

    def submit(self, job: Job, done: ImageDone, first: int = 0) -> Future[list[Event]]:
        """Save a picture of `job`; the result is what its readers get instead of `done`.

        Of a job in parts, `job` holds the part's request and model, and `first` is the number of its first picture.
        """
        return self._pool.submit(self._save, job, done, first)

    def submit_files(self, job: Job, make: Callable[[], list[FinishedFile]]) -> Future[list[Event]]:
        """Save what `make` makes, after everything that was submitted before."""
        return self._pool.submit(lambda: [event for file in make() for event in self._save_file(job, file)])

    def prepare(self, job: Job) -> None:
        """Have the model's hashes computed while the job is drawn."""
        self._pool.submit(self._model_facts, job)

    def flush(self) -> None:
        """Wait until what has been submitted so far is saved."""
        self._pool.submit(lambda: None).result()

    def close(self) -> None:
        """Wait until everything is on the disk."""
        self._pool.shutdown(wait=True)

    def data(self, name: str) -> bytes:
        """The file of that address; raises NotFound."""
        with self._lock:
            if name in self._held:
                return self._held[name]
        try:
            return self.path(name).read_bytes()
        except OSError as error:
            raise NotFound(f"The picture {name} is not there any more ({error.strerror}).") from error

    def path(self, name: str) -> Path:
        """The file of that address; raises NotFound."""
        found = self._jobs.picture(name)
        if found is None or found[2] is None or not found[2].is_file():
            raise NotFound(f"The picture {name} is not there any more.")
        return found[2]

    def owner(self, name: str) -> str | None:
        """Whose picture that is, if it is known."""
        found = self._jobs.picture(name)
        return found[1] if found else None

    def remove_temporary(self, job_id: str) -> None:
        """Delete what a job kept only for a while."""
        shutil.rmtree(self._folder / TEMPORARY / job_id, ignore_errors=True)
        with self._lock:
            for name in [n for n in self._held if n.startswith(f"{TEMPORARY}/{job_id}/")]:
                del self._held[name]

    def remove_orphans(self) -> None:
        """Delete the temporary pictures of jobs that are not known any more."""
        folder = self._folder / TEMPORARY
        if folder.is_dir():
            for path in folder.iterdir():
                if not self._jobs.knows(path.name):
                    shutil.rmtree(path, ignore_errors=True)

    def _save(self, job: Job, done: ImageDone, first: int) -> list[Event]:
        if isinstance(job.request, ExtrasRequest):
            return [_shifted(event, first) for event in self._save_file(job, extras_file(done, job.request))]
        return [_shifted(event, first) for event in self._save_drawn(job, done)]

    def _save_file(self, job: Job, file: FinishedFile) -> list[Event]:
        """Save a file that has its text already; where it cannot be written it is kept for the page."""
        warnings: list[Event] = []
        named = {"base": file.base, "stem": file.stem, "caption": file.caption}
        if job.save:
            try:
                saved = self._outputs.save_file(file.data, file.infotext, kind=file.kind, **named)
                return [self._address(job, file, saved.name, saved.path)]
            except (OSError, UserError) as error:
                log.warning("%s of job %s could not be saved: %s", file.kind, job.id, error)
                warnings = [] if job.id in self._warned else [self._warning(job, error)]
        kind = f"{TEMPORARY}/{job.id}"
        try:
            saved = self._temporary.save_file(file.data, file.infotext, kind=kind, **named)
            return [*warnings, self._address(job, file, saved.name, saved.path)]
        except (OSError, UserError) as error:
            log.warning("%s of job %s is kept in memory: %s", file.kind, job.id, error)
            name = f"{kind}/{file.base}{file.index}.png"
            self._hold(name, file.data)
            return [*warnings, self._address(job, file, name, None)]

    def _address(self, job: Job, file: FinishedFile, name: str, path: Path | None) -> ImageSaved:
        try:
            self._jobs.add_picture(name, job, path)
            self._count(job.owner)
        except DatabaseError:
            log.exception("the address of %s could not be stored", name)
        if path is not None:
            self._index(path, job.owner)
        size = file.width, file.height
        return ImageSaved(file.index, name, *size, file.infotext, sheet=file.sheet, caption=file.caption)

    def _save_drawn(self, job: Job, done: ImageDone) -> list[Event]:
        request = GenerationRequest.model_validate(done.request)
        done = self._finish(request, done)
        facts = {**done.facts, **self._model_facts(job)}
        if not job.save:
            return self._keep(job, done, request, facts)
        try:
            place = _place(job, done.index)
            kind = IMG2IMG if request.image else TXT2IMG
            size = (done.width, done.height)
            saved = self._outputs.save(
                done.pixels, *size, request, facts, kind=kind, place=place, lossless=job.lossless
            )
        except (OSError, UserError) as error:
            log.warning("picture %d of job %s could not be saved: %s", done.index, job.id, error)
            kept = self._keep(job, done, request, facts)
            return kept if job.id in self._warned else [self._warning(job, error), *kept]
        return [self._saved(job, done, saved.name, saved.path, saved.infotext)]

    def _warning(self, job: Job, error: Exception) -> Notice:
        """Said once a job, not once a picture."""
        self._warned.add(job.id)
        return Notice(f"{error} The job's pictures are not lost: save them from the page.", "warning")

    def _keep(self, job: Job, done: ImageDone, request: GenerationRequest, facts: dict[str, Any]) -> list[Event]:
        """Keep a picture outside the outputs folder: below the cache folder, else in memory."""
        kind = f"{TEMPORARY}/{job.id}"
        try:
            size = (done.width, done.height)
            saved = self._temporary.save(done.pixels, *size, request, facts, kind=kind, lossless=job.lossless)
        except (OSError, UserError) as error:
            log.warning("picture %d of job %s is kept in memory: %s", done.index, job.id, error)
            name = f"{kind}/{done.index}.png"
            data, _, infotext = self._temporary.encode(done.pixels, done.width, done.height, request, facts)
            self._hold(name, data)
            return [self._saved(job, done, name, None, infotext)]
        return [self._saved(job, done, saved.name, saved.path, saved.infotext)]

    def _hold(self, name: str, data: bytes) -> None:
        with self._lock:
            self._held[name] = data
            while len(self._held) > _MOST_HELD:
                del self._held[next(iter(self._held))]

    def _saved(self, job: Job, done: ImageDone, name: str, path: Path | None, infotext: str) -> ImageSaved:
        try:
            self._jobs.add_picture(name, job, path)
            self._count(job.owner)
        except DatabaseError:
            log.exception("the address of %s could not be stored", name)
        if path is not None:
            self._index(path, job.owner)
        return ImageSaved(done.index, name, done.width, done.height, infotext, done.partial)


def _shifted(event: Event, first: int) -> Event:
    return replace(event, index=event.index + first) if first and isinstance(event, ImageSaved) else event


def _place(job: Job, index: int) -> Place:
    """Where picture `index` stands in its job, for file names."""
    request = job.request
    if not isinstance(request, GenerationRequest):
        return Place(number=index + 1, count=request.image_count)
    first = index - index % request.batch_size
    return Place(
        number=index + 1,
        count=request.image_count,
        batch_number=index % request.batch_size + 1,
        batch_size=request.batch_size,
        seed_first=request.image_seeds(first)[0],
        seed_last=request.image_seeds(first + request.batch_size - 1)[0],
        started=datetime.fromtimestamp(job.started) if job.started else None,
    )
