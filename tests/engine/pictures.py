"""Running requests on the embedded model, and measuring what comes out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from modules.engine.generate import generate
from modules.engine.loading.model import LoadedModel
from modules.engine.supplies import Supplies
from modules.schema.events import Event, ImageDone
from modules.schema.request import GenerationRequest
from modules.service.inputs import picture_hash

MINIATURE = Path(__file__).resolve().parents[2] / "models/Stable-diffusion/miniature.safetensors"


def keep(folder: Path, picture: Image.Image) -> str:
    """Put a picture where the engine looks for input pictures; returns its name."""
    name = picture_hash(picture)
    picture.save(folder / f"{name}.png")
    return name


def pictures(events: list[Event]) -> list[np.ndarray]:
    """The finished pictures as height x width x 3 arrays of int."""
    return [
        np.frombuffer(e.pixels, np.uint8).reshape(e.height, e.width, 3).astype(int)
        for e in events
        if isinstance(e, ImageDone)
    ]


def far(a: np.ndarray, b: np.ndarray) -> float:
    """Mean difference in levels of 255."""
    return float(np.abs(a - b).mean())


Drawer = Callable[[GenerationRequest], np.ndarray]


def drawer(model: LoadedModel, folder: Path) -> Drawer:
    """Draws the one picture of a request."""

    def draw(request: GenerationRequest) -> np.ndarray:
        (picture,) = pictures(list(generate(request, model, previews_per_second=0, supplies=Supplies(folder))))
        return picture

    return draw
