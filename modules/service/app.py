"""The one place where the parts are put together: what pages, API and command line talk to.

Every method may be called from any thread. What belongs to an owner is found by that owner only; for anybody else
it is `NotFound`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from modules.schema.engine import ModelRef
from modules.schema.errors import SetupError, UserError
from modules.schema.events import EngineStatus, Event, Finished
from modules.schema.orders import AnyOrder
from modules.schema.request import GenerationRequest
from modules.schema.settings import Folders, Settings, folders
from modules.service.cluster import cluster_engines
from modules.service.devices import engine_commands, local_engines
from modules.service.dispatcher import Dispatcher
from modules.service.engines import Engines
from modules.service.estimates import Estimates, QueueItem
from modules.service.extensions import Extensions
from modules.service.facts import CatalogFacts
from modules.service.gallery.gallery import Gallery
from modules.service.jobs import DatabaseError, Job, Jobs, OrderKey
from modules.service.keyed import KeyedLocks
from modules.service.library import Library
from modules.service.limits import Drawn, Limits
from modules.service.line import Line
from modules.service.merging import MergeFinder
from modules.service.models.desk import ModelDesk
from modules.service.models.files import ModelFile
from modules.service.outputs import Outputs
from modules.service.people import People
from modules.service.picture_access import PictureAccess
from modules.service.pictures import Pictures
from modules.service.planner import Planner, door_notices
from modules.service.recovery import recover
from modules.service.resolve import find_checkpoint, picture_names, resolve
from modules.service.selection import SELECTED, first_selection
from modules.service.streams import Streams
from modules.service.training.desk import Training
from modules.service.training.door import Shelves, TrainingDoor
from modules.service.training.runs import Runs
from modules.service.training.states import RunMarks, RunStates
from modules.service.training.words import Words
from modules.service.watching import Watching

log = logging.getLogger(__name__)

_TEMPORARY_DAYS = 1.0
_MOST_TEMPORARY = 200
_PRUNE_SECONDS = 60.0
_UNSAVED = {"save_to_dirs": False, "samples_filename_pattern": "[seed]"}  # settings of pictures that are not kept


class App(Library, PictureAccess, Watching):
    """Catalogs, queue, engine and outputs of one data folder.

    `notices`: sentences about the start that the user should read. `commands`: the engines' command lines.
    `trains` False leaves trainings waiting.
    """

    def __init__(
        self,
        settings: Settings,
        places: Folders,
        commands: Mapping[str, list[str]],
        program: Path,
        *,
        trains: bool = True,
        extensions: Extensions | None = None,
    ) -> None:
        super().__init__(settings, places, extensions)
        self.notices: list[str] = []
        runs = Runs(places.data, places.state)
        self._marks = RunMarks(runs, self.embeddings, self.networks)
        self._marks.show_all()
        self.refresh()
        self._jobs = Jobs(places.state)
        self.people = People(places)
        self._streams = Streams(self._jobs, self._hear)
        self._estimates = Estimates(self._jobs)
        self._temporary = places.state / f"temporary-{self._jobs.slot}"
        self._outputs = Outputs(places, settings)
        self._unsaved = Outputs(places.replace(outputs=self._temporary), settings, **_UNSAVED)
        self._drawn = Drawn(self._jobs)
        self.gallery, self._pictures = self._make_pictures()
        self._pruned = 0.0
        self._ordering = KeyedLocks()
        self._selected, problem = first_selection(settings.ckpt, self.checkpoints, self._jobs.recall(SELECTED))
        self.notices += problem
        self._recover()
        self.limits = self._make_limits()
        shelves = Shelves(self.embeddings, self.networks, places.embeddings, places.loras[0])
        states = RunStates(runs, self._jobs)
        self._door = TrainingDoor(
            runs,
            states,
            shelves,
            self.checkpoints,
            resolve=self._resolve,
            prepare=self.datasets.prepare,
            doctor=self.datasets.doctor,
            encode=self.named.encode,
        )
        self.words = Words(shelves, self.checkpoints, self.named.encode, lambda: self._selected)
        self._planner = self._make_planner()
        self.extensions.listeners.wire(self._jobs.get, self._pictures.path)
        self._dispatcher = self._make_dispatcher(commands, program, trains=trains)
        self.line = self._make_line()
        self.models = ModelDesk.of(self.model_files, self.engines, self._jobs, settings, self._moved)
        self.training = Training(
            runs,
            states,
            self._door,
            shelves,
            jobs=self._jobs,
            streams=self._streams,
            engine=self._dispatcher,
            submit=self.submit,
            cancel=self.cancel,
        )

    @classmethod
    def start(
        cls,
        settings: Settings,
        program: Path,
        *,
        command: list[str] | None = None,
        trains: bool = True,
        extensions: Extensions | None = None,
    ) -> Self:
        """Put everything together and start the engine process without waiting for it.

        `program` is the folder of webui.py; `command` stands in for the engines' command lines; `extensions`
        are loaded already. Raises `SetupError` when the data folder cannot be used.
        """
        places = folders(settings, program)
        commands = engine_commands(settings, command)
        try:
            app = cls(settings, places, commands, program.resolve(), trains=trains, extensions=extensions)
        except (OSError, DatabaseError) as error:
            raise SetupError(
                f"The data folder {places.data} cannot be used ({error}): make it writable, or choose another one "
                "with --data-dir."
            ) from error
        app._dispatcher.start()
        return app

    def use(self, settings: Settings) -> None:
        super().use(settings)
        for part in (self._outputs, self._unsaved, self.limits, self.gallery, self._dispatcher, self.models):
            part.use(settings)

    def close(self) -> None:
        """End the engine; the running job is interrupted with what it has, waiting ones wait for the next start."""
        self.models.close()
        self._dispatcher.close()
        self._streams.close()
        self.webhook.close()
        self.gallery.close()
        self._jobs.close()
        self.extensions.close()

    # Ordering

    def submit_once(self, request: AnyOrder, owner: str, key: OrderKey) -> Job:
        """`submit`, except where the owner has ordered this under that key: then it is that job.

        Raises `KeyTaken` where the key was used for another order.
        """
        with self._ordering.of((owner, key.name)):
            return self._jobs.ordered(owner, key) or self.submit(request, owner, key=key)

    def submit(
        self,
        request: AnyOrder,
        owner: str,
        *,
        save: bool | None = None,
        name: str | None = None,
        key: OrderKey | None = None,
    ) -> Job:
        """Put a job at the end of the queue. Raises `BadRequest`, `UnknownName` or `ModelFileError` at once, and
        `NotAllowed` or `TooMuch` where a person's limits say so.

        `save` False keeps the pictures below the cache folder for a day (None: as the settings say). `name`: what the
        caller calls the job; found by `job()` as well. `key` is kept with the job (see `submit_once`).
        """
        self.limits.check(request, owner)
        request, said = self.extensions.at_the_door(request)
        resolved, model = self._planner.at_the_door(request)
        wanted = self.settings.samples_save if save is None else save
        try:
            self._prune()
            with self.limits.room(resolved, owner):
                job = self._jobs.add(resolved, model, owner, save=wanted, name=name, key=key)
        except DatabaseError as error:
            raise UserError(f"The job could not be put into the queue ({error}); is the disk full?") from error
        self._marks.queued(job)
        for notice in (*said, *door_notices(request, resolved, self.named, self._door)):
            self._streams.of(job.id).publish(notice)
        self._dispatcher.submitted()
        return job

    def interrupt(self, job_id: str, owner: str) -> None:
        """Stop a running job within one step and keep what is done; cancel a waiting one."""
        job = self._jobs.find(job_id, owner)
        if self._jobs.cancel_waiting(job.id):
            self._marks.ended(job, Finished("cancelled"))
            self._streams.of(job.id).publish(Finished("cancelled"))
        else:
            self._dispatcher.interrupt(job.id)

    def cancel(self, job_id: str, owner: str) -> None:
        """Take a waiting job out of the queue; a running one is interrupted."""
        self.interrupt(job_id, owner)

    def skip(self, job_id: str, owner: str) -> None:
        """End the batch that is being drawn and go on with the next one."""
        self._dispatcher.skip(self._jobs.find(job_id, owner).id)

    def forget(self, job_id: str, owner: str) -> None:
        """Remove an ended job from the history, with the pictures that were kept only for it."""
        job = self._jobs.find(job_id, owner)
        if not job.is_open:
            self._remove([job.id])

    # Watching

    def job(self, job_id: str, owner: str) -> Job:
        """The owner's job of that id, else the newest of that name."""
        return self._jobs.find(job_id, owner)

    def recent(self, owner: str, limit: int = 20) -> list[Job]:
        """The owner's newest jobs, newest first."""
        return self._jobs.recent(owner, limit)

    def queue(self) -> list[QueueItem]:
        """Everybody's running and waiting jobs in running order, with the seconds until each is done."""
        return self.line.items()

    def open_jobs(self, owner: str, limit: int = 50) -> list[Job]:
        """The owner's running jobs, then those that wait, next one first; trainings last."""
        return self._jobs.next_of(owner, limit)

    def engine_status(self) -> EngineStatus:
        """The state of the engine; of several, what all of them do in a sentence."""
        return self._dispatcher.status

    @property
    def engines(self) -> Engines:
        """Each engine by itself: `views`, `pids`."""
        return self._dispatcher.engines

    @property
    def engine_pid(self) -> int | None:
        """Process id of the engine, if one runs; of the first of several."""
        return next(iter(self.engines.pids), None)

    def restart_engine(self) -> None:
        """End an engine that hangs (all of several); its job fails, a new engine starts."""
        self.engines.kill()

    # Models and words

    @property
    def selected_checkpoint(self) -> str:
        """Title of the checkpoint that is used where a request names none; empty when there is none at all."""
        entry = next((entry for entry in self.checkpoints.entries if entry.name == self._selected), None)
        return entry.title if entry else self._selected

    def select_checkpoint(self, name: str) -> None:
        """Select by title, file name, stem or hash, and load it when nothing runs. Kept over restarts."""
        entry = find_checkpoint(name, self.checkpoints)
        self._selected = entry.name
        self._jobs.remember(SELECTED, entry.name)
        model = self._selected_model()
        if model is not None:
            self._dispatcher.select(model)

    # Inside

    def _hear(self, job_id: str, event: Event) -> None:
        self.extensions.listeners.hear(job_id, event)
        self.webhook.hear(event, lambda: self._jobs.get(job_id))

    def _resolve(self, request: GenerationRequest) -> tuple[GenerationRequest, ModelRef]:
        resolved, model, _ = resolve(
            request,
            checkpoints=self.checkpoints,
            vaes=self.vaes,
            default_checkpoint=self._selected,
            styles=self.styles,
        )
        for name in picture_names(resolved):
            self.inputs.use(name)
        return resolved, model.replace(named=self.named.files(resolved))

    def _moved(self, old: ModelFile, new: ModelFile) -> None:
        """A renamed checkpoint stays selected."""
        if old.kind == "checkpoint" and old.name == self._selected:
            self.select_checkpoint(new.name)

    def _make_limits(self) -> Limits:
        return Limits(
            self.settings,
            self.people.accounts,
            self._jobs,
            self.inputs,
            self._drawn,
            owns_set=self.datasets.folders.belongs_to,
            owns_run=lambda run_id, owner: self.training.owner(run_id) == owner,
        )

    def _make_planner(self) -> Planner:
        merges = MergeFinder(self.checkpoints, self.vaes, self.folders.checkpoints[0])
        return Planner(
            self._resolve,
            merges.find,
            self.upscalers,
            self.inputs,
            self._door,
            self.captions,
            self.extensions.prompted,
        )

    def _make_line(self) -> Line:
        return Line(
            self._jobs,
            self._streams,
            self._estimates,
            submit=self.submit,
            cancel=self.cancel,
            wake=self._dispatcher.submitted,
            engines=lambda: sum(engine.up for engine in self._dispatcher.engines.all),
        )

    def _make_dispatcher(self, commands: Mapping[str, list[str]], program: Path, *, trains: bool) -> Dispatcher:
        settings = self.settings
        log_file = self.folders.state / self._jobs.slot.replace("jobs", "engine")
        local = local_engines(self.extensions.on_engines(commands), program, log_file)
        return Dispatcher(
            self._jobs,
            self._streams,
            self._pictures,
            self._estimates,
            planner=self._planner,
            inputs=self.inputs.folder,
            merged=self.checkpoints.refresh,
            makers=self.extensions.heard({**local, **cluster_engines(settings, self.folders.state)}),
            preload=self._selected_model,
            settings=settings,
            previews_of=self.previews_of,
            marks=self._marks,
            trains=trains,
        )

    def _make_pictures(self) -> tuple[Gallery, Pictures]:
        gallery = Gallery(self.folders, self.settings, lambda name: self._pictures.owner(name), self.notices.append)
        facts = CatalogFacts(self.checkpoints, self.vaes, self.named.facts)
        told = self._drawn.add, gallery.saved, self.extensions.finished
        return gallery, Pictures(self._jobs, self._outputs, self._unsaved, self._temporary, facts, *told)

    def _recover(self) -> None:
        """Tidy up after the last run of the program; leftovers of removed jobs go."""
        if self._jobs.notice:
            self.notices.append(self._jobs.notice)
        recover(self._jobs, self._streams, self._marks, resumes=self.settings.resume_training)
        self._prune()
        self._pictures.remove_orphans()

    def _prune(self) -> None:
        """Forget old jobs; looked at once a minute at most."""
        if time.monotonic() - self._pruned < _PRUNE_SECONDS and self._pruned:
            return
        self._pruned = time.monotonic()
        self._remove(self._jobs.outdated(self.settings.history_days, _TEMPORARY_DAYS, _MOST_TEMPORARY))
        self.inputs.prune(self.settings.history_days, self.settings.inputs_gib, self._jobs.open_requests())

    def _remove(self, job_ids: list[str]) -> None:
        self._jobs.remove(job_ids)
        for job_id in job_ids:
            self._streams.forget(job_id)
            self._pictures.remove_temporary(job_id)

    def _selected_model(self) -> ModelRef | None:
        """The files of the selected checkpoint, or None when it cannot be used."""
        try:
            return self._resolve(GenerationRequest(checkpoint=self._selected))[1]
        except UserError as error:
            log.info("nothing to load yet: %s", error)
            return None
