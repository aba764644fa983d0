"""/api/v1, jobs: ordering, watching and stopping one's own, and their pictures."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict
from pathlib import PurePosixPath
from typing import IO, Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import FileResponse, Response, StreamingResponse
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from modules.schema.errors import UnknownName
from modules.schema.events import Event, Preview, to_json
from modules.schema.orders import KINDS, kind_of
from modules.service.app import App
from modules.service.jobs import Job
from modules.web import follow
from modules.web.api.pictures import MEDIA_TYPES, media_type
from modules.web.api.pnginfo import keep_picture
from modules.web.api.progress import data_uri
from modules.web.deps import KeyHeader, Owner, TheApp, read_json, submit_keyed
from modules.web.errors import bad_value

router = APIRouter(prefix="/api/v1")

_REQUEST_LIMIT = 64 << 20
_NAME_LENGTH = 64
_PICTURES = (("image", "picture"), ("inpaint", "mask"), ("inpaint", "latent_mask"), ("hires", "picture"))
_LISTED = 20
_CHUNK = 1 << 20
_MOST_LISTED = 200
_PICTURE_HEADERS = {"Cache-Control": "private, max-age=3600"}


def job_json(job: Job) -> dict[str, Any]:
    """A job as its owner sees it; times are seconds since the epoch, `position` 0 is running, 1 is next."""
    return {
        "id": job.id,
        "name": job.name,
        "state": job.state,
        "position": job.position,
        "created": job.created,
        "started": job.started,
        "ended": job.ended,
        "message": job.message,
        "request": job.request.model_dump(mode="json"),
        "images": [asdict(image) for image in job.images],
    }


def event_json(event: Event) -> dict[str, Any]:
    """An event as the page gets it: a preview's bytes as a data URI."""
    data = to_json(event)
    return {**data, "data_uri": data_uri(event)} if isinstance(event, Preview) else data


@router.post("/jobs", status_code=201)
async def order(request: Request, app: TheApp, owner: Owner, key: KeyHeader = None) -> dict[str, Any]:
    """Put a request (JSON, every parameter optional) into the queue. Its `kind` is "extras", "merge",
    "script" or "training"; without one it is a GenerationRequest. A picture is its name (see /api/v1/inputs) or a
    file as base64. With an `Idempotency-Key` an order that is sent again makes no second job."""
    sent = await read_json(request, _REQUEST_LIMIT)
    values = await run_in_threadpool(_with_names, sent, app)
    kind = KINDS.get(kind_of(values))
    if kind is None:
        raise UnknownName("kind of job", kind_of(values), KINDS, "kind")
    try:
        wanted = kind.model_validate(values)
    except ValidationError as error:
        raise bad_value(error, kind) from None
    return job_json(await run_in_threadpool(submit_keyed, app, wanted, owner, key, sent))


def _with_names(values: dict[str, Any], app: App) -> dict[str, Any]:
    """Pictures in base64 are kept, and named by their content."""
    changed = dict(values)
    for part, field in _PICTURES:
        inside = changed.get(part)
        text = inside.get(field) if isinstance(inside, dict) else None
        if isinstance(text, str) and len(text) > _NAME_LENGTH:
            changed[part] = {**inside, field: keep_picture(app, text)}
    return changed


@router.get("/jobs")
def recent(
    app: TheApp, owner: Owner, limit: Annotated[int, Query(ge=1, le=_MOST_LISTED)] = _LISTED, open: bool = False
) -> dict[str, Any]:
    """The caller's newest jobs, newest first; with `open` those that run or wait, in the order in which they run."""
    return {"jobs": [job_json(job) for job in (app.open_jobs if open else app.recent)(owner, limit)]}


@router.get("/jobs/{job_id}")
def one_job(job_id: str, app: TheApp, owner: Owner) -> dict[str, Any]:
    return job_json(app.job(job_id, owner))


