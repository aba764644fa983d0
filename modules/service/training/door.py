"""A training at the door: everything checked that can be checked without a GPU, then its folder made."""

from __future__ import annotations

import math
import re
import secrets
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from modules.catalog.checkpoints import CheckpointCatalog
from modules.catalog.datasets.doctor import Finding
from modules.catalog.embeddings import EmbeddingCatalog
from modules.catalog.networks import NetworkCatalog
from modules.schema.engine import ModelRef
from modules.schema.errors import BadRequest, UnknownName, UserError
from modules.schema.learning_rate import parse_rates
from modules.schema.request import GenerationRequest
from modules.schema.training import LEARN_RATES, TrainingRequest, TrainingSet
from modules.service.plans import Part
from modules.service.resolve import OWN_VAE
from modules.service.training.runs import Run, Runs
from modules.service.training.states import RunStates

TEXTUAL_INVERSION = "Textual inversion"
_START = "start"
_NAME = re.compile(r"[\w][\w. -]{0,62}[\w]|[\w]")
_LARGEST_DRAWN_SEED = 4294967293
_LITTLE_ROOM = 2 << 30
# Sizes this far from the checkpoint's own are not what it can draw.
_UNLIKE = 1.6
# Ten times what LoRA are trained with as a rule: beyond that the model's layers are soon spoilt.
_HIGH_FOR_LORA = 1e-3

ResolveRequest = Callable[[GenerationRequest], tuple[GenerationRequest, ModelRef]]


class Doctor(Protocol):
    """Looks through the data set of that name or path, which is to be trained at the size `wanted`."""

    def __call__(self, name_or_path: str, *, wanted: tuple[int, int]) -> list[Finding]: ...


@dataclass(frozen=True)
class Check:
    """What is worth knowing before the first step. `seconds_per_step`: where a run like this one has been timed on
    this machine."""

    warnings: list[str]
    pictures: int
    steps_per_epoch: int
    seconds_per_step: float | None


@dataclass(frozen=True)
class Shelves:
    """Where finished words and LoRA files are: their catalogs, and the folders that new ones go to."""

    embeddings: EmbeddingCatalog
    networks: NetworkCatalog
    words: Path
    loras: Path

    def result(self, request: TrainingRequest) -> Path:
        """The file that the run makes."""
        if request.method == TEXTUAL_INVERSION:
            return self.words / f"{request.name}.{request.embedding_format}"
        return self.loras / f"{request.name}.safetensors"

    def existing(self, request: TrainingRequest) -> Path | None:
        """A file of that name that is no copy of a run."""
        if request.method == TEXTUAL_INVERSION:
            self.embeddings.refresh_if_changed()
            try:
                path = self.embeddings.find(request.name).path
            except UnknownName:
                path = self.result(request)
            return path if path.is_file() and path.is_relative_to(self.words) else None
        self.networks.refresh_if_changed()
        try:
            path = self.networks.find("lora", request.name).path
        except UnknownName:
            path = self.result(request)
        return path if path.is_file() and path.stem.casefold() == request.name.casefold() else None


