"""/api/v1, pictures in words: who can describe them, and asking for it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, ValidationError

from modules.schema.captioning import BLIP, OPTIONS, TAGGER, InterrogateRequest
from modules.schema.errors import BadRequest
from modules.schema.events import Captioned
from modules.service.app import App
from modules.service.jobs import Job
from modules.web.api.own_jobs import job_json
from modules.web.api.pnginfo import keep_picture
from modules.web.deps import Owner, TheApp
from modules.web.errors import bad_value

router = APIRouter(prefix="/api/v1")

_KINDS = {BLIP: "sentence", TAGGER: "tags"}


class LookBody(BaseModel):
    """`picture` is a name of /api/v1/inputs; `image` is a file as base64 instead. Beside them any of the captioners'
    options by its name; what is not said is as the settings have it."""

    model_config = ConfigDict(extra="allow")

    picture: str = ""
    image: str = ""
    captioner: str = BLIP


@router.get("/captioners")
def captioners(app: TheApp) -> list[dict[str, Any]]:
    """Who can describe pictures, and how: `kind` is "sentence", "tags", or "" for an extension's; `problem` says
    what to put where before one can, and is empty when all is there."""
    return [
        {"name": view.name, "kind": _KINDS.get(view.name.partition(":")[0], ""), "problem": view.problem}
        for view in app.captions.views()
    ]


@router.post("/interrogate", status_code=201)
def interrogate(body: LookBody, app: TheApp, owner: Owner) -> dict[str, Any]:
    """Describe a picture; the answer is the job, whose events have the words as "Captioned". 409 says which model to
    put where."""
    options = options_of(body)
    app.captions.find(body.captioner)
    picture = keep_picture(app, body.image) if body.image else body.picture
    try:
        wanted = InterrogateRequest(pictures=(picture,), captioner=body.captioner, **options)
    except ValidationError as error:
        raise bad_value(error, InterrogateRequest, {"pictures": "picture"}) from None
    return job_json(app.submit(wanted, owner))


@router.get("/jobs/{job_id}/captions")
def captions(job_id: str, app: TheApp, owner: Owner) -> list[dict[str, Any]]:
    """What a job has seen so far, picture by picture."""
    return [asdict(event) for event in captions_of(app, app.job(job_id, owner))]


def options_of(body: BaseModel) -> dict[str, Any]:
    """The captioners' options beside a body's own fields; raises BadRequest for anything else."""
    options = body.model_extra or {}
    unknown = next((name for name in options if name not in OPTIONS), None)
    if unknown is not None:
        raise BadRequest(f"There is no parameter named {unknown!r}.", unknown)
    return options


def captions_of(app: App, job: Job) -> list[Captioned]:
    """The words that a job has told."""
    told = app.follow(job.id, job.owner, timeout=0)
    return [event for _, event in told if isinstance(event, Captioned)]
