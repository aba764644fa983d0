"""/api/v1, the queue: everybody sees all of it, one's own jobs by content, others' only as "someone, about 40 s"."""

from __future__ import annotations

import io
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from PIL import Image
from pydantic import BaseModel, Field

from modules.schema.captioning import CaptionRequest, InterrogateRequest
from modules.schema.errors import NotFound
from modules.schema.extras import ExtrasRequest
from modules.schema.merge import MergeRequest
from modules.schema.orders import AnyOrder, kind_of
from modules.schema.request import GenerationRequest
from modules.schema.scripts import ScriptRequest
from modules.service.app import App
from modules.service.estimates import QueueItem
from modules.service.line import OwnJob
from modules.service.turns import Move
from modules.web.api.own_jobs import job_json
from modules.web.deps import OWNER_ONLY, Owner, TheApp

router = APIRouter(prefix="/api/v1")

_LISTED = 100
_MOST_LISTED = 1000
_MOST_OWN = 100
_TITLE = 160
_THUMBNAIL = 128
_PICTURE_HEADERS = {"Cache-Control": "private, max-age=86400"}

Number = Annotated[int, Path(ge=1, le=2**62)]


class MoveBody(BaseModel):
    to: Move | Annotated[int, Field(ge=1, le=1_000_000, description="A place among one's own; 1 is the first.")]


class RepeatBody(BaseModel):
    seed: Literal["same", "new"] = "same"


@router.get("/queue")
def queue(
    request: Request, app: TheApp, owner: Owner, limit: Annotated[int, Query(ge=0, le=_MOST_LISTED)] = _LISTED
) -> dict[str, Any]:
    """Everybody's running (position 0) and waiting jobs in the order in which they run, trainings last: the first
    `limit`, and one's own wherever they are; `left_out` counts the others.

    `seconds` until each is done and `takes`, the seconds that it takes by itself, are null where not known (nothing
    like it was run yet, or the queue is `paused` since that time). Only one's own jobs say more. `newest` is id and
    state of one's own newest job. `number` is for the owner of this machine, who may cancel any job by it.
    """
    items = app.line.items()
    own = {job.item.job_id: job for job in app.line.own(owner, _MOST_OWN)}
    rules = request.state.role == "owner"
    listed = [item for place, item in enumerate(items) if place < limit or item.job_id in own]
    return {
        "jobs": [_item(item, own.get(item.job_id), mine=item.owner == owner, rules=rules) for item in listed],
        "waiting": sum(1 for item in items if item.position),
        "left_out": len(items) - len(listed),
        "newest": app.line.newest(owner),
        "paused": app.line.paused,
        "rules": rules,
        "engine": asdict(app.engine_status()),
    }


def _item(item: QueueItem, own: OwnJob | None, *, mine: bool, rules: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": item.job_id if mine else None,
        "mine": mine,
        "state": item.state,
        "position": item.position,
        "seconds": item.seconds,
        "takes": item.takes,
        "training": item.training,
    }
    if rules:
        shown["number"] = item.number
    return {**shown, **_content(own)} if own is not None else shown


def _content(own: OwnJob) -> dict[str, Any]:
    """What only its own person sees: what it is, how far it is, and where below /api/v1 there is a small picture."""
    return {
        "kind": kind_of(own.order),
        "title": title(own.order),
        "pictures": own.order.image_count,
        "progress": asdict(own.progress) if own.progress is not None else None,
        "thumbnail": f"jobs/{own.item.job_id}/thumbnail?of={own.images}" if own.images or _input(own.order) else None,
    }


def title(order: AnyOrder) -> str:
    """One line about an order: the beginning of its prompt, or what is done."""
    if isinstance(order, GenerationRequest):
        return _beginning(order.prompt)
    if isinstance(order, ScriptRequest):
        return _beginning(f"{order.script}: {order.base.prompt}")
    if isinstance(order, ExtrasRequest | CaptionRequest | InterrogateRequest):
        count = len(order.pictures)
        return f"{'Extras' if isinstance(order, ExtrasRequest) else 'Captions'}, {count} picture{'s' * (count != 1)}"
    return f"Merge {order.name}".strip() if isinstance(order, MergeRequest) else f"Training of {order.name}"


def _beginning(prompt: str) -> str:
    words = " ".join(prompt[: 4 * _TITLE].split())
    return words if len(words) <= _TITLE else f"{words[:_TITLE].rstrip()}…"


def _input(order: AnyOrder) -> str | None:
    """The picture it begins with, by its name among the inputs."""
    if isinstance(order, ExtrasRequest | InterrogateRequest):
        return order.pictures[0] if order.pictures else None
    drawing = order.base if isinstance(order, ScriptRequest) else order
    return drawing.image.picture if isinstance(drawing, GenerationRequest) and drawing.image is not None else None


@router.get("/jobs/{job_id}/thumbnail")
def thumbnail(job_id: str, app: TheApp, owner: Owner) -> Response:
    """A small JPEG of a job's newest picture, else of the picture it begins with; 404 where there is neither. Cached
    by the browser: how many pictures there are belongs into the address."""
    job = app.job(job_id, owner)
    begins_with = _input(job.request)
    if job.images:
        data = app.image_bytes(job.id, job.images[-1].index, owner)
    elif begins_with is not None:
        data = app.inputs.path(begins_with).read_bytes()
    else:
        raise NotFound("The job has no picture (yet).")
    return Response(_small(data), media_type="image/jpeg", headers=_PICTURE_HEADERS)


def _small(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data)) as picture:
        picture.draft("RGB", (_THUMBNAIL, _THUMBNAIL))
        small = picture.convert("RGB")
    small.thumbnail((_THUMBNAIL, _THUMBNAIL))
    file = io.BytesIO()
    small.save(file, "JPEG", quality=82)
    return file.getvalue()


@router.post("/jobs/{job_id}/move")
def move(job_id: str, body: MoveBody, app: TheApp, owner: Owner) -> dict[str, Any]:
    """Move one's waiting job among one's own. Nobody else's place depends on it."""
    return job_json(app.line.move(job_id, owner, body.to))


@router.post("/jobs/{job_id}/repeat", status_code=201)
def repeat(job_id: str, app: TheApp, owner: Owner, body: RepeatBody | None = None) -> dict[str, Any]:
    """Order the same once more, with the same seed (the same picture) or a new one."""
    return job_json(app.line.repeat(job_id, owner, new_seed=(body or RepeatBody()).seed == "new"))


@router.post("/queue/pause", dependencies=[OWNER_ONLY])
def pause(app: TheApp) -> dict[str, Any]:
    """Let no job begin, whoever's; what runs goes on. It stays so over a restart."""
    app.line.pause()
    return _paused(app)


@router.post("/queue/resume", dependencies=[OWNER_ONLY])
def resume(app: TheApp) -> dict[str, Any]:
    """Let waiting jobs begin again."""
    app.line.resume()
    return _paused(app)


@router.post("/queue/{number}/cancel", dependencies=[OWNER_ONLY])
def cancel(number: Number, app: TheApp) -> dict[str, Any]:
    """Take anybody's job out of the queue, or interrupt it; its person is told who did it."""
    app.line.cancel(number)
    return {}


def _paused(app: App) -> dict[str, Any]:
    return {"paused": app.line.paused}
