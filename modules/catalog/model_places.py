"""Kinds of model files, the folders that each has, and what such files are called: for lists and for new files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from modules.catalog import checkpoints, families_facts, headers, networks, upscalers
from modules.schema.settings import Folders

ModelKind = Literal["checkpoint", "vae", "lora", "embedding", "hypernet", "upscaler", "face", "captioner"]


@dataclass(frozen=True)
class ModelPlace:
    """`label`: the kind in words. `endings`: of such files; an embedding may be in a picture as well.

    `told_as`: what `families_facts.kind_of` calls them; empty for kinds that only their folder tells.
    `whole_folders`: a model of this kind is a folder of files.
    """

    kind: ModelKind
    label: str
    endings: tuple[str, ...]
    told_as: str = ""
    whole_folders: bool = False


PLACES: dict[ModelKind, ModelPlace] = {
    place.kind: place
    for place in (
        ModelPlace("checkpoint", "checkpoint", checkpoints.ENDINGS, families_facts.CHECKPOINT.name),
        ModelPlace("vae", "VAE", headers.MODEL_ENDINGS, families_facts.VAE_FILE.name),
        ModelPlace("lora", "LoRA", networks.ENDINGS["lora"], families_facts.LORA.name),
        ModelPlace("embedding", "embedding", (".safetensors", ".pt", ".bin"), families_facts.EMBEDDING.name),
        ModelPlace("hypernet", "hypernetwork", networks.ENDINGS["hypernet"], families_facts.HYPERNETWORK.name),
        ModelPlace("upscaler", "upscaler", upscalers.ENDINGS, families_facts.UPSCALER.name),
        ModelPlace("face", "face restorer", upscalers.ENDINGS),
        ModelPlace("captioner", "captioning model", (), whole_folders=True),
    )
}
"""In the order in which people look for them."""

CAPTIONERS = "BLIP"
"""The folder of captioning models below the models folder."""


def roots(places: Folders, kind: ModelKind) -> tuple[Path, ...]:
    """The folders of a kind."""
    models = places.models
    found: dict[ModelKind, tuple[Path, ...]] = {
        "checkpoint": places.checkpoints,
        "vae": places.vae,
        "lora": places.loras,
        "embedding": (places.embeddings,),
        "hypernet": places.hypernetworks,
        "upscaler": tuple(models / folder for folder in upscalers.FOLDERS),
        "face": tuple(models / folder for names in upscalers.FACE_FOLDERS.values() for folder in names),
        "captioner": (models / CAPTIONERS,),
    }
    return found[kind]


def home(places: Folders, kind: ModelKind, name: str) -> Path:
    """The folder that a new file of that kind and name belongs in."""
    if kind == "face" and "codeformer" in name.casefold():
        return places.models / upscalers.FACE_FOLDERS["CodeFormer"][0]
    return roots(places, kind)[0]


def kind_told_as(name: str) -> ModelKind | None:
    """The kind that a file's tensors tell, by `families_facts.Kind.name`."""
    return next((place.kind for place in PLACES.values() if place.told_as and place.told_as == name), None)


def all_roots(places: Folders) -> Iterator[Path]:
    """The folders of every kind, each once."""
    yield from dict.fromkeys(root for kind in PLACES for root in roots(places, kind))
