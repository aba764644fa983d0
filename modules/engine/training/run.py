"""A training run from its folder to its result: prepare, step after step, and whatever comes between."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Generator, Sequence
from contextlib import suppress
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from modules.engine.conditioning import PromptEncoder
from modules.engine.loading.model import LoadedModel
from modules.engine.loading.store import Store
from modules.engine.training.drawing import draw
from modules.engine.training.evaluation import has_settled
from modules.engine.training.journal import Journal, Line
from modules.engine.training.latents import key_of
from modules.engine.training.lesson import Gradient, Lesson, learned_of
from modules.engine.training.model import TrainingModel, memory_used
from modules.engine.training.norms import clip
from modules.engine.training.outputs import Outputs
from modules.engine.training.preparing import Command, Events, Leave, latents_of, of_disk, sha256_of
from modules.engine.training.state import State, load_state
from modules.engine.training.streams import Streams
from modules.engine.training.team import Team, useful
from modules.schema.engine import EngineJob
from modules.schema.errors import OutOfMemory
from modules.schema.events import Event, Finished, Notice, TrainStep
from modules.schema.learning_rate import parse_rates, rate_at
from modules.schema.training import TrainingRequest, TrainingSet

_SECONDS_BETWEEN_SAVES = 10.0
_SECONDS_BETWEEN_EVENTS = 0.2
_SMOOTHING = 0.98
_MOST_FALLS = 3


def run_training(job: EngineJob, models: Store, encoder: PromptEncoder, devices: Sequence[str] = ()) -> Events:
    """Train what `job` asks for, going on where its folder says, and tell of it.

    job.files: "run", the run's folder with `dataset.json` in it; "result", the file to write; "start" (optional), an
    embedding to begin with. `devices`: further ones that learn along. After each event but those of the state
    "drawing" the models may be used for something else. Commands: "pause" saves the state and ends; "interrupt" and
    "stop" write the result as well; "border", in the state "drawing", asks for an event at which the models are free.
    """
    run = _Run(job, models, encoder, devices)
    began = time.monotonic()
    reason = "done"
    try:
        yield from run.all()
    except Leave as leave:
        reason = leave.reason
    except OSError as error:
        yield run.notice(of_disk(error))
        reason = "paused"
    finally:
        run.let_go()
    yield Finished(reason, time.monotonic() - began)


class _Run:
    def __init__(self, job: EngineJob, models: Store, encoder: PromptEncoder, devices: Sequence[str]) -> None:
        assert isinstance(job.request, TrainingRequest)
        self._devices = devices
        self._team: Team | None = None
        self._job, self._request, self._encoder = job, job.request, encoder
        self._folder = Path(job.files["run"])
        self._source = TrainingModel(job.model, models, job.request.precision)
        self._rates = parse_rates(job.request.learn_rate, job.request.steps)
        self._clips = parse_rates(job.request.clip_grad_value, job.request.steps, field="clip_grad_value")
        self._told = self._saved = 0.0
        self._pace: float | None = None

    def all(self) -> Events:
        """Everything but the last event."""
        yield from self._prepare()
        try:
            yield from self._learn()
        except Leave as leave:
            self._save()
            if leave.reason == "interrupted":
                yield from self._hand_over()
            raise
        self._state.course.finished = True
        self._save()
        yield from self._hand_over()

    def let_go(self) -> None:
        self._source.let_go()
        if self._team is not None:
            self._team.let_go()

    def notice(self, text: str, level: str = "warning") -> Notice:
        """A sentence for the user, kept with the run where that is possible."""
        if hasattr(self, "_journal"):
            with suppress(OSError):
                self._journal.note(self._state.course.step, text, level)
        return Notice(text, level)

    # Preparing

    def _prepare(self) -> Events:
        """The model, the pictures as latents, and the state to go on from."""
        data = TrainingSet.model_validate_json((self._folder / "dataset.json").read_bytes())
        yield TrainStep(self._request.run, 0, self._request.steps, "preparing")
        model, _ = self._source.claim()
        sha256 = sha256_of(Path(self._job.model.checkpoint))
        vae = sha256 if self._job.model.vae is None else sha256_of(Path(self._job.model.vae))
        self._keys = [key_of(picture, vae) for picture in data.pictures]
        pictures = yield from latents_of(self._folder, data, self._keys, self._source, self._request)
        model, _ = self._source.claim()
        self._learned = learned_of(self._request, model, self._job.files.get("start", ""))
        self._lesson = Lesson(self._request, data, pictures, self._learned, self._job.model.named)
        self._lesson.take(model)
        self._team = Team(self._lesson, self._job, self._keys, self._partners())
        self._begin(model)
        name = str(model.info.get("Model", ""))
        result = Path(self._job.files["result"])
        self._outputs = Outputs(self._request, data, self._learned, self._folder, result, name, sha256)
        self._try_out(model)
        yield from self._gather()
        yield from self._tell("preparing", always=True)

    def _partners(self) -> Sequence[str]:
        """The further devices that a step has work for."""
        return useful(self._devices, self._request.batch_size * self._request.gradient_step)

    def _gather(self) -> Events:
        """Wait for the further devices: with them from the first step on, a run that is repeated adds up the same."""
        assert self._team is not None
        asked = self._team.has_partners
        while not self._team.wait(0.3):
            yield from self._tell("preparing", always=True)
        if asked and not self._team.has_partners:
            yield self.notice("The further devices cannot learn along: the training goes on without them. The log "
                              "says why.")  # fmt: skip
        elif self._devices and not asked:
            yield self.notice("A step has one picture, so the further devices have nothing to do: raise the batch "
                              "size or the gradient accumulation steps to use them.", "info")  # fmt: skip

    def _begin(self, model: LoadedModel) -> None:
        """The state to go on from, or a new one."""
        start = self._learned.start(model, Streams(self._request.seed)).to(model.device)
        assert self._team is not None
        self._rule = self._learned.rule(start)
        averaged = self._request.ema > 0
        self._rule.settle(start)
        found = load_state(self._folder / "state.safetensors", model.device, start.numel(), averaged)
        self._state = found or State.new(start, averaged)
        self._team.fell(self._state.course.falls)
        self._journal = Journal(self._folder, self._lesson.place)
        self._journal.cut(self._state.course.step if found else -1)
        self._good = copy.deepcopy(self._state)
        self._forgiven = self._state.course.falls

    def _try_out(self, model: LoadedModel) -> None:
        """A step of which nothing is kept; raises OutOfMemory with what would help."""
        try:
            self._lesson.dry_step(self._state.flat)
        except (MemoryError, RuntimeError) as error:
            if isinstance(error, MemoryError) or "memory" in str(error).casefold():
                raise OutOfMemory(
                    f"A training step with batch size {self._request.batch_size} does not fit into the memory of "
                    f"{model.device}: lower the batch size or the size of the pictures, or switch gradient "
                    "checkpointing on."
                ) from error
            raise

    # Learning

    def _learn(self) -> Events:
        course = self._state.course
        yield from self._between(resumed=True)
        while self._state.course.step < self._request.steps:
            course = self._state.course
            number = course.step + 1
            rate = rate_at(self._rates, number)
            if rate is None:
                break
            began = time.monotonic()
            gradient = yield from self._gradient(number)
            if not self._advance(gradient, rate * course.rate_factor, number):
                yield from self._fall(gradient)
                continue
            seconds = time.monotonic() - began
            self._pace = seconds if self._pace is None else 0.9 * self._pace + 0.1 * seconds
            self._note(gradient.loss, rate * course.rate_factor, seconds)
            yield from self._between()
            if self._request.auto_stop and has_settled([loss for _, loss in course.evaluations]):
                yield self.notice(f"The evaluation stopped falling: the training ended by itself at step {number}.",
                                  "info")  # fmt: skip
                break

    def _gradient(self, number: int) -> Generator[Event, Command, Gradient]:
        """That of step `number`, by all devices; one that is lost is said."""
        assert self._team is not None
        before = self._team.has_partners
        gradient = self._team.gradient(self._state.flat, number)
        if before and not self._team.has_partners:
            yield self.notice("The further devices stopped answering: the training goes on without them. The log "
                              "says why.")  # fmt: skip
        return gradient

    def _advance(self, gradient: Gradient, rate: float, number: int) -> bool:
        """Take the step; False, with the numbers perhaps spoilt, where something is not finite."""
        if not gradient.is_sound:
            return False
        state, course = self._state, self._state.course
        amount = rate_at(self._clips, number)
        if amount is not None:
            clip(gradient.values, self._request.clip_grad_mode, amount)
        with torch.no_grad():
            self._rule.update(state.flat, gradient.values, state.moments, rate, course.updates + 1)
            if state.average is not None:
                # At first the mean follows faster: what it began with was not learned.
                decay = min(self._request.ema, (1 + course.updates) / (10 + course.updates))
                state.average.lerp_(state.flat, 1 - decay)
                self._rule.settle(state.average)
        if not state.is_sound:
            return False
        course.step, course.updates = number, course.updates + 1
        return True

    def _note(self, loss: float, rate: float, seconds: float) -> None:
        """Evaluate where it is due, and write the step down."""
        course = self._state.course
        # A plain mean at first: the first loss says little.
        share = max(1 - _SMOOTHING, 1 / course.step)
        course.smooth = loss if course.smooth is None else (1 - share) * course.smooth + share * loss
        course.seconds += seconds
        self._loss, self._rate = loss, rate
        evaluation = self._evaluated() if self._is_due(self._request.evaluate_every) else None
        norm = self._learned.length(self._state.shown)
        self._journal.add(Line(course.step, loss, course.smooth, rate, norm, evaluation, seconds))

    def _evaluated(self) -> float | None:
        """The loss on the fixed draws, remembered; what is best so far is kept at once."""
        course = self._state.course
        loss = self._lesson.evaluate(self._state.shown)
        if not math.isfinite(loss):
            return None
        course.evaluations.append((course.step, loss))
        if course.best is None or loss < course.best:
            course.best, course.best_step = loss, course.step
            self._outputs.best(self._state.shown, course.step)
        return loss

    def _fall(self, gradient: Gradient) -> Events:
        """Drop the step and go back to the last good state with half the rate; stop after too many of them."""
        step, falls = self._state.course.step + 1, self._state.course.falls + 1
        factor = self._state.course.rate_factor / 2
        what = "the new values" if gradient.is_sound else "the loss or its gradient"
        assert self._team is not None
        self._state = copy.deepcopy(self._good)
        course = self._state.course
        course.falls, course.rate_factor = falls, factor
        self._team.fell(falls)
        self._journal.cut(course.step)
        if falls - self._forgiven >= _MOST_FALLS:
            yield self.notice(
                f"In step {step} {what} were no numbers for the third time: the training stopped, with what was good "
                f"after step {course.step} saved. Look at the pictures near that step, or lower the learning rate."
            )
            raise Leave("interrupted")
        yield self.notice(
            f"In step {step} {what} were no numbers: the step was dropped, and the training went back to step "
            f"{course.step} with {factor:g} of the learning rate."
        )
        self._save()

    # Between two steps

    def _between(self, resumed: bool = False) -> Events:
        """The border of a step: saving, telling, copies and previews."""
        course = self._state.course
        if course.step == 0 and self._request.evaluate_every and not course.evaluations:
            loss = self._evaluated()
            norm = self._learned.length(self._state.shown)
            self._journal.add(Line(0, None, None, None, norm, loss, 0.0))
        copying = self._is_due(self._request.save_embedding_every)
        drawing = self._is_due(self._request.create_image_every)
        if copying or drawing or resumed or time.monotonic() - self._saved > _SECONDS_BETWEEN_SAVES:
            self._save()
        yield from self._tell("training", always=self._is_due(self._request.evaluate_every) or resumed)
        if copying:
            yield from self._hand(self._outputs.copy(self._state.shown, course.step))
        if drawing or (resumed and self._request.create_image_every):
            yield from self._previews(plain_only=not drawing)

    def _is_due(self, every: int) -> bool:
        step = self._state.course.step
        return bool(every and step and (step % every == 0 or step == self._request.steps))

    def _save(self) -> None:
        """History first: it may be ahead of the state, never behind it."""
        self._journal.flush()
        self._state.save(self._folder / "state.safetensors")
        self._good = copy.deepcopy(self._state)
        self._saved = time.monotonic()

    def _tell(self, state: str, always: bool = False) -> Events:
        """Say where the run stands, a few times a second at most; do what is answered."""
        if not always and time.monotonic() - self._told < _SECONDS_BETWEEN_EVENTS:
            return
        self._told = time.monotonic()
        yield from self._hand(self._report(state))

    def _hand(self, event: Event) -> Events:
        """An event at which the models are free; afterwards they are taken back."""
        self._heed((yield event))
        model, new = self._source.claim()
        if new:
            self._lesson.take(model)

    def _heed(self, command: Command) -> None:
        if command == "pause":
            raise Leave("paused")
        if command in ("interrupt", "stop"):
            raise Leave("interrupted")

    def _report(self, state: str) -> TrainStep:
        course, request = self._state.course, self._request
        return TrainStep(
            run=request.run,
            step=course.step,
            steps=request.steps,
            state=state,
            loss=getattr(self, "_loss", None),
            smooth=course.smooth,
            rate=getattr(self, "_rate", None),
            norm=self._learned.length(self._state.shown),
            evaluation=course.evaluations[-1][1] if course.evaluations else None,
            best=course.best,
            best_step=course.best_step,
            seconds_per_step=self._pace,
            seconds_left=None if self._pace is None else self._pace * (request.steps - course.step),
            memory=memory_used(self._state.flat.device),
        )

    def _previews(self, plain_only: bool) -> Events:
        """The previews of this step that are not there yet, and those without what is learned."""
        step, flat, preview = self._state.course.step, self._state.shown.clone(), self._request.preview
        for index in range(preview.image_count):
            if not self._outputs.plain_path(index).exists():
                picture = yield from self._drawn(index, self._learned.plain(preview.prompt), None)
                yield from self._hand(self._outputs.plain(picture, index))
        for index in range(0 if plain_only else preview.image_count):
            if not self._outputs.preview_path(step, index).exists():
                picture = yield from self._drawn(index, self._learned.prompt(preview.prompt), flat)
                yield from self._hand(self._outputs.preview(picture, flat, step, index))

    def _drawn(self, index: int, prompt: str, flat: Tensor | None) -> Generator[Event, Command, Image.Image]:
        """A picture; begun again where the models were needed for something else."""
        named = [file for file in self._job.model.named if file.name != self._request.name]
        if flat is not None:
            named.append(self._learned.named(self._outputs.drawn_with(flat, self._state.course.step)))
        while True:
            model, _ = self._source.claim()
            work = draw(self._request.preview, index, prompt, model, self._encoder, named)
            command: Command = None
            try:
                while command != "border":
                    next(work)
                    command = yield self._report("drawing")
                    self._heed(command)
            except StopIteration as end:
                self._source.claim()
                return end.value
            finally:
                work.close()
            yield from self._tell("training", always=True)

    def _hand_over(self) -> Events:
        """The result and the manifest."""
        course = self._state.course
        model, _ = self._source.claim()
        event = self._outputs.write_result(self._state.shown, course.step)
        self._outputs.manifest(course, model, self._keys, self._job)
        yield self._report("training")
        yield event
