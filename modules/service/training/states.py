"""In which state a run is, and the notes of it that outlive this program."""

from __future__ import annotations

import logging

from modules.catalog.embeddings import EmbeddingCatalog
from modules.catalog.networks import NetworkCatalog
from modules.schema.errors import NotFound
from modules.schema.events import Failed, Finished
from modules.schema.training import TrainingRequest
from modules.service.jobs import Job, Jobs
from modules.service.training.runs import COPIES, OPEN, Run, Runs, RunState, is_alive

log = logging.getLogger(__name__)

# The folder that copies are listed in.
_SHOWN = "training"
# Other failures the artist can mend: the run waits for Resume.
_FAULTS = ("Error", "DeviceError", "EngineLost")


class RunStates:
    """Compares a run's note with the jobs of this program and with the processes of this machine."""

    def __init__(self, runs: Runs, jobs: Jobs) -> None:
        self._runs = runs
        self._jobs = jobs

    def of(self, run: Run) -> tuple[RunState, str]:
        """What the note says, unless who wrote it has gone."""
        record = self._runs.record(run)
        if record.state not in OPEN:
            return record.state, record.message
        if self._jobs.knows(record.job):
            job = self._jobs.get(record.job)
            if job.is_open:
                return ("running" if job.state == "running" else "waiting"), ""
            return ("paused" if job.state in ("failed", "paused") else "interrupted"), job.message
        if is_alive(record.process):
            return record.state, ""
        return "interrupted", "The program ended while this run was under way; press Resume to go on."

    def is_open(self, run: Run) -> bool:
        """Whether it waits or runs, here or in another program."""
        return self.of(run)[0] in OPEN


class RunMarks:
    """Notes in a run's folder what becomes of its jobs, and shows its copies to the catalogs."""

    def __init__(self, runs: Runs, embeddings: EmbeddingCatalog, networks: NetworkCatalog) -> None:
        self._runs = runs
        self._embeddings = embeddings
        self._networks = networks

    def show(self, run: Run, method: str) -> None:
        """Its copies can be called by name from now on, those that come as well."""
        folder = run.path(COPIES[method])
        if method == "LoRA":
            self._networks.also("lora", folder, f"{_SHOWN}/{run.id}")
        else:
            self._embeddings.also(folder, f"{_SHOWN}/{run.id}")

    def show_all(self) -> None:
        """The copies of every run that there is."""
        for run in reversed(self._runs.list()):
            for method, folder in COPIES.items():
                if run.path(folder).is_dir():
                    self.show(run, method)

    def queued(self, job: Job) -> None:
        run = self._run(job)
        if run is not None and isinstance(job.request, TrainingRequest):
            record = self._runs.record(run)
            created = record.created if record.job else job.created
            self._runs.mark(run, state="waiting", message="", job=job.id, owner=job.owner, created=created)
            self.show(run, job.request.method)

    def began(self, job: Job) -> None:
        self._mark(job, "running")

    def waits(self, job: Job) -> None:
        """It is in the queue again."""
        self._mark(job, "waiting")

    def ended(self, job: Job, ending: Failed | Finished) -> None:
        if job.is_training:
            state, message = state_after(ending)
            self._mark(job, state, message)
            self._embeddings.refresh_if_changed()
            self._networks.refresh_if_changed()

    def _mark(self, job: Job, state: RunState, message: str = "") -> None:
        run = self._run(job)
        if run is not None:
            self._runs.mark(run, state=state, message=message, job=job.id)

    def _run(self, job: Job) -> Run | None:
        if not isinstance(job.request, TrainingRequest):
            return None
        try:
            return self._runs.find(job.request.run)
        except NotFound:
            log.warning("the run %s is not there any more", job.request.run)
            return None


def state_after(ending: Failed | Finished) -> tuple[RunState, str]:
    """A run's state after its job's ending, and the sentence to it."""
    if isinstance(ending, Failed):
        return ("failed" if ending.kind in _FAULTS else "paused"), ending.message
    states: dict[str, RunState] = {"interrupted": "interrupted", "paused": "paused", "cancelled": "paused"}
    return states.get(ending.reason, "done"), ""
