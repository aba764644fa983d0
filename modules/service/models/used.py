"""Which pictures a model was used for: what to look for in the gallery, and how many answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from modules.schema.errors import UserError
from modules.service.gallery.gallery import Gallery
from modules.service.gallery.query import Owners, Wanted
from modules.service.models.files import ModelFile, ModelFiles

# What a picture's text writes before the name of a file of that kind.
_BEFORE = {
    "checkpoint": "Model: {}",
    "vae": "VAE: {}",
    "lora": "lora:{}",
    "hypernet": "hypernet:{}",
    "embedding": "{}",
    "upscaler": "upscaler: {}",
}


@dataclass(frozen=True)
class Uses:
    """`search` is what to look for in the gallery; by its hash it is this very file, by its name perhaps another."""

    by: Literal["hash", "name"]
    search: str
    count: int


def uses_of(file: ModelFile, files: ModelFiles, gallery: Gallery, owners: Owners) -> list[Uses]:
    """The pictures of these owners that the model was used for, by its hash and by its name."""
    return [
        Uses(by, search, gallery.index.total(Wanted(owners, search)))
        for by, search in _searches(file, _hash(file, files))
    ]


def _searches(file: ModelFile, digits: str | None) -> Iterator[tuple[Literal["hash", "name"], str]]:
    if digits:
        yield "hash", digits
    before = _BEFORE.get(file.kind)
    if before is not None:
        name = file.path.name if file.kind == "vae" else file.stem
        phrase = before.format(name).replace('"', " ")
        yield "name", f'"{phrase}"'


def _hash(file: ModelFile, files: ModelFiles) -> str | None:
    try:
        return files.hash_in_pictures(file)
    except (OSError, UserError):
        return None