class TrainingDoor:
    """`resolve` finds the names of a preview's request; `prepare` reads the data set, `doctor` says what is wrong
    with it; `encode` is the tokenizer."""

    def __init__(
        self,
        runs: Runs,
        states: RunStates,
        shelves: Shelves,
        checkpoints: CheckpointCatalog,
        *,
        resolve: ResolveRequest,
        prepare: Callable[[TrainingRequest], TrainingSet],
        doctor: Doctor,
        encode: Callable[[str], list[int]],
    ) -> None:
        self._runs = runs
        self._states = states
        self._shelves = shelves
        self._checkpoints = checkpoints
        self._resolve = resolve
        self._prepare = prepare
        self._doctor = doctor
        self._encode = encode

    def at_the_door(self, request: TrainingRequest) -> tuple[TrainingRequest, ModelRef]:
        """The resolved request, its run's folder made (or found, to go on with), and the model; raises UserErrors."""
        if request.run:
            return self._again(request)
        resolved, model = self._resolved(request)
        pictures = self._prepare(resolved)
        run = self._runs.make(resolved.name, resolved.log_directory)
        try:
            resolved = resolved.replace(run=run.id)
            self._runs.save(run, resolved, pictures)
            if resolved.start:
                self._keep_start(run, resolved.start)
        except BaseException:
            shutil.rmtree(run.folder, ignore_errors=True)
            raise
        return resolved, model

    def part(self, request: TrainingRequest) -> Part:
        """What the engine is given: the run's folder, the result's file and whether one may be replaced."""
        run = self._runs.find(request.run)
        self._runs.check(run)
        _, model = self._resolve(request.preview)
        began = bool(self._runs.state(run))
        files = {
            "run": str(run.folder),
            "result": str(self._shelves.result(request)),
            "overwrite": "1" if request.overwrite_old or began else "",
        }
        start = next(iter(run.folder.glob(f"{_START}.*")), None)
        if start is not None:
            files["start"] = str(start)
        return Part(request, model, files=files)

    def check(self, request: TrainingRequest) -> Check:
        """Everything that `at_the_door` would refuse, raised; and what it would accept with a warning."""
        resolved, _ = self._resolved(request)
        pictures = self._prepare(resolved)
        each = max(resolved.batch_size * resolved.gradient_step, 1)
        count = len(pictures.pictures)
        warnings = [*self.warnings(resolved), *self._problems(resolved)]
        return Check(warnings, count, math.ceil(count / each), self._pace(resolved))

    def _pace(self, resolved: TrainingRequest) -> float | None:
        """Seconds a step of the newest run that was as much work."""
        for run, request in self._runs.requests():
            state = self._runs.state(run)
            steps, seconds = state.get("step"), state.get("seconds")
            if steps and seconds and _work(request) == _work(resolved):
                return float(seconds) / int(steps)
        return None

    def _problems(self, resolved: TrainingRequest) -> list[str]:
        size = resolved.training_width, resolved.training_height
        return [finding.sentence for finding in self._doctor(resolved.data_root, wanted=size)]

    def warnings(self, resolved: TrainingRequest) -> list[str]:
        """Sentences on a resolved request."""
        found = [
            *name_warnings(resolved, self._encode),
            *self._model_warnings(resolved),
            *_rate_warnings(resolved),
        ]
        free = shutil.disk_usage(self._runs.data).free
        if free < _LITTLE_ROOM:
            found.append(f"Only {free / 1e9:.1f} GB are free where the run is kept: previews and copies need room.")
        return found

    # Inside

    def _again(self, request: TrainingRequest) -> tuple[TrainingRequest, ModelRef]:
        """A run that exists: everything stays as it was begun, but its steps may be more."""
        run = self._runs.find(request.run)
        self._runs.check(run)
        if self._states.is_open(run):
            raise BadRequest(f"The run {run.id} is in the queue already.", "run")
        stored = self._runs.request(run)
        done = int(self._runs.state(run).get("step") or 0)
        steps = max(request.steps, stored.steps)
        if done >= steps:
            raise BadRequest(f"The run {run.id} has done its {done} steps: ask for more than that.", "steps")
        parse_rates(stored.learn_rate, steps, done)
        resolved = stored.replace(steps=steps)
        self._runs.save(run, resolved)
        return resolved, self._resolve(resolved.preview)[1]

    def _keep_start(self, run: Run, word: str) -> None:
        """A copy of the embedding to begin with: the file may be replaced by the run itself."""
        source = self._shelves.embeddings.find(word).path
        try:
            shutil.copyfile(source, run.path(f"{_START}{source.suffix.lower()}"))
        except OSError as error:
            raise UserError(f"{source.name} could not be copied into the run ({error.strerror}).") from error

    def _resolved(self, request: TrainingRequest) -> tuple[TrainingRequest, ModelRef]:
        name = checked_name(request.name)
        request = request.replace(name=name, preview=_sized(request))
        self._runs.root(request.log_directory)
        parse_rates(request.learn_rate, request.steps)
        if request.clip_grad_mode != "disabled":
            parse_rates(request.clip_grad_value, request.steps, field="clip_grad_value")
        self._check_clash(request)
        preview, model = self._resolve(request.preview)
        seed = secrets.randbelow(_LARGEST_DRAWN_SEED + 1) if request.seed == -1 else request.seed
        return request.replace(preview=preview, seed=seed), model

    def _check_clash(self, request: TrainingRequest) -> None:
        what = "word" if request.method == TEXTUAL_INVERSION else "LoRA"
        existing = self._shelves.existing(request)
        if existing is not None and not request.overwrite_old:
            raise BadRequest(
                f"There is a {what} named {request.name!r} already ({existing.name}): choose another name, or allow "
                "overwriting.", "name",
            )  # fmt: skip
        wanted = request.method, request.name.casefold()
        for run, begun in self._runs.requests():
            if (begun.method, begun.name.casefold()) == wanted and self._states.is_open(run):
                raise BadRequest(
                    f"The run {run.id} is learning a {what} of that name already: choose another name, or wait for "
                    "its end.", "name",
                )  # fmt: skip

    def _model_warnings(self, resolved: TrainingRequest) -> list[str]:
        found: list[str] = []
        preview = resolved.preview
        if preview.vae != OWN_VAE:
            found.append(
                f"The VAE {preview.vae} is used in place of the checkpoint's own: what is learned may fit only that "
                "one."
            )
        if preview.clip_skip != 1:
            found.append(
                f"Clip skip is {preview.clip_skip}, the checkpoint's usual is 1: the word will be at its best only "
                "with that clip skip."
            )
        native = self._checkpoints.find(preview.checkpoint).native_size
        if native is not None:
            factor = math.sqrt(resolved.training_width * resolved.training_height / (native[0] * native[1]))
            if not 1 / _UNLIKE <= factor <= _UNLIKE:
                found.append(
                    f"The checkpoint was made for pictures of {native[0]}x{native[1]}, and you train at "
                    f"{resolved.training_width}x{resolved.training_height}."
                )
        return found


