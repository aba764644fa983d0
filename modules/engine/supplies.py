"""What a job may ask for while it runs: further models, upscalers, and the pictures it begins with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image

from modules.engine.loading.model import LoadedModel
from modules.engine.loading.store import Store
from modules.engine.postprocess.faces import FaceRestorers
from modules.engine.postprocess.upscaler import Upscaler, built_in_upscaler
from modules.engine.postprocess.upscalers import Upscalers
from modules.schema.engine import EngineJob, NamedFile
from modules.schema.errors import BadRequest, UnknownName
from modules.schema.request import GenerationRequest

Role = Literal["base", "hires", "refiner"]

# What Pillow raises for a file that is damaged or no picture.
_BROKEN = (OSError, ValueError, SyntaxError)


def no_faces(request: GenerationRequest, picture: Image.Image) -> tuple[Image.Image, int]:
    """Restores no face; raises UnknownName where one is wanted."""
    if request.face_restoration != "None":
        raise UnknownName("face restorer", request.face_restoration, ())
    return picture, 0


@dataclass(frozen=True)
class Supplies:
    """`inputs`: folder of input pictures, named by their hash. `model`: the model of a role, on the device; one that
    was asked for before may have to make room. `upscaler`: by the name in the request. `named`: files of networks and
    embeddings that the prompts name. `faces`: the picture with its faces restored as the request says, and how many
    there were.
    """

    inputs: Path | None = None
    model: Callable[[Role], LoadedModel] | None = None
    upscaler: Callable[[str], Upscaler] = built_in_upscaler
    named: tuple[NamedFile, ...] = ()
    faces: Callable[[GenerationRequest, Image.Image], tuple[Image.Image, int]] = no_faces

    def picture(self, name: str, what: str) -> Image.Image:
        """The input picture of that hash, which `what` calls by its use; raises BadRequest."""
        if not name or self.inputs is None:
            raise BadRequest(f"There is no {what}: choose one first.", what)
        try:
            with Image.open(self.inputs / f"{name}.png", formats=("PNG",)) as image:
                image.load()
                return image.copy()
        except _BROKEN:
            raise BadRequest(f"The {what} is not there any more: choose it again.", what) from None


def supplies_of(job: EngineJob, store: Store, upscalers: Upscalers, restorers: FaceRestorers) -> Supplies:
    """What a job of the wire may ask for."""
    precision = getattr(job.request, "precision", "auto")

    def model(role: Role) -> LoadedModel:
        return store.get(job.model if role == "base" else job.model.others[role], precision)

    def faces(request: GenerationRequest, picture: Image.Image) -> tuple[Image.Image, int]:
        kind = request.face_restoration
        return restorers.restore(kind, job.upscalers[kind], picture, request.codeformer_weight)

    return Supplies(
        inputs=Path(job.inputs) if job.inputs else None,
        model=model,
        upscaler=lambda name: upscalers.get(job.upscaler(name)),
        named=job.model.named,
        faces=faces,
    )
