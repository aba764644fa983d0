"""One pass of sampling, from noise (on a canvas or alone) to latents, telling of every step."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Literal, TypedDict

from torch import Tensor

from modules.engine.canvas import Canvas
from modules.engine.diffusion.guidance import Guidance
from modules.engine.diffusion.masking import Masked
from modules.engine.diffusion.noise import NoiseStream
from modules.engine.diffusion.prediction import denoiser
from modules.engine.diffusion.sampling import Denoise, Plan, Step, plan, run, start
from modules.engine.loading.model import LoadedModel
from modules.engine.original import Original
from modules.engine.pace import Pace
from modules.engine.previews import Previews
from modules.engine.ready import Bench, Ready
from modules.engine.refine import Refined, switch_rule
from modules.engine.staged import IN_EVERY_CALL, StagedGuidance, started, with_sigmas
from modules.engine.supplies import Role, Supplies
from modules.extensions.stages import JobStages
from modules.extensions.values import PassFacts
from modules.schema.events import Event
from modules.schema.request import GenerationRequest

Command = Literal["skip", "interrupt"] | None
Events = Generator[Event, Command, None]
Drawing = Generator[Event, Command, tuple[Tensor | None, Command]]
"""Tells of its steps; returns the latents (None: nothing worth keeping) and the command that ended it early."""


class GuidanceOptions(TypedDict):
    """What guidance is told beside its scale."""

    s_min_uncond: float
    s_min_uncond_all: bool
    skip_early_cond: float
    total_calls: int
    calls_before: int


@dataclass(frozen=True)
class Job:
    """What all passes of a job share. `original`: img2img's picture. `stages`: its extensions, if it has any."""

    request: GenerationRequest
    bench: Bench
    supplies: Supplies
    original: Original | None
    pace: Pace
    previews: Previews
    stages: JobStages | None = None


def sample(
    job: Job,
    request: GenerationRequest,
    role: Role,
    images: range,
    canvas: Canvas | None = None,
    after: GenerationRequest | None = None,
) -> Drawing:
    """Draw `images` of `request` (that of the pass, which follows the pass `after`) with the model of `role`.

    An early stop keeps the newest estimate of the clean picture.
    """
    ready = job.bench.take(role, request, after)
    entry = canvas.entry if canvas else None
    facts = PassFacts(request, images, after is not None)
    steps = plan(request, ready.schedule, table=ready.model.family.ays_table, entry=entry)
    steps = with_sigmas(job.stages, steps, facts)
    job.pace.start_pass(steps.total_steps)
    if canvas and not steps.total_steps:
        return canvas.latents, None
    noise = noise_of(request, images, ready.model)
    denoise = _denoiser(job, request, ready, steps, canvas, after)
    x = noise.initial()
    x = start(steps, x * canvas.noise_multiplier, canvas.latents, canvas.extra_noise) if canvas else start(steps, x)
    x = started(job.stages, x, facts)
    with closing(run(steps, denoise, x, noise)) as sampler:
        latents, command = yield from _follow(job, sampler)
    if canvas and canvas.last_blend and latents is not None:
        latents = canvas.last_blend(canvas.latents, latents, 0.0)
    return latents, command


def _denoiser(
    job: Job,
    request: GenerationRequest,
    ready: Ready,
    steps: Plan,
    canvas: Canvas | None,
    after: GenerationRequest | None,
) -> Denoise:
    """Guided by the words; finished by a refiner, if there is one; masked, if there is a mask."""
    beside = canvas.beside if canvas else None
    first = _guided(job, request, ready, steps, beside, after)
    denoise: Denoise = first
    if request.refiner is not None:

        def successor() -> Denoise:
            refiner = job.bench.take("refiner", request, after)
            return _guided(job, request, refiner, steps, beside, after, first.calls)

        denoise = Refined(first, successor, switch_rule(request.refiner, ready.schedule, steps))
    return Masked(denoise, canvas.latents, canvas.blend) if canvas and canvas.blend else denoise


def _guided(
    job: Job,
    request: GenerationRequest,
    ready: Ready,
    steps: Plan,
    beside: Tensor | None,
    after: GenerationRequest | None,
    calls_before: int = 0,
) -> Guidance:
    """The model under the words of `request`."""

    def network(x: Tensor, t: Tensor, cross: Tensor) -> Tensor:
        return ready.model.network(x, t, cross, beside)

    estimate = denoiser(network, ready.schedule, ready.model.prediction, request.enable_quantization)
    options: GuidanceOptions = {
        "s_min_uncond": request.s_min_uncond,
        "s_min_uncond_all": request.s_min_uncond_all,
        "skip_early_cond": request.skip_early_cond,
        "total_calls": steps.total_calls,
        "calls_before": calls_before,
    }
    if job.stages is None or not job.stages.has(*IN_EVERY_CALL):
        return Guidance(estimate, ready.words, request.cfg_scale, **options)
    facts = PassFacts(request, range(request.image_count), after is not None)
    return StagedGuidance(estimate, ready.words, request.cfg_scale, stages=job.stages, facts=facts, **options)


def _follow(job: Job, sampler: Iterator[Step]) -> Drawing:
    """Ask for step after step until the last one or a command; returns what is drawn by then."""
    latents: Tensor | None = None
    command: Command = None
    while command is None:
        step = next(sampler, None)
        if step is None:
            break
        job.pace.step(step.index, step.total)
        latents = step.x
        command = yield job.pace.progress()
        if command is None:
            preview = job.previews.of(step, job.pace, job.bench.model)
            command = (yield preview) if preview is not None else None
        if command is not None and step.index < step.total:
            latents = step.denoised
    return latents, command


def noise_of(request: GenerationRequest, images: range, model: LoadedModel) -> NoiseStream:
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
