"""From what was asked to what is run: seeds drawn, names found, sizes rounded. The result gives the same again."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from modules.schema.engine import ModelRef
from modules.schema.errors import BadRequest, ModelFileError, UnknownName
from modules.schema.request import GenerationRequest
from modules.schema.samplers import AUTOMATIC, SAMPLERS, SCHEDULES, split_sampler_name
from modules.service.prompts import Styles, with_styles

OWN_VAE = "None"
_LARGEST_DRAWN_SEED = 4294967293


class ModelEntry(Protocol):
    """What is needed of a catalog's entry."""

    @property
    def path(self) -> Path: ...
    @property
    def name(self) -> str: ...
    @property
    def problem(self) -> str | None: ...


class CheckpointEntry(ModelEntry, Protocol):
    @property
    def title(self) -> str: ...
    @property
    def stem(self) -> str: ...


class Checkpoints(Protocol):
    @property
    def entries(self) -> Sequence[CheckpointEntry]: ...
    def find(self, name: str) -> CheckpointEntry: ...


class Vaes(Protocol):
    def find(self, name: str) -> ModelEntry: ...
    def side_file(self, checkpoint: CheckpointEntry) -> ModelEntry | None: ...


def resolve(
    request: GenerationRequest,
    *,
    checkpoints: Checkpoints,
    vaes: Vaes,
    default_checkpoint: str,
    styles: Styles | None = None,
) -> tuple[GenerationRequest, ModelRef, CheckpointEntry]:
    """The request with nothing left to chance or to a setting, the files it needs, and its checkpoint's entry.

    Resolving again changes nothing. Raises `UnknownName`, `BadRequest`, or `ModelFileError` for a file that is listed
    but cannot be used.
    """
    if request.extensions:
        raise UnknownName("extension", next(iter(request.extensions)), (), "extensions")
    checkpoint = find_checkpoint(request.checkpoint or default_checkpoint, checkpoints)
    vae = _find_vae(request.vae, checkpoint, vaes)
    sampler, scheduler = _sampling(request.sampler, request.scheduler)
    resolved = with_styles(request, styles).replace(
        checkpoint=checkpoint.title,
        vae=vae.name if vae else OWN_VAE,
        sampler=sampler,
        scheduler=scheduler,
        width=_multiple_of_8(request.width),
        height=_multiple_of_8(request.height),
        seed=_drawn(request.seed),
        subseed=_drawn(request.subseed),
    )
    model = ModelRef(checkpoint=str(checkpoint.path), vae=str(vae.path) if vae else None, use_ema=request.use_ema)
    return resolved, model, checkpoint


def find_checkpoint(name: str, checkpoints: Checkpoints) -> CheckpointEntry:
    """The usable checkpoint of that name; raises `UnknownName` or `ModelFileError`."""
    if not checkpoints.entries:
        raise BadRequest(
            "There is no checkpoint yet: put a .safetensors or .ckpt file into models/Stable-diffusion and refresh "
            "the list.",
            "checkpoint",
        )
    entry = checkpoints.find(name)
    _check(entry)
    return entry


def _find_vae(name: str, checkpoint: CheckpointEntry, vaes: Vaes) -> ModelEntry | None:
    """The VAE file to use, or None for the checkpoint's own."""
    wanted = name.strip()
    if wanted.casefold() == OWN_VAE.casefold():
        return None
    automatic = wanted.casefold() in ("", AUTOMATIC.casefold())
    entry = vaes.side_file(checkpoint) if automatic else vaes.find(wanted)
    if entry is not None:
        _check(entry)
    return entry


def _check(entry: ModelEntry) -> None:
    if entry.problem:
        raise ModelFileError(entry.problem)


def _sampling(sampler: str, scheduler: str) -> tuple[str, str]:
    """Labels of sampler and schedule; a schedule in the sampler's old combined name goes first, as in A1111.

    "Automatic" becomes the sampler's own schedule, so that a picture's text names what was used; it stays where the
    sampler has no schedule function of its own.
    """
    name, from_name = split_sampler_name(sampler)
    facts = SAMPLERS.get(name, "sampler")
    schedule = SCHEDULES.get(from_name or scheduler.strip() or AUTOMATIC, "scheduler")
    if schedule.label == AUTOMATIC and facts.schedule != "uniform":
        schedule = SCHEDULES.get(facts.schedule)
    return facts.label, schedule.label


def _multiple_of_8(pixels: int) -> int:
    return (pixels + 4) // 8 * 8


def _drawn(seed: int) -> int:
    return secrets.randbelow(_LARGEST_DRAWN_SEED + 1) if seed == -1 else seed
