"""Picture files for the gallery, and a gallery over a folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image, PngImagePlugin

from modules.schema.infotext import write, write_json
from modules.schema.request import GenerationRequest
from modules.schema.settings import Settings, folders
from modules.service.gallery.gallery import Gallery
from modules.service.gallery.index import Picture
from modules.service.gallery.query import Wanted

ANN, BOB = "ann", "bob"
A1111 = (
    "a red boat, calm sea\nNegative prompt: people, blurry\n"
    "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 77, Size: 8x6, Model hash: 0123456789, Model: oldart"
)


def draw(path: Path, *, text: str = "", exact: str = "", colour: str = "red", at: float | None = None) -> Path:
    """A small PNG with these texts, as old as `at`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    info = PngImagePlugin.PngInfo()
    for key, value in (("parameters", text), ("webui-request", exact)):
        if value:
            info.add_text(key, value)
    Image.new("RGB", (8, 6), colour).save(path, "PNG", pnginfo=info)
    if at is not None:
        os.utime(path, (at, at))
    return path


def draw_own(path: Path, *, at: float | None = None, model: str = "art", **values: Any) -> Path:
    """A picture as this program saves it."""
    request = GenerationRequest(**{"seed": 5, "checkpoint": f"{model}.safetensors", **values})
    facts = {"Model": model}
    return draw(path, text=write(request, facts), exact=write_json(request, facts), at=at)


class Opened:
    """A gallery over `folder`, with the sentences that it told."""

    def __init__(self, folder: Path, owner_of: Callable[[str], str | None] = lambda _: None, **settings: Any) -> None:
        made = Settings(data_dir=str(folder), **settings)
        self.places = folders(made, folder)
        self.outputs = self.places.outputs
        self.outputs.mkdir(parents=True, exist_ok=True)
        self.told: list[str] = []
        self.gallery = Gallery(self.places, made, owner_of, self.told.append)
        self.index = self.gallery.index

    def save(self, name: str, owner: str = ANN, **values: Any) -> str:
        """Draw and take in a picture; returns its id."""
        path = draw_own(self.outputs / name, **values)
        self.gallery.saved(path, owner)
        return self.ids((owner,))[0]

    def ids(self, owners: tuple[str, ...] | None = (ANN,), **wanted: Any) -> list[str]:
        return [picture.id for picture in self.pictures(owners, **wanted)]

    def pictures(self, owners: tuple[str, ...] | None = (ANN,), **wanted: Any) -> list[Picture]:
        return self.index.page(Wanted(owners, **wanted), limit=500)
