"""POST /sdapi/v1/txt2img and img2img: calls that wait for their pictures. The wait holds up nobody; a client that
hangs up leaves its job running, as A1111 does.
"""

from __future__ import annotations

import base64
import json
import secrets
import string
from functools import partial
from typing import Any

from anyio import to_thread
from fastapi import APIRouter, Request

from modules.schema.errors import BadRequest
from modules.schema.events import Failed, ImageSaved
from modules.schema.request import GenerationRequest
from modules.schema.scripts import ScriptRequest
from modules.service.app import App
from modules.service.jobs import Job
from modules.service.scripts import several
from modules.web import follow
from modules.web.api.grid import grid_rows, make_grid
from modules.web.api.info import describe
from modules.web.api.mapping import to_request
from modules.web.api.models import Images, ImageToImage, TextToImage
from modules.web.api.options import Options, TheOptions
from modules.web.api.pnginfo import keep_picture
from modules.web.api.scripts import script_answer, scripted
from modules.web.deps import Owner, TheApp
from modules.web.errors import HttpProblem

router = APIRouter(prefix="/sdapi/v1")

_WRONG_REQUEST = ("BadRequest", "UnknownName")
_ALPHABET = string.ascii_uppercase + string.digits

_HIRES_FIELDS = {
    "enable_hr",
    "firstpass_image",
    "firstphase_width",
    "firstphase_height",
    *(name for name in TextToImage.model_fields if name.startswith("hr_")),
}


@router.post("/txt2img", response_model=Images)
async def txt2img(body: TextToImage, app: TheApp, options: TheOptions, owner: Owner) -> Images:
    """Draw pictures and wait for them; at most one grid comes first (see `index_of_first_image` in `info`)."""
    return await _drawn(body, app, options, owner)


@router.post("/img2img", response_model=Images)
async def img2img(body: ImageToImage, app: TheApp, options: TheOptions, owner: Owner) -> Images:
    """The same from a picture; the pictures sent are left out of the echo unless `include_init_images` is set."""
    return await _drawn(body, app, options, owner)


async def _drawn(body: TextToImage, app: App, options: Options, owner: str) -> Images:
    job, values = await to_thread.run_sync(_submit, app, options, body, owner)
    end = await follow.finish(app, job.id, owner)
    if isinstance(end, Failed):
        raise HttpProblem(422 if end.kind in _WRONG_REQUEST else 500, end.message, end.kind)
    return await to_thread.run_sync(_answer, app, app.job(job.id, owner), body, values)


def _submit(app: App, options: Options, body: TextToImage, owner: str) -> tuple[Job, dict[str, Any]]:
    request, values = to_request(body, options, partial(keep_picture, app))
    save = body.save_images and bool(values["samples_save"])
    return app.submit(
        _order(app, body, request), owner, save=save, name=body.force_task_id or new_task_id(_tab(body))
    ), values


def _order(app: App, body: TextToImage, request: GenerationRequest) -> GenerationRequest | ScriptRequest:
    """The request itself, or a script over it. Several pictures to begin with set the size of the batch."""
    pictures = (body.init_images or []) if isinstance(body, ImageToImage) else []
    if len(pictures) > 1:
        if body.script_name:
            raise BadRequest("A script works on one picture: send one init_images for each call.", "init_images")
        names = [keep_picture(app, picture) for picture in pictures]
        base = request.replace(batch_size=len(names))
        return ScriptRequest(script=several.NAME, base=base, options={"pictures": names})
    return scripted(request, body.script_name, body.script_args, _tab(body)) if body.script_name else request


def _tab(body: TextToImage) -> str:
    return "img2img" if isinstance(body, ImageToImage) else "txt2img"


def _echo(body: TextToImage) -> dict[str, Any]:
    """The request as it is sent back."""
    if not isinstance(body, ImageToImage):
        return body.model_dump()
    echo = body.model_dump(exclude=_HIRES_FIELDS)
    return echo if body.include_init_images else {**echo, "init_images": None, "mask": None}


def new_task_id(tab: str = "txt2img") -> str:
    """A task id as A1111's API makes them: `task(txt2img-X7K2P0A)`."""
    return f"task({tab}-{''.join(secrets.choice(_ALPHABET) for _ in range(7))})"


def _answer(app: App, job: Job, body: TextToImage, options: dict[str, Any]) -> Images:
    if isinstance(job.request, ScriptRequest) and body.script_name:
        return script_answer(app, job, with_images=body.send_images, parameters=_echo(body))
    saved = sorted(job.images, key=lambda image: image.index)
    infotexts = [image.infotext for image in saved]
    with_grid = len(saved) > 1 and bool(options["return_grid"])
    info = describe(job, infotexts, with_grid=with_grid, denoising_strength=body.denoising_strength)
    info["styles"] = list(body.styles or [])
    return Images(
        images=_encoded(app, job, saved, options if with_grid else None) if body.send_images else [],
        parameters=_echo(body),
        info=json.dumps(info, ensure_ascii=False),
    )


def _encoded(app: App, job: Job, saved: list[ImageSaved], grid_options: dict[str, Any] | None) -> list[str]:
    """The files as base64, with a grid in front when `grid_options` are given."""
    files = [app.image_data(image.name, job.owner) for image in saved]
    if grid_options is not None:
        rows = grid_rows(
            len(files),
            rows=grid_options["n_rows"],
            batch_size=job.drawing.batch_size if job.drawing else 1,
            no_gaps=grid_options["grid_prevent_empty_spots"],
        )
        infotext = saved[0].infotext if grid_options["enable_pnginfo"] else None
        files.insert(0, make_grid(files, rows, infotext))
    return [base64.b64encode(data).decode("ascii") for data in files]


@router.post("/{name:path}", include_in_schema=False)
async def missing(name: str, request: Request) -> None:
    """The last route: what is not there is told in the API's own words."""
    raise HttpProblem(404, f"There is no route {request.url.path[:200]} here.")
