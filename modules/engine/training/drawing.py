"""Previews of a run: the product's own pictures at fixed seeds, with what is learned and without it."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from PIL import Image

from modules.engine.conditioning import PromptEncoder
from modules.engine.generate import generate
from modules.engine.loading.model import LoadedModel
from modules.engine.supplies import Supplies
from modules.schema.engine import NamedFile
from modules.schema.events import ImageDone, Progress
from modules.schema.request import GenerationRequest


def draw(
    request: GenerationRequest, index: int, prompt: str, model: LoadedModel, encoder: PromptEncoder,
    named: Sequence[NamedFile],
) -> Generator[Progress, None, Image.Image]:  # fmt: skip
    """Picture `index` of `request` with `prompt`; tells of its steps. What needs a further model is left out."""
    alone = request.for_image(index).replace(prompt=prompt, hires=None, refiner=None, image=None)
    events = generate(alone, model, encoder=encoder, previews_per_second=0, supplies=Supplies(named=tuple(named)))
    picture: Image.Image | None = None
    try:
        for event in events:
            if isinstance(event, ImageDone):
                picture = Image.frombytes("RGB", (event.width, event.height), event.pixels)
            elif isinstance(event, Progress):
                yield event
    finally:
        events.close()
    assert picture is not None
    return picture
