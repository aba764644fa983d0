"""/api/v1/models: every model file on the disk; renamed, deleted with a way back, hashed, brought in.

A file is meant by its kind and its `path` (below its folder), as in /api/v1/networks, which has its notes and
preview. Looking is for everybody, all else for the owner of the machine.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from modules.catalog.model_places import PLACES, ModelKind, home
from modules.catalog.vae import VaeEntry
from modules.schema.errors import BadRequest
from modules.service.app import App
from modules.service.models.desk import Order, Wish
from modules.service.models.files import ModelFile
from modules.service.models.tasks import Task
from modules.service.models.trash import TrashedModel
from modules.service.models.uploads import Upload
from modules.web.api.gallery import Seen
from modules.web.api.networks import Entry, card_of, prompt_names
from modules.web.deps import OWNER_ONLY, TheApp
from modules.web.errors import HttpProblem

router = APIRouter(prefix="/api/v1/models")

PAGE = 200
_MOST_ON_A_PAGE = 1000
_MOST_FILES = 20_000
_BUFFER = 4 << 20

Path = Annotated[str, Query(max_length=2000)]
Name = Annotated[str, Field(max_length=500)]
Hash = Annotated[str, Field(max_length=100)]


class Meant(BaseModel):
    """A file, by its kind and its path below its folder."""

    kind: ModelKind
    path: str = Field(max_length=2000)


class RenameBody(Meant):
    """`name`: the new one, without folder; the ending may be left out and stays."""

    name: Name


class HashBody(BaseModel):
    """`files` None is all whose hash is not known."""

    files: list[Meant] | None = Field(None, max_length=_MOST_FILES)


class NewFile(BaseModel):
    """`kind` None: told by the file itself."""

    name: Name = ""
    kind: ModelKind | None = None
    sha256: Hash = ""


class CheckBody(NewFile):
    size: int = Field(0, ge=0)


class ImportBody(NewFile):
    """`path`: of a file of this machine; `keep` False moves it."""

    path: str = Field(max_length=4000)
    keep: bool = True


class DownloadBody(NewFile):
    url: str = Field(max_length=4000)


@router.get("")
def models(
    app: TheApp,
    request: Request,
    search: Annotated[str, Query(max_length=1000)] = "",
    kind: ModelKind | None = None,
    broken: bool = False,
    order: Order = "name",
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=_MOST_ON_A_PAGE)] = PAGE,
) -> dict[str, Any]:
    """A page of the files that answer to all words of `search` (in name, family, trigger words, hash).

    `counts` by kind and `unusable` are of all files, `total` of those that were asked for.
    """
    found = app.models.listed(Wish(search, kind, broken, order), offset, limit)
    call = prompt_names(app)
    is_owner = request.state.role == "owner"
    return {
        "files": [_file(file, call) for file in found.files],
        "total": found.total,
        "counts": found.counts,
        "unusable": found.broken,
        "kinds": [_kind(app, one, tell_folder=is_owner) for one in PLACES],
        "may_change": is_owner,
    }


@router.post("/refresh")
def refresh(app: TheApp) -> dict[str, Any]:
    """Look into all folders again."""
    app.refresh()
    return {}


@router.get("/pictures")
def pictures(kind: ModelKind, path: Path, app: TheApp, seen: Seen) -> list[dict[str, Any]]:
    """Which of one's pictures a file was used for: `search` finds them in the gallery, `by` its hash or its name."""
    return [
        {"by": uses.by, "search": uses.search, "count": uses.count}
        for uses in app.models.pictures(kind, path, app.gallery, seen)
    ]


@router.post("/rename", dependencies=[OWNER_ONLY])
def rename(body: RenameBody, app: TheApp) -> dict[str, Any]:
    """Give a file another name; notes and previews beside it go along. 422 while it is used."""
    return _card(app, app.models.rename(body.kind, body.path, body.name))


@router.post("/trash", dependencies=[OWNER_ONLY])
def trash(body: Meant, app: TheApp) -> dict[str, Any]:
    """Move a file, with what is beside it, to the trash, where it stays for some days. 422 while it is used."""
    return _trashed(app.models.trash(body.kind, body.path))


@router.get("/trash", dependencies=[OWNER_ONLY])
def trashed(app: TheApp) -> dict[str, Any]:
    """What is in the trash, the newest first, and how many days it stays."""
    return {"files": [_trashed(one) for one in app.models.trashed()], "days": app.settings.trash_days}


@router.post("/trash/{trash_id}/restore", dependencies=[OWNER_ONLY])
def restore(trash_id: str, app: TheApp) -> dict[str, Any]:
    """Take a file out of the trash, to where it was."""
    return _card(app, app.models.restore(trash_id))


@router.delete("/trash/{trash_id}", dependencies=[OWNER_ONLY])
def delete(trash_id: str, app: TheApp) -> dict[str, Any]:
    """Delete a file of the trash for good."""
    app.models.delete(trash_id)
    return {}


