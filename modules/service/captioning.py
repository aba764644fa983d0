"""Whoever describes pictures, at the door: which models are on the disk, the pictures' files, and the way back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from modules.catalog.diffusers_folder import read_json_object
from modules.schema.captioning import (
    BLIP,
    CAPTIONERS,
    OPTIONS,
    TAGGER,
    CaptionOptions,
    CaptionRequest,
    InterrogateRequest,
)
from modules.schema.errors import BadRequest, NoCaptioner, UnknownName
from modules.schema.extras import ExtrasRequest
from modules.schema.settings import Settings
from modules.service.datasets import Datasets
from modules.service.inputs import InputPictures

Request = TypeVar("Request", bound=CaptionOptions)

_BLIP_FILES = ("config.json", "model.safetensors", "tokenizer.json")
_TAGGER_FILES = ("model.onnx", "selected_tags.csv")
_MOST_FOLDERS = 200
# Where A1111 keeps its own, in formats that only its own code reads.
_A1111 = {BLIP: ("BLIP", "*.pth"), TAGGER: ("torch_deepdanbooru", "*.pt")}


@dataclass(frozen=True)
class CaptionerView:
    """One that can be asked for by `name`; `folder` holds its model, None for an extension's. `problem`: what to do
    before it can speak, empty when all is there."""

    name: str
    folder: Path | None = None
    problem: str = ""


class CaptionDoor:
    """`models` is the folder of all models: each kind of captioner has a folder in it, with its files or with folders
    of them. `settings` say how they speak where a request does not."""

    def __init__(self, datasets: Datasets, inputs: InputPictures, models: Path, settings: Settings) -> None:
        self.datasets = datasets
        self._inputs = inputs
        self._settings = settings
        self._folders = {BLIP: models / "BLIP", TAGGER: models / "WD-tagger"}
        self._models = models

    def use(self, settings: Settings) -> None:
        """How they speak from now on."""
        self._settings = settings

    # Who there is

    def views(self) -> list[CaptionerView]:
        """All captioners as menus show them: of several models of a kind each by itself."""
        return [view for facts in CAPTIONERS for view in self._views(facts.name)]

    def find(self, name: str, field: str = "captioner") -> CaptionerView:
        """The captioner of that name ("BLIP", "WD tagger: vit", A1111's "clip", ...), with its model.

        Raises UnknownName, and NoCaptioner where its model is not here.
        """
        kind, _, model = name.partition(":")
        if name not in CAPTIONERS and model.strip() and kind.strip() in self._folders:
            return self._one_of(kind.strip(), model.strip(), field)
        facts = CAPTIONERS.get(name or BLIP, field)
        views = self._views(facts.name)
        if views[0].problem:
            raise NoCaptioner(views[0].problem, field)
        return CaptionerView(facts.name, views[0].folder)

    def _views(self, kind: str) -> list[CaptionerView]:
        if kind not in self._folders:
            return [CaptionerView(kind)]
        folders = list(self._model_folders(kind))
        if not folders:
            return [CaptionerView(kind, None, self._problem(kind))]
        if len(folders) == 1:
            return [CaptionerView(kind, folders[0])]
        return [CaptionerView(f"{kind}: {folder.name}", folder) for folder in folders]

    def _one_of(self, kind: str, model: str, field: str) -> CaptionerView:
        folders = {folder.name: folder for folder in self._model_folders(kind)}
        if not folders:
            raise NoCaptioner(self._problem(kind), field)
        if model not in folders:
            raise UnknownName(f"model of {kind}", model, folders, field)
        return CaptionerView(f"{kind}: {model}", folders[model])

    def _model_folders(self, kind: str) -> Iterator[Path]:
        own, is_model = self._folders[kind], _is_tagger if kind == TAGGER else _is_blip
        try:
            below = sorted(path for path in own.iterdir() if path.is_dir()) if own.is_dir() else []
        except OSError:
            return
        yield from (folder for folder in (own, *below[:_MOST_FOLDERS]) if is_model(folder))

    def _problem(self, kind: str) -> str:
        own = self._folders[kind]
        if kind == BLIP:
            needed = (
                f"Captions by BLIP need its model on this machine: put its files {', '.join(_BLIP_FILES)} and "
                f"preprocessor_config.json (as in Salesforce/blip-image-captioning-base) into {own}."
            )
        else:
            needed = (
                f"Tags need a WD tagger's model on this machine: put its files {' and '.join(_TAGGER_FILES)} (as in "
                f"SmilingWolf/wd-vit-tagger-v3) into {own}."
            )
        place, pattern = _A1111[kind]
        others = sorted(self._models.joinpath(place).glob(pattern))
        return f"{needed} A1111's {others[0].name} is of another format and is not read." if others else needed

    # Jobs

    def filled(self, request: Request) -> Request:
        """The request with what it does not say of its manner as the settings have it."""
        unsaid = {name: getattr(self._settings, name) for name in OPTIONS if name not in request.model_fields_set}
        return request.replace(**unsaid) if unsaid else request

    def caption(self, request: CaptionRequest) -> tuple[CaptionRequest, dict[str, str]]:
        """A data set's captions, resolved: the model's folder, and each picture's file by id.

        Raises BadRequest and NotFound.
        """
        if not request.pictures:
            raise BadRequest("There is no picture to caption: choose some first.", "pictures")
        view = self.find(request.captioner)
        chosen = self.datasets.pictures(request.data_set, request.pictures)
        files = {**_folder("captioner", view), **{picture.id: str(picture.path) for picture in chosen}}
        return self.filled(request).replace(captioner=view.name), files

    def look(self, request: InterrogateRequest) -> tuple[InterrogateRequest, dict[str, str]]:
        """A look at pictures that were sent, resolved, and the model's folder. Raises BadRequest and NotFound."""
        if not request.pictures:
            raise BadRequest("There is no picture to look at: choose one first.", "pictures")
        view = self.find(request.captioner)
        for name in request.pictures:
            self._inputs.use(name)
        return self.filled(request).replace(captioner=view.name), _folder("captioner", view)

    def extras(self, request: ExtrasRequest) -> tuple[ExtrasRequest, dict[str, str]]:
        """An order of the Extras tab with its captioners found, and their folders. Raises BadRequest."""
        views = {field: self.find(name, field) for field, name in request.captioners.items()}
        if not views:
            return request, {}
        files: dict[str, str] = {}
        for field, view in views.items():
            files |= _folder(field, view)
        return self.filled(request).replace(**{field: view.name for field, view in views.items()}), files

    def note_way_back(self, request: CaptionRequest) -> None:
        """Remember the captions as they are, so that those of the job can be undone. Raises UserError."""
        files = [picture.file for picture in self.datasets.pictures(request.data_set, request.pictures)]
        self.datasets.remember(request.data_set, f"Automatic captions ({len(files)})", files)


def _folder(field: str, view: CaptionerView) -> dict[str, str]:
    return {} if view.folder is None else {field: str(view.folder)}


def _is_blip(folder: Path) -> bool:
    if not all((folder / name).is_file() for name in _BLIP_FILES):
        return False
    return read_json_object(folder / "config.json").get("model_type") == "blip"


def _is_tagger(folder: Path) -> bool:
    return all((folder / name).is_file() for name in _TAGGER_FILES)
