"""Everything about training runs that pages, API and command line ask for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from modules.schema.errors import BadRequest
from modules.schema.events import ENDINGS, TrainStep
from modules.schema.training import TrainingRequest
from modules.service.embedding_tool import export_embedding
from modules.service.jobs import Job, Jobs
from modules.service.streams import Streams
from modules.service.training import files
from modules.service.training.door import Check, Shelves, TrainingDoor
from modules.service.training.files import RunFile, run_files
from modules.service.training.history import Histories, Row, read_notices
from modules.service.training.runs import OPEN, Run, Runs, RunState
from modules.service.training.states import RunStates

_STOP_SECONDS = 120.0


class Engine(Protocol):
    """What a running job can be told."""

    def interrupt(self, job_id: str) -> None: ...
    def pause(self, job_id: str) -> None: ...


@dataclass(frozen=True)
class Summary:
    """A run in a list. `job` is its newest job's id; `message` says why it stands still, where something is wrong."""

    run: str
    name: str
    method: str
    state: RunState
    message: str
    step: int
    steps: int
    created: float
    job: str


@dataclass(frozen=True)
class Detail:
    """One run with everything. `last` is where it stands (a TrainStep's values, or {} before the first step)."""

    summary: Summary
    request: TrainingRequest
    best: float | None
    best_step: int | None
    files: list[RunFile]
    notices: list[dict[str, Any]]
    last: dict[str, Any]