@router.post("/hash", dependencies=[OWNER_ONLY])
def hash_files(body: HashBody, app: TheApp) -> dict[str, Any]:
    """Compute the sha256 of files in the background; `task` is null where all are known."""
    wanted = None if body.files is None else [(one.kind, one.path) for one in body.files]
    task = app.models.hash(wanted)
    return {"task": task and _task(app, task)}


@router.post("/import", status_code=201, dependencies=[OWNER_ONLY])
def bring(body: ImportBody, app: TheApp) -> dict[str, Any]:
    """Copy or move a file of this machine to the models; the answer is a task."""
    if body.sha256:
        raise BadRequest("A file that is here already is not compared with a sha256.", "sha256")
    return _task(app, app.models.bring(body.path, body.kind, body.name, keep=body.keep))


@router.post("/download", status_code=201, dependencies=[OWNER_ONLY])
def download(body: DownloadBody, app: TheApp) -> dict[str, Any]:
    """Fetch a file from a hub or another address; the answer is a task."""
    return _task(app, app.models.download(body.url, body.name, body.kind, body.sha256))


@router.post("/check", dependencies=[OWNER_ONLY])
def check(body: CheckBody, app: TheApp) -> dict[str, Any]:
    """Whether a file may be sent: 422 with the reason where its name or size cannot be taken."""
    with app.models.upload(body.name, body.kind, body.size, body.sha256):
        return {}


@router.put("/upload", status_code=201, dependencies=[OWNER_ONLY])
async def upload(
    request: Request, app: TheApp, name: Path, kind: ModelKind | None = None, sha256: str = ""
) -> dict[str, Any]:
    """Send a file as the body (application/octet-stream). What breaks off leaves nothing."""
    told = request.headers.get("content-length", "")
    size = int(told) if told.isdecimal() else None
    arriving = await run_in_threadpool(app.models.upload, name, kind, size, sha256)
    with arriving:
        try:
            async for data in _gathered(request):
                await run_in_threadpool(arriving.write, data)
        except ClientDisconnect:
            raise HttpProblem(400, "The sending was broken off; nothing was kept.", "BrokenOff") from None
        return await run_in_threadpool(_uploaded, app, arriving)


@router.get("/tasks", dependencies=[OWNER_ONLY])
def tasks(app: TheApp) -> list[dict[str, Any]]:
    """Hashing, copying and downloading: what goes on, waits, or has ended lately."""
    return [_task(app, task) for task in app.models.tasks()]


@router.post("/tasks/{task_id}/pause", dependencies=[OWNER_ONLY])
def pause(task_id: str, app: TheApp) -> dict[str, Any]:
    """Stop a download for now; what has arrived is kept, also over a restart."""
    return _task(app, app.models.pause(task_id))


@router.post("/tasks/{task_id}/resume", dependencies=[OWNER_ONLY])
def resume(task_id: str, app: TheApp) -> dict[str, Any]:
    """Go on with a download where it ended."""
    return _task(app, app.models.resume(task_id))


@router.delete("/tasks/{task_id}", dependencies=[OWNER_ONLY])
def cancel(task_id: str, app: TheApp) -> dict[str, Any]:
    """Give a task up, and remove what it left; one that has ended goes off the list."""
    app.models.cancel(task_id)
    return {}


async def _gathered(request: Request) -> AsyncIterator[bytes]:
    """The body in pieces that are worth a write."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        parts.append(part)
        size += len(part)
        if size >= _BUFFER:
            yield b"".join(parts)
            parts, size = [], 0
    yield b"".join(parts)


def _uploaded(app: App, arriving: Upload) -> dict[str, Any]:
    return _card(app, app.models.uploaded(arriving))


def _card(app: App, file: ModelFile) -> dict[str, Any]:
    return _file(file, prompt_names(app))


def _file(file: ModelFile, call: Callable[[Entry], str]) -> dict[str, Any]:
    """As of /api/v1/networks, and what only this list tells."""
    source = file if file.entry is None or isinstance(file.entry, VaeEntry) else file.entry
    card = card_of(file.kind, source, call)
    return {
        **card,
        "file": file.path.name,
        "hash": file.hash,
        "sha256": file.sha256,
        "trigger": file.words or card["trigger"],
        "movable": file.root is not None,
    }


def _kind(app: App, kind: ModelKind, *, tell_folder: bool) -> dict[str, Any]:
    place = PLACES[kind]
    return {
        "kind": kind,
        "label": place.label,
        "endings": place.endings,
        "takes_files": not place.whole_folders,
        "folder": str(home(app.folders, kind, "")) if tell_folder else None,
    }


def _trashed(one: TrashedModel) -> dict[str, Any]:
    return {"id": one.id, "kind": one.kind, "path": one.name, "size": one.size, "since": one.since}


def _task(app: App, task: Task) -> dict[str, Any]:
    return {
        "id": task.id,
        "what": task.what,
        "label": task.label,
        "state": task.state,
        "done": task.done,
        "total": task.total,
        "sentence": task.sentence,
        "resumable": app.models.can_resume(task),
    }