@router.post("/jobs/{job_id}/interrupt")
def interrupt(job_id: str, app: TheApp, owner: Owner) -> dict[str, Any]:
    """Stop after the step that is being drawn; what is done is kept."""
    app.interrupt(job_id, owner)
    return job_json(app.job(job_id, owner))


@router.post("/jobs/{job_id}/skip")
def skip(job_id: str, app: TheApp, owner: Owner) -> dict[str, Any]:
    """Go on with the next batch."""
    app.skip(job_id, owner)
    return job_json(app.job(job_id, owner))


@router.post("/jobs/{job_id}/cancel")
def cancel(job_id: str, app: TheApp, owner: Owner) -> dict[str, Any]:
    """Take a waiting job out of the queue; a running one is interrupted."""
    app.cancel(job_id, owner)
    return job_json(app.job(job_id, owner))


@router.get("/jobs/{job_id}/events")
async def events(
    job_id: str,
    app: TheApp,
    owner: Owner,
    after: Annotated[int, Query(ge=0)] = 0,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """The job's events as Server-Sent Events: first those so far (of previews and progress the newest), then live.

    Each is an unnamed message of JSON with its type under "event", and a number as its id. Numbers up to
    `Last-Event-ID` (sent by a browser that connects again) or `after` are left out. The stream ends with the job; a
    browser that comes back when nothing is left gets 204, which ends its attempts.
    """
    return await event_stream(app, await run_in_threadpool(app.job, job_id, owner), after, last_event_id)


async def event_stream(app: App, job: Job, after: int, last_event_id: str | None) -> Response:
    """The events of a job that the caller may see."""
    seen = max(after, int(last_event_id) if (last_event_id or "").isdecimal() else 0)
    if not job.is_open and seen and not await run_in_threadpool(_anything_after, app, job, seen):
        return Response(status_code=204)
    stream = _messages(follow.events(app, job.id, job.owner, seen))
    return StreamingResponse(
        stream, media_type="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )


def _anything_after(app: TheApp, job: Job, seen: int) -> bool:
    return next(app.follow(job.id, job.owner, after=seen, timeout=0), None) is not None


async def _messages(numbered: AsyncIterator[follow.Numbered | None]) -> AsyncIterator[str]:
    yield "retry: 1000\n\n"
    async for item in numbered:
        if item is None:
            yield ": still here\n\n"
        else:
            yield f"id: {item[0]}\ndata: {json.dumps(event_json(item[1]), ensure_ascii=False)}\n\n"


@router.get("/jobs/{job_id}/images/{index}")
def job_image(job_id: str, index: int, app: TheApp, owner: Owner) -> Response:
    """Picture `index` (from 0) of a job, also when it could not be written to the disk."""
    data = app.image_bytes(job_id, index, owner)
    return Response(data, media_type=media_type(data), headers=_PICTURE_HEADERS)


@router.get("/jobs/{job_id}/zip")
def job_zip(job_id: str, app: TheApp, owner: Owner) -> StreamingResponse:
    """All pictures of a job in one file, as they were saved."""
    job = app.job(job_id, owner)
    file = tempfile.TemporaryFile()  # noqa: SIM115 - it is closed when it has been sent
    with zipfile.ZipFile(file, "w") as archive:
        for number, image in enumerate(job.images):
            name = PurePosixPath(image.name).name
            unique = name if name not in archive.NameToInfo else f"{number}-{name}"
            archive.writestr(unique, app.image_data(image.name, owner))
    file.seek(0)
    headers = {**_PICTURE_HEADERS, "Content-Disposition": f'attachment; filename="{job.id[:8]}.zip"'}
    return StreamingResponse(_chunks(file), media_type="application/zip", headers=headers)


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while data := file.read(_CHUNK):
            yield data


@router.get("/images/{name:path}")
def image(name: str, app: TheApp, owner: Owner) -> FileResponse:
    """The caller's own picture by its address (`name` of an image)."""
    path = app.image_path(name, owner)
    return FileResponse(path, media_type=MEDIA_TYPES.get(path.suffix, "image/png"), headers=_PICTURE_HEADERS)
