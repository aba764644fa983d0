"""Automatic captions at the door: the model that is on the disk, the pictures' files, and the way back."""

from __future__ import annotations

from pathlib import Path

from modules.catalog.diffusers_folder import read_json_object
from modules.schema.captioning import CAPTIONERS, CaptionRequest
from modules.schema.errors import BadRequest
from modules.service.datasets import Datasets

_NEEDED = ("config.json", "model.safetensors", "tokenizer.json")


class CaptionDoor:
    """`folder` is where captioning models are looked for: their files in it, or in a folder inside it."""

    def __init__(self, datasets: Datasets, folder: Path) -> None:
        self.datasets = datasets
        self._folder = folder

    @property
    def problem(self) -> str:
        """What to do before there can be captions; empty when all is there."""
        if self._model() is not None:
            return ""
        return (
            f"Automatic captions need a BLIP captioning model on this machine: put its files {', '.join(_NEEDED)} "
            f"and preprocessor_config.json (as in Salesforce/blip-image-captioning-base) into {self._folder}."
        )

    def files(self, request: CaptionRequest) -> dict[str, str]:
        """The model's folder and each picture's file by id. Raises BadRequest and NotFound."""
        added = CAPTIONERS.get(request.captioner, "captioner") if request.captioner else None
        model = self._model() if added is None else ""
        if model is None:
            raise BadRequest(self.problem, "pictures")
        if not request.pictures:
            raise BadRequest("There is no picture to caption: choose some first.", "pictures")
        chosen = self.datasets.pictures(request.data_set, request.pictures)
        return {"model": str(model), **{picture.id: str(picture.path) for picture in chosen}}

    def note_way_back(self, request: CaptionRequest) -> None:
        """Remember the captions as they are, so that those of the job can be undone. Raises UserError."""
        files = [picture.file for picture in self.datasets.pictures(request.data_set, request.pictures)]
        self.datasets.remember(request.data_set, f"Automatic captions ({len(files)})", files)

    def _model(self) -> Path | None:
        below = sorted(path for path in self._folder.iterdir() if path.is_dir()) if self._folder.is_dir() else []
        return next((folder for folder in (self._folder, *below) if _is_blip(folder)), None)


def _is_blip(folder: Path) -> bool:
    if not all((folder / name).is_file() for name in _NEEDED):
        return False
    return read_json_object(folder / "config.json").get("model_type") == "blip"