class Training:
    """The runs of one data folder. They are everybody's who reaches the program, as long as it knows no accounts:
    who closed the tab finds the night's run on the phone."""

    def __init__(
        self,
        runs: Runs,
        states: RunStates,
        door: TrainingDoor,
        shelves: Shelves,
        *,
        jobs: Jobs,
        streams: Streams,
        engine: Engine,
        submit: Callable[[TrainingRequest, str], Job],
        cancel: Callable[[str, str], None],
    ) -> None:
        self.runs = runs
        self._states = states
        self._door = door
        self._shelves = shelves
        self._jobs = jobs
        self._streams = streams
        self._engine = engine
        self._submit = submit
        self._cancel = cancel
        self._histories = Histories()

    # Asking

    def check(self, request: TrainingRequest) -> Check:
        """Raises what submitting would refuse; tells what is worth knowing before."""
        return self._door.check(request)

    def list(self) -> list[Summary]:
        """All runs, newest first; those whose request cannot be read any more are left out."""
        return [self._summary(run, request) for run, request in self.runs.requests()]

    def detail(self, run_id: str) -> Detail:
        """One run; raises NotFound."""
        run = self.runs.find(run_id)
        request = self.runs.request(run)
        summary = self._summary(run, request)
        state = self.runs.state(run)
        last = self._last(run, summary)
        best = last.get("best") if last.get("best") is not None else state.get("best")
        best_step = last.get("best_step") if last.get("best") is not None else state.get("best_step")
        return Detail(summary, request, best, best_step, run_files(run), read_notices(run.folder), last)

    def summary(self, run_id: str) -> Summary:
        """One run as it is listed; raises NotFound."""
        run = self.runs.find(run_id)
        return self._summary(run, self.runs.request(run))

    def history(self, run_id: str, after: int = 0, points: int = 1000) -> list[Row]:
        """Its curves above step `after` (0: all), thinned to about so many points; see `history.COLUMNS`."""
        return self._histories.of(self.runs.find(run_id).folder).rows(after, points)

    def file(self, run_id: str, name: str) -> Path:
        """A file of a run by its name; raises NotFound."""
        return files.run_file(self.runs.find(run_id), name)

    def result(self, run_id: str) -> Path:
        """The file that the run makes, or will make."""
        return self._shelves.result(self.runs.request(self.runs.find(run_id)))

    def owner(self, run_id: str) -> str:
        """The person who began the run, "" where that is not known; raises NotFound."""
        return self.runs.record(self.runs.find(run_id)).owner

    def job(self, run_id: str) -> Job:
        """The run's newest job of this program; raises NotFound."""
        return self._jobs.get(self.runs.record(self.runs.find(run_id)).job)

    # Doing

    def pause(self, run_id: str) -> None:
        """Save the state at the next step border and stop; a waiting run leaves the queue."""
        job = self._open_job(run_id)
        if job.state == "waiting":
            self._cancel(job.id, job.owner)
        else:
            self._engine.pause(job.id)

    def resume(self, run_id: str, owner: str, steps: int | None = None) -> Job:
        """Put the run into the queue again, to end at `steps` (None: where it was to end). Raises BadRequest."""
        request = self.runs.request(self.runs.find(run_id))
        wanted = request if steps is None else request.replace(steps=steps)
        return self._submit(wanted.replace(run=run_id), owner)

    def stop(self, run_id: str, keep: Literal["best", "last"] = "last") -> None:
        """End the run with what it has learned: after the newest step, or at its best evaluation."""
        job = self._open_job(run_id)
        if job.state == "waiting":
            self._cancel(job.id, job.owner)
        else:
            self._engine.interrupt(job.id)
        if keep == "best":
            self._await_end(job)
            self.keep_best(run_id)

    def keep(self, run_id: str, step: int) -> Path:
        """The copy of `step` becomes the result; returns its file. Raises NotFound."""
        run = self.runs.find(run_id)
        request = self.runs.request(run)
        return self._kept(request, files.copy_of(run, request, step))

    def keep_best(self, run_id: str) -> Path:
        """What was learned at the best evaluation becomes the result. Raises BadRequest where there was none."""
        run = self.runs.find(run_id)
        source = run.path(files.BEST)
        if not source.is_file():
            raise BadRequest(f"The run {run.id} has no evaluation yet: keep its newest step.", "keep")
        return self._kept(self.runs.request(run), source)

    def delete(self, run_id: str) -> Path:
        """Move a run that is not open to the trash of its log directory; returns where it is."""
        run = self.runs.find(run_id)
        if self._states.of(run)[0] in OPEN:
            raise BadRequest(f"The run {run.id} is in the queue or running: pause or stop it first.", "run")
        return self.runs.trash(run)

    # Inside

    def _kept(self, request: TrainingRequest, source: Path) -> Path:
        result = self._shelves.result(request)
        if source.suffix == result.suffix:
            files.keep(source, result)
        else:
            export_embedding(source, result)
        self._shelves.embeddings.refresh()
        self._shelves.networks.refresh()
        return result

    def _summary(self, run: Run, request: TrainingRequest) -> Summary:
        state, message = self._states.of(run)
        record = self.runs.record(run)
        live = self._live(record.job) if state == "running" else None
        step = live.step if live is not None else int(self.runs.state(run).get("step") or 0)
        return Summary(
            run=run.id,
            name=request.name,
            method=request.method,
            state=state,
            message=message,
            step=step,
            steps=request.steps,
            created=record.created,
            job=record.job if self._jobs.knows(record.job) else "",
        )

    def _live(self, job_id: str) -> TrainStep | None:
        if not self._jobs.knows(job_id):
            return None
        event = self._streams.of(job_id).newest(TrainStep)
        return event if isinstance(event, TrainStep) else None

    def _last(self, run: Run, summary: Summary) -> dict[str, Any]:
        live = self._live(summary.job)
        if live is not None:
            return asdict(live)
        row = self._histories.of(run.folder).last()
        if row is None:
            return {}
        step, loss, smooth, rate, norm, evaluation = row
        state = self.runs.state(run)
        last = TrainStep(
            run.id, int(step or 0), summary.steps, loss=loss, smooth=smooth, rate=rate, norm=norm,
            evaluation=evaluation, best=state.get("best"), best_step=state.get("best_step"),
        )  # fmt: skip
        return asdict(last)

    def _open_job(self, run_id: str) -> Job:
        run = self.runs.find(run_id)
        state, _ = self._states.of(run)
        if state not in OPEN:
            raise BadRequest(f"The run {run.id} is not running.", "run")
        job_id = self.runs.record(run).job
        if not self._jobs.knows(job_id):
            raise BadRequest(
                f"The run {run.id} is under way in another program on this machine: stop it there.", "run"
            )
        return self._jobs.get(job_id)

    def _await_end(self, job: Job) -> None:
        """Until the engine has written the result."""
        for _, event in self._streams.follow(job.id, 0, _STOP_SECONDS):
            if isinstance(event, ENDINGS):
                return
