"""How a picture is made: from a resolved request and a loaded model to events. Read it top to bottom."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Literal

import torch
from torch import Tensor

from modules.engine.conditioning import Conditioning, PromptEncoder
from modules.engine.diffusion.guidance import Guidance
from modules.engine.diffusion.noise import NoiseStream
from modules.engine.diffusion.prediction import denoiser
from modules.engine.diffusion.sampling import Plan, Step, plan, run, start
from modules.engine.diffusion.schedule import NoiseSchedule, downcast, zero_terminal_snr
from modules.engine.loading.model import LoadedModel
from modules.engine.pace import Pace
from modules.engine.previews import Previews
from modules.engine.tiling import tiled
from modules.schema.events import Event, Finished, ImageDone, Notice
from modules.schema.request import GenerationRequest

Command = Literal["skip", "interrupt"] | None
Events = Generator[Event, Command, None]

PRECISION_NAMES = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}


@torch.inference_mode()
def generate(
    request: GenerationRequest,
    model: LoadedModel,
    *,
    encoder: PromptEncoder | None = None,
    previews_per_second: float = 2.0,
) -> Events:
    """Draw every picture of a resolved `request` and tell of it; `encoder` keeps its texts from job to job.

    After each event the consumer may send "skip" (finish the running batch as it stands) or "interrupt" (the same,
    and stop). What has been drawn so far is kept in both cases. Raises `UserError`s; all else raised is a bug.
    """
    began = time.monotonic()
    request = request.replace(precision=PRECISION_NAMES[model.dtype])
    schedule = _training_schedule(model, request)
    steps = plan(request, schedule, table=model.family.ays_table)
    together = 1 if steps.one_by_one else request.batch_size
    pace = Pace(steps.total_steps, request.image_count, together)
    previews = Previews(model, previews_per_second)
    with tiled(model, request.tiling):
        words = (encoder or PromptEncoder()).encode(request, model)
        for first in range(0, request.image_count, together):
            images = range(first, first + together)
            command = yield from _draw_batch(request, images, model, schedule, steps, words, pace, previews)
            if command == "interrupt":
                yield Finished("interrupted", time.monotonic() - began, pace.timings())
                return
    yield Finished("done", time.monotonic() - began, pace.timings())


def _draw_batch(
    request: GenerationRequest,
    images: range,
    model: LoadedModel,
    schedule: NoiseSchedule,
    steps: Plan,
    words: Conditioning,
    pace: Pace,
    previews: Previews,
) -> Generator[Event, Command, Command]:
    """The pictures `images` from noise to pixels; returns the command that ended them early, if one did."""
    noise = _noise_of(request, images, model)
    denoise = denoiser(model.network, schedule, model.prediction, request.enable_quantization)
    guided = Guidance(
        denoise,
        words,
        request.cfg_scale,
        s_min_uncond=request.s_min_uncond,
        s_min_uncond_all=request.s_min_uncond_all,
        skip_early_cond=request.skip_early_cond,
        total_calls=steps.total_calls,
    )
    command: Command = None
    latents: Tensor | None = None
    pace.start_batch(images.start)
    command = yield pace.progress()
    with closing(run(steps, guided, start(steps, noise.initial()), noise)) as sampler:
        latents, command = yield from _follow(sampler, command, pace, previews)
    if latents is None:
        return command
    partial = command is not None
    command = (yield pace.decoding()) or command
    yield from _pictures(request, images, model, latents, partial)
    pace.end_batch()
    return command


def _follow(
    sampler: Iterator[Step], command: Command, pace: Pace, previews: Previews
) -> Generator[Event, Command, tuple[Tensor | None, Command]]:
    """Ask for step after step until the last one or a command; returns what is drawn by then.

    A command before the first step leaves nothing worth keeping. An early stop keeps the newest estimate of the clean
    picture rather than the noisy latent.
    """
    latents: Tensor | None = None
    while command is None:
        step = next(sampler, None)
        if step is None:
            break
        pace.step(step.index, step.total)
        latents = step.x
        command = yield pace.progress()
        if command is not None:
            latents = step.denoised if step.index < step.total else step.x
            break
        preview = previews.of(step, pace)
        if preview is not None:
            command = yield preview
            latents = step.denoised if command is not None and step.index < step.total else step.x
    return latents, command


def _pictures(
    request: GenerationRequest, images: range, model: LoadedModel, latents: Tensor, partial: bool
) -> Generator[Event, Command, None]:
    """Decode the batch and hand over its pictures, each with the request that gives it alone."""
    pixels, notices = model.decode(latents)
    for sentence in notices:
        yield Notice(sentence, "warning")
    for index, picture in zip(images, pixels.cpu(), strict=True):
        height, width, _ = picture.shape
        yield ImageDone(
            index=index,
            width=width,
            height=height,
            request=request.for_image(index).model_dump(mode="json"),
            facts=dict(model.info),
            partial=partial,
            pixels=picture.numpy().tobytes(),
        )


def _noise_of(request: GenerationRequest, images: range, model: LoadedModel) -> NoiseStream:
    """The noise of `images`; each picture has its own generator."""
    seeds = [request.image_seeds(index) for index in images]
    factor = model.family.latent_factor
    old = (request.seed_resize_from_w // factor, request.seed_resize_from_h // factor)
    return NoiseStream(
        [seed for seed, _ in seeds],
        [subseed for _, subseed in seeds],
        (model.family.latent_channels, request.height // factor, request.width // factor),
        source=request.rng,
        device=model.device,
        subseed_strength=request.subseed_strength,
        resize_from=old if all(old) else None,
        ensd=request.ensd,
    )


def _training_schedule(model: LoadedModel, request: GenerationRequest) -> NoiseSchedule:
    """The model's noise schedule with the changes the request asks for."""
    schedule = model.schedule
    if request.downcast_alphas_cumprod:
        schedule = downcast(schedule)
    if request.noise_schedule == "Zero Terminal SNR":
        schedule = zero_terminal_snr(schedule)
    return schedule
