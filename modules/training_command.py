"""`python webui.py train`: a training with a progress bar; Ctrl+C pauses it, the same command goes on."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modules.flags import checked, take_parts, train_flags
from modules.schema.errors import BadRequest
from modules.schema.events import Event, Finished, TrainStep
from modules.schema.knob import knobs
from modules.schema.request import GenerationRequest
from modules.schema.training import PRESETS, TrainingRequest
from modules.service.app import App
from modules.service.jobs import Job
from modules.service.training.desk import Summary
from modules.terminal import INTERRUPTED, OWNER, ProgressBar, Watch, open_app, say, tell

# What the same command may say differently of a run that it goes on with.
_FREE = ("steps", "data_root", "name", "overwrite_old", "seed")
_LONG = 3600.0


def train(arguments: Sequence[str], program: Path) -> int:
    """Train, or go on with the unfinished run of that name; prints the result's file. Returns the exit code."""
    given = train_flags().read(arguments)
    new, preset = given.pop("new", False), given.pop("preset", "")
    preview = take_parts(given).get("preview", {})
    asked = {name: given.pop(name) for name in knobs(TrainingRequest) if name in given}
    if "data_root" in asked:
        asked["data_root"] = _data_set(asked["data_root"])
    with open_app(given, program, trains=True) as app:
        request = _request(app, PRESETS.get(preset, {}) | asked, preview)
        run = None if new else _unfinished(app, request)
        job = app.submit(request, OWNER) if run is None else _again(app, run, asked)
        return _Training(app, job, ProgressBar(sys.stderr)).run()


def _data_set(text: str) -> str:
    """A folder here as its full path; else the name of a data set."""
    folder = Path(text).expanduser()
    return str(folder.resolve()) if folder.is_dir() else text


def _request(app: App, values: Mapping[str, Any], preview: Mapping[str, Any]) -> TrainingRequest:
    """Without a size on the command line, the size that the checkpoint was made for."""
    drawn = {**dict(TrainingRequest().preview), **preview}
    sizes = {"width", "height"} & set(preview)
    drawn = {name: value for name, value in drawn.items() if name not in ("width", "height") or sizes}
    request = checked(TrainingRequest, dict(values))
    if not {"training_width", "training_height"} & set(values):
        name = drawn.get("checkpoint") or app.selected_checkpoint
        native = app.checkpoints.find(name).native_size
        if native is not None:
            request = request.replace(training_width=native[0], training_height=native[1])
    return request.replace(preview=checked(GenerationRequest, drawn, "--preview"))


def _unfinished(app: App, request: TrainingRequest) -> Summary | None:
    """The newest run of that name, if it has not come to the step that is asked for; raises BadRequest if it has."""
    for run in app.training.list():
        if (run.name.casefold(), run.method) == (request.name.strip().casefold(), request.method):
            if run.state != "done" or run.step < request.steps:
                return run
            if not request.overwrite_old:
                raise BadRequest(
                    f"The run {run.run} is done, at step {run.step}: ask for more --steps, or train it anew with "
                    "--new --overwrite-old.", "steps",
                )  # fmt: skip
            return None
    return None


def _again(app: App, run: Summary, asked: Mapping[str, Any]) -> Job:
    """Go on with a run; raises BadRequest where the command asks for something else than it was begun with."""
    begun = app.training.detail(run.run).request
    flags = knobs(TrainingRequest)
    for name, value in asked.items():
        if name not in _FREE and getattr(begun, name) != value:
            raise BadRequest(
                f"The unfinished run {run.run} was begun with {flags[name].flag} {getattr(begun, name)}: leave that "
                "as it is, or begin another run with --new and another --name.", name,
            )  # fmt: skip
    if run.job and run.state in ("waiting", "running"):
        return app.training.job(run.run)
    say(f"Going on with the run {run.run} at step {run.step}.")
    return app.training.resume(run.run, OWNER, asked.get("steps"))


class _Training(Watch):
    """A training in the terminal. Ctrl+C pauses it; the last saved state is kept in any case."""

    def __init__(self, app: App, job: Job, bar: ProgressBar) -> None:
        assert isinstance(job.request, TrainingRequest)
        super().__init__(app, job, bar)
        self._run = job.request.run

    def _stop(self) -> str:
        self._app.training.pause(self._run)
        return "Pausing; the same command goes on."

    def _show(self, event: Event) -> None:
        if isinstance(event, TrainStep):
            self._bar.show(event.step / event.steps, step_text(event))

    def _finished(self, event: Finished) -> int:
        if event.reason == "done":
            tell(self._app.training.result(self._run))
            return 0
        summary = self._app.training.summary(self._run)
        where = f"at step {summary.step} of {summary.steps}"
        say(f"The run {self._run} is {summary.state} {where}; the same command goes on.")
        return INTERRUPTED


def step_text(now: TrainStep) -> str:
    """One line on where a training stands."""
    if now.state == "preparing":
        return "preparing the pictures"
    facts = [f"step {now.step} of {now.steps}"]
    if now.smooth is not None:
        facts.append(f"loss {now.smooth:.4f}")
    if now.evaluation is not None:
        best = f" (best {now.best:.4f} at {now.best_step})" if now.best is not None else ""
        facts.append(f"evaluation {now.evaluation:.4f}{best}")
    if now.seconds_left is not None:
        left = now.seconds_left
        facts.append(f"{left / 3600:.1f} h left" if left > _LONG else f"{left / 60:.0f} min left" if left > 99 else
                     f"{left:.0f} s left")  # fmt: skip
    return ", ".join(facts)
