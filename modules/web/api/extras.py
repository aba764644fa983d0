"""A1111's /sdapi/v1/extra-*: pictures enlarged and restored, and the lists that go with it."""

from __future__ import annotations

import base64
from typing import Any

from anyio import to_thread
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, ValidationError

from modules.schema.events import Failed
from modules.schema.extras import ExtrasRequest
from modules.schema.parts import LATENT_UPSCALERS
from modules.service.app import App
from modules.service.finished import facts_text
from modules.service.inputs import picture_infotext
from modules.service.jobs import Job
from modules.web import follow
from modules.web.api.pnginfo import decode_picture
from modules.web.deps import Owner, TheApp
from modules.web.errors import HttpProblem, bad_value

router = APIRouter(prefix="/sdapi/v1")

_SPELLINGS = {"scale": "upscaling_resize", "width": "upscaling_resize_w", "height": "upscaling_resize_h",
              "crop": "upscaling_crop", "upscaler_2_visibility": "extras_upscaler_2_visibility"}  # fmt: skip
_SAME = ("upscaler_1", "upscaler_2", "gfpgan_visibility", "codeformer_visibility", "codeformer_weight")


class ExtrasBody(BaseModel):
    """What both calls share. `upscale_first` has no effect, as in A1111."""

    model_config = ConfigDict(extra="allow")

    resize_mode: int = 0
    show_extras_results: bool = True
    gfpgan_visibility: float = 0.0
    codeformer_visibility: float = 0.0
    codeformer_weight: float = 0.0
    upscaling_resize: float = 2.0
    upscaling_resize_w: int = 512
    upscaling_resize_h: int = 512
    upscaling_crop: bool = True
    upscaler_1: str = "None"
    upscaler_2: str = "None"
    extras_upscaler_2_visibility: float = 0.0
    upscale_first: bool = False


class SingleBody(ExtrasBody):
    image: str = ""


class FileData(BaseModel):
    data: str
    name: str = ""


class BatchBody(ExtrasBody):
    imageList: list[FileData]  # noqa: N815 - A1111's spelling


class SingleAnswer(BaseModel):
    html_info: str
    image: str


class BatchAnswer(BaseModel):
    html_info: str
    images: list[str]


@router.post("/extra-single-image", response_model=SingleAnswer)
async def single(body: SingleBody, app: TheApp, owner: Owner) -> SingleAnswer:
    """Work on one base64 picture and wait for the result."""
    job, images = await _run(app, body, [FileData(data=body.image)], owner)
    return SingleAnswer(html_info=_html(job), image=images[0])


@router.post("/extra-batch-images", response_model=BatchAnswer)
async def batch(body: BatchBody, app: TheApp, owner: Owner) -> BatchAnswer:
    """Work on many."""
    job, images = await _run(app, body, body.imageList, owner)
    return BatchAnswer(html_info=_html(job), images=images)


@router.get("/upscalers")
def upscalers(app: TheApp) -> list[dict[str, Any]]:
    return [
        {
            "name": entry.name,
            "model_name": entry.path.stem if entry.path else None,
            "model_path": str(entry.path) if entry.path else None,
            "model_url": None,
            "scale": 4 if entry.path is None else entry.scale,
        }
        for entry in app.upscalers.entries
    ]


@router.get("/latent-upscale-modes")
def latent_upscale_modes() -> list[dict[str, str]]:
    return [{"name": name} for name in LATENT_UPSCALERS]


@router.get("/face-restorers")
def face_restorers(app: TheApp) -> list[dict[str, Any]]:
    return [{"name": name, "cmd_dir": str(path.parent)} for name, path in app.upscalers.face_restorers.items()]


@router.get("/realesrgan-models")
def realesrgan_models(app: TheApp) -> list[dict[str, Any]]:
    found = [entry for entry in app.upscalers.entries if entry.kind == "RealESRGAN"]
    return [{"name": entry.name, "path": str(entry.path), "scale": entry.scale} for entry in found]


async def _run(app: App, body: ExtrasBody, files: list[FileData], owner: str) -> tuple[Job, list[str]]:
    job = await to_thread.run_sync(_submit, app, body, files, owner)
    end = await follow.finish(app, job.id, owner)
    if isinstance(end, Failed):
        raise HttpProblem(500, end.message, end.kind)
    job = app.job(job.id, owner)
    if not job.images:
        raise HttpProblem(500, "The job was interrupted before a picture was done.")
    return job, await to_thread.run_sync(_encoded, app, job)


def _submit(app: App, body: ExtrasBody, files: list[FileData], owner: str) -> Job:
    pictures = [decode_picture(file.data, app.settings) for file in files]
    names = tuple(app.inputs.add(data) for data in pictures)
    texts = tuple(picture_infotext(data) for data in pictures)
    values: dict[str, Any] = {name: getattr(body, name) for name in _SAME}
    values |= {ours: getattr(body, theirs) for ours, theirs in _SPELLINGS.items()}
    values["resize_mode"] = "Scale to" if body.resize_mode == 1 else "Scale by"
    try:
        request = ExtrasRequest(pictures=names, names=tuple(file.name for file in files), texts=texts, **values)
    except ValidationError as error:
        raise bad_value(error, ExtrasRequest, _SPELLINGS) from None
    return app.submit(request, owner, save=False)


def _encoded(app: App, job: Job) -> list[str]:
    saved = sorted(job.images, key=lambda image: image.index)
    return [base64.b64encode(app.image_data(image.name, job.owner)).decode("ascii") for image in saved]


def _html(job: Job) -> str:
    assert isinstance(job.request, ExtrasRequest)
    return f"<p>{facts_text(job.request.facts())}</p>"
