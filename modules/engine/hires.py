"""Hires fix: the result of a first pass enlarged, as latent or as picture, and what the second pass is asked for."""

from __future__ import annotations

from collections.abc import Generator

from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from modules.engine.canvas import Canvas, encoded
from modules.engine.diffusion.steps import Entry
from modules.engine.passes import Command, Drawing, Job, sample
from modules.engine.pixels.fit import stretch
from modules.engine.postprocess.upscaler import Upscaler
from modules.engine.supplies import Role
from modules.schema.events import Event
from modules.schema.parts import LATENT_UPSCALERS, SAME_CHECKPOINT, SAME_SAMPLER, SAME_SCHEDULER, Hires
from modules.schema.request import GenerationRequest
from modules.schema.sizes import LATENT, hires_size

# (filter, antialiased) of the latent modes.
_LATENT_MODES: dict[str, tuple[str, bool]] = dict(
    zip(
        LATENT_UPSCALERS,
        (
            ("bilinear", False),
            ("bilinear", True),
            ("bicubic", False),
            ("bicubic", True),
            ("nearest", False),
            ("nearest-exact", False),
        ),
        strict=True,
    )
)


def first_pass(request: GenerationRequest) -> GenerationRequest:
    """The request of the first pass alone."""
    keeps_refiner = request.hires is None or (request.refiner and request.refiner.with_hires != "second pass")
    return request.replace(hires=None, refiner=request.refiner if keeps_refiner else None)


def second_pass(request: GenerationRequest, hires: Hires) -> GenerationRequest:
    """What the second pass draws: the same but for what hires fix changes, at its size."""
    size = hires_size(request.width, request.height, hires)
    keeps_refiner = request.refiner is not None and request.refiner.with_hires != "first pass"
    return request.replace(
        prompt=hires.prompt or request.prompt,
        negative_prompt=hires.negative_prompt or request.negative_prompt,
        sampler=request.sampler if hires.sampler == SAME_SAMPLER else hires.sampler,
        scheduler=request.scheduler if hires.scheduler == SAME_SCHEDULER else hires.scheduler,
        steps=hires.steps or request.steps,
        cfg_scale=request.cfg_scale if hires.cfg_scale is None else hires.cfg_scale,
        width=size.width,
        height=size.height,
        hires=None,
        refiner=request.refiner if keeps_refiner else None,
    )


def enlarges_latents(hires: Hires) -> bool:
    return hires.upscaler in _LATENT_MODES


def enlarged_latents(request: GenerationRequest, hires: Hires, latents: Tensor) -> Tensor:
    """Latents [B,C,h,w] of the first pass at the size of the second, by the latent mode that `hires` names."""
    size = hires_size(request.width, request.height, hires)
    factor = request.width // latents.shape[-1]
    mode, antialias = _LATENT_MODES[hires.upscaler]
    shape = (size.upscaled[1] // factor, size.upscaled[0] // factor)
    smooth = {"antialias": antialias} if mode in ("bilinear", "bicubic") else {}
    return _middle(F.interpolate(latents.float(), shape, mode=mode, **smooth), size.crop)


def _middle(latents: Tensor, crop: tuple[int, int]) -> Tensor:
    """Without the columns and rows of `crop`; the odd one is taken from the right and the bottom."""
    height, width = latents.shape[-2:]
    across, down = crop
    return latents[:, :, down // 2 : height - (down + 1) // 2, across // 2 : width - (across + 1) // 2].contiguous()


def enlarged_pictures(
    request: GenerationRequest, hires: Hires, pictures: list[Image.Image], upscaler: Upscaler
) -> Generator[float, None, list[Image.Image]]:
    """Pictures of the first pass at the size of the second; yields the fraction that is done."""
    size = hires_size(request.width, request.height, hires)
    left, top = (side // 2 * LATENT for side in size.crop)
    done: list[Image.Image] = []
    for picture in pictures:
        pieces = upscaler.pieces(picture, *size.upscaled)
        while True:
            try:
                yield (len(done) + next(pieces)) / len(pictures)
            except StopIteration as end:
                done.append(end.value.crop((left, top, left + size.width, top + size.height)))
                break
    return done


def draw_larger(job: Job, hires: Hires, images: range, latents: Tensor | None) -> Drawing:
    """The second pass over what the first one drew, or without one (None) over a finished picture.

    Stopped before its first step it gives nothing (None): what the first pass drew is then the result.
    """
    before, own = first_pass(job.request), second_pass(job.request, hires)
    role: Role = "base" if hires.checkpoint == SAME_CHECKPOINT else "hires"
    entry = Entry(hires.denoising_strength, exact=True)
    command = yield job.pace.enlarging()
    if enlarges_latents(hires):
        if latents is None:
            base = job.bench.take("base", before).model
            latents = encoded(base, [_first_picture(job, hires)], job.request, images)
        latents = enlarged_latents(job.request, hires, latents)
    else:
        pictures, command = yield from _enlarge(job, hires, latents)
        if command is None:
            latents = encoded(job.bench.take(role, own, before).model, pictures, own, images)
    if command is not None or latents is None:
        return None, command
    return (yield from sample(job, own, role, images, Canvas(latents, entry), before))


def _first_picture(job: Job, hires: Hires) -> Image.Image:
    """A finished picture in place of a first pass, at the first pass's size."""
    picture = job.supplies.picture(hires.picture, "first pass picture")
    return stretch(picture.convert("RGB"), job.request.width, job.request.height)


def _enlarge(
    job: Job, hires: Hires, latents: Tensor | None
) -> Generator[Event, Command, tuple[list[Image.Image], Command]]:
    """The first pass's pictures, enlarged by an upscaler of pictures, piece by piece."""
    if latents is None:
        pictures = [_first_picture(job, hires)]
    else:
        pictures = [Image.fromarray(one.numpy()) for one in job.bench.model.decode(latents)[0]]
    pieces = enlarged_pictures(job.request, hires, pictures, job.supplies.upscaler(hires.upscaler))
    command: Command = None
    while command is None:
        try:
            next(pieces)
        except StopIteration as end:
            return end.value, None
        command = yield job.pace.enlarging()
    return [], command
