"""From what was asked to what is run: seeds drawn, names found, sizes rounded. The result gives the same again."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from modules.schema.engine import ModelRef
from modules.schema.errors import BadRequest, ModelFileError
from modules.schema.extension_options import checked_options
from modules.schema.parts import SAME_CHECKPOINT, SAME_SAMPLER, SAME_SCHEDULER, Hires
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
    check_parts(request)
    checkpoint = find_checkpoint(request.checkpoint or default_checkpoint, checkpoints)
    vae = _find_vae(request.vae, checkpoint, vaes)
    sampler, scheduler = _sampling(request.sampler, request.scheduler)
    parts, others = _parts(request, vae, checkpoints)
    resolved = with_styles(request, styles).replace(
        **parts,
        checkpoint=checkpoint.title,
        vae=vae.name if vae else OWN_VAE,
        sampler=sampler,
        scheduler=scheduler,
        width=_multiple_of_8(request.width),
        height=_multiple_of_8(request.height),
        seed=_drawn(request.seed),
        subseed=_drawn(request.subseed),
        extensions=checked_options(request.extensions),
    )
    model = _model(checkpoint, vae, request).replace(others=others)
    return resolved, model, checkpoint


def check_parts(request: GenerationRequest) -> None:
    """Raise BadRequest for parts that do not go together, or lack their picture."""
    if request.inpaint is not None and request.image is None:
        raise BadRequest("A mask needs a picture that it lies on: choose one, or leave the mask away.", "inpaint")
    if request.soft_inpaint is not None and request.inpaint is None:
        raise BadRequest("Soft inpainting needs a mask.", "soft_inpaint")
    if request.hires is not None and request.image is not None:
        raise BadRequest("Hires fix follows a first pass from noise: in img2img set a larger size instead.", "hires")
    if request.image is not None and not request.image.picture:
        raise BadRequest("There is no picture to begin with: choose one first.", "image")
    if request.inpaint is not None and not request.inpaint.mask:
        raise BadRequest("There is no mask: paint over the part that is to be drawn anew.", "inpaint")


def picture_names(request: GenerationRequest) -> list[str]:
    """The input pictures of a request."""
    names = (
        request.image and request.image.picture,
        request.inpaint and request.inpaint.mask,
        request.inpaint and request.inpaint.latent_mask,
        request.hires and request.hires.picture,
    )
    return [name for name in names if name]


def _model(checkpoint: CheckpointEntry, vae: ModelEntry | None, request: GenerationRequest) -> ModelRef:
    return ModelRef(checkpoint=str(checkpoint.path), vae=str(vae.path) if vae else None, use_ema=request.use_ema)


def _parts(
    request: GenerationRequest, vae: ModelEntry | None, checkpoints: Checkpoints
) -> tuple[dict[str, Any], dict[str, ModelRef]]:
    """The request's changed parts, and the models they need, by what they are for."""
    parts: dict[str, Any] = {}
    others: dict[str, ModelRef] = {}
    if request.hires is not None:
        hires = _hires(request, request.hires)
        if hires.checkpoint != SAME_CHECKPOINT:
            entry = find_checkpoint(hires.checkpoint, checkpoints)
            hires = hires.replace(checkpoint=entry.title)
            others["hires"] = _model(entry, vae, request)
        parts["hires"] = hires
    if request.refiner is not None:
        if not request.refiner.checkpoint.strip():
            raise BadRequest("The refiner is on but names no checkpoint: choose one, or switch it off.", "refiner")
        entry = find_checkpoint(request.refiner.checkpoint, checkpoints)
        parts["refiner"] = request.refiner.replace(checkpoint=entry.title)
        others["refiner"] = _model(entry, vae, request)
    return parts, others


def _hires(request: GenerationRequest, hires: Hires) -> Hires:
    """Its names as labels; a sampler of its own without a schedule of its own follows what the request asked for,
    where that was "Automatic" the new sampler's own."""
    sampler, scheduler = hires.sampler.strip() or SAME_SAMPLER, hires.scheduler.strip() or SAME_SCHEDULER
    if sampler != SAME_SAMPLER:
        wanted = request.scheduler if scheduler == SAME_SCHEDULER else scheduler
        sampler, scheduler = _sampling(sampler, wanted)
    elif scheduler != SAME_SCHEDULER:
        scheduler = _sampling(request.sampler, scheduler)[1]
    return hires.replace(
        sampler=sampler,
        scheduler=scheduler,
        checkpoint=hires.checkpoint.strip() or SAME_CHECKPOINT,
        width=_multiple_of_8(hires.width),
        height=_multiple_of_8(hires.height),
    )


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
