"""How a picture is made: from a resolved request and a loaded model to events. Read it top to bottom."""

from __future__ import annotations

import time
from collections.abc import Generator

import torch
from PIL import Image
from torch import Tensor

from modules.engine.canvas import Canvas, begin, changed
from modules.engine.conditioning import PromptEncoder
from modules.engine.diffusion.sampling import Entry, plan
from modules.engine.hires import draw_larger, first_pass, second_pass
from modules.engine.loading.model import PRECISION_NAMES, LoadedModel
from modules.engine.original import finished, open_original
from modules.engine.pace import Leg, Pace
from modules.engine.passes import Command, Events, Job, sample
from modules.engine.previews import Previews
from modules.engine.ready import Bench, training_schedule
from modules.engine.supplies import Supplies
from modules.extensions.stages import JobStages
from modules.extensions.values import PictureFacts
from modules.schema.events import Event, Finished, ImageDone, Notice
from modules.schema.request import GenerationRequest

__all__ = ["Command", "Events", "generate"]


@torch.inference_mode()
def generate(
    request: GenerationRequest,
    model: LoadedModel,
    *,
    encoder: PromptEncoder | None = None,
    previews_per_second: float = 2.0,
    supplies: Supplies | None = None,
    stages: JobStages | None = None,
) -> Events:
    """Draw every picture of a resolved `request` and tell of it.

    `encoder` keeps its texts from job to job. `supplies`: what the request names beside its model.
    `stages`: its extensions.

    After each event the consumer may send "skip" (finish the running batch as it stands) or "interrupt" (the same,
    and stop). What has been drawn so far is kept in both cases. Raises `UserError`s; all else raised is a bug.
    """
    began = time.monotonic()
    request = request.replace(precision=PRECISION_NAMES[model.dtype])
    supplies = supplies or Supplies()
    legs, one_by_one = _legs(request, model)
    together = 1 if one_by_one else request.batch_size
    pace = Pace(legs, request.image_count, together)
    with Bench(model, supplies, encoder or PromptEncoder(), stages) as bench:
        previews = Previews(previews_per_second)
        job = Job(request, bench, supplies, open_original(request, supplies), pace, previews, stages)
        for first in range(0, request.image_count, together):
            command = yield from _draw_batch(job, range(first, first + together), dict(model.info))
            if command == "interrupt":
                yield Finished("interrupted", time.monotonic() - began, pace.timings())
                return
    yield Finished("done", time.monotonic() - began, pace.timings())


def _draw_batch(job: Job, images: range, facts: dict[str, str]) -> Generator[Event, Command, Command]:
    """The pictures `images` from noise to pixels; returns the command that ended them early, if one did."""
    request = job.request
    latents: Tensor | None = None
    canvas: Canvas | None = None
    job.pace.start_batch(images.start)
    command = yield job.pace.progress()
    if command is None and not _is_second_only(request):
        own = first_pass(request)
        if job.original is not None:
            canvas = begin(own, job.original, images, job.bench.take("base", own).model)
        latents, command = yield from sample(job, own, "base", images, canvas)
    if command is None and request.hires is not None:
        larger, command = yield from draw_larger(job, request.hires, images, latents)
        latents = latents if larger is None else larger
    if latents is None:
        return command
    partial = command is not None
    command = (yield job.pace.decoding()) or command
    yield from _pictures(job, images, latents, canvas, partial, facts)
    job.pace.end_batch()
    return command


def _pictures(
    job: Job, images: range, latents: Tensor, canvas: Canvas | None, partial: bool, facts: dict[str, str]
) -> Generator[Event, Command, None]:
    """Decode the batch and hand over its pictures, each with the request that gives it alone."""
    pixels, notices = job.bench.model.decode(latents)
    for sentence in (*job.bench.told(), *notices):
        yield Notice(sentence, "warning")
    for index, drawn, mask in zip(images, pixels, changed(job.request, canvas, latents), strict=True):
        picture = Image.fromarray(drawn.numpy())
        if job.request.face_restoration != "None":
            picture, _ = job.supplies.faces(job.request, picture)
        picture = _through(job, index, finished(job.request, job.original, picture, mask))
        yield ImageDone(
            index=index,
            width=picture.width,
            height=picture.height,
            request=job.request.for_image(index).model_dump(mode="json"),
            facts={**facts, **job.bench.facts},
            partial=partial,
            pixels=picture.tobytes(),
        )


def _through(job: Job, index: int, picture: Image.Image) -> Image.Image:
    """A finished picture as extensions make it."""
    if job.stages is None:
        return picture
    facts = PictureFacts(index, job.request.image_seeds(index)[0], job.request)
    seen = job.stages.through("image", "image", picture, lambda new: isinstance(new, Image.Image), picture=facts)
    return seen.convert("RGB")


def _is_second_only(request: GenerationRequest) -> bool:
    """Whether hires fix goes over a finished picture instead of a first pass."""
    return request.hires is not None and bool(request.hires.picture)


def _legs(request: GenerationRequest, model: LoadedModel) -> tuple[list[Leg], bool]:
    """The passes that each batch takes, and whether its pictures must be drawn one by one."""
    schedule, table = training_schedule(model, request), model.family.ays_table
    plans, legs = [], []
    if not _is_second_only(request):
        image = request.image
        entry = Entry(image.denoising_strength, image.exact_steps) if image else None
        plans.append(plan(first_pass(request), schedule, table=table, entry=entry))
        legs.append(Leg(plans[-1].total_steps))
    if request.hires is not None:
        larger = second_pass(request, request.hires)
        plans.append(plan(larger, schedule, table=table, entry=Entry(request.hires.denoising_strength, exact=True)))
        cost = larger.width * larger.height / (request.width * request.height)
        legs.append(Leg(plans[-1].total_steps, cost, "hires fix"))
    return legs, any(one.one_by_one for one in plans)