def _work(request: TrainingRequest) -> tuple[object, ...]:
    """What a step's time depends on."""
    size = request.training_width, request.training_height
    each = request.batch_size, request.gradient_step
    checkpoint = request.preview.checkpoint.partition(" [")[0]  # its hash may not have been known then
    return request.method, checkpoint, *size, *each, request.precision, request.gradient_checkpointing


def checked_name(name: str) -> str:
    """The name as it is used; raises BadRequest for one that no file or prompt could hold."""
    name = name.strip()
    if not name:
        raise BadRequest("The training has no name: write the word that you want to use in prompts.", "name")
    if not _NAME.fullmatch(name):
        raise BadRequest(
            f"{name!r} cannot be a name: use up to 64 letters, digits, spaces and . _ - between them.", "name"
        )
    return name


def name_warnings(request: TrainingRequest, encode: Callable[[str], list[int]]) -> list[str]:
    """Names that would answer where nobody means them."""
    if request.method != TEXTUAL_INVERSION:
        return []
    tokens = encode(request.name)
    if not tokens:
        return [f"{request.name!r} has no letters that the model's tokenizer knows, so no prompt could call it."]
    if len(tokens) == 1:
        return [
            f"{request.name!r} is a word that the model knows already: every prompt with it will get the new one. A "
            f"made-up name, such as {request.name + '_style'!r}, cannot be met by chance."
        ]
    if _are_words(request.name, encode):
        return [f"{request.name!r} consists of ordinary words: prompts that have them in a row will call it."]
    return []


def _are_words(name: str, encode: Callable[[str], list[int]]) -> bool:
    words: Sequence[str] = name.split()
    return len(words) > 1 and all(len(encode(word)) == 1 for word in words)


def _rate_warnings(request: TrainingRequest) -> list[str]:
    rates = parse_rates(request.learn_rate, request.steps)
    told: list[str] = []
    if rates[-1].last < request.steps:
        end = rates[-1].last
        told.append(f"The learning rate ends at step {end}, so the run ends there too, not at {request.steps}.")
    highest = max(segment.rate for segment in rates)
    if request.method == "LoRA" and highest > _HIGH_FOR_LORA:
        lora, word = LEARN_RATES["LoRA"], LEARN_RATES["Textual inversion"]
        told.append(f"A learning rate of {highest:g} is high for a LoRA: {lora} is usual, and {word} is for words.")
    return told


def _sized(request: TrainingRequest) -> GenerationRequest:
    """Previews are drawn at the training's size where they have none of their own."""
    if {"width", "height"} & request.preview.model_fields_set:
        return request.preview
    return request.preview.replace(width=request.training_width, height=request.training_height)
