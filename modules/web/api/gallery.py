"""/api/v1/gallery: saved pictures to browse, mark, delete and take along. A picture is meant by its id, never a path.

Who asks finds their own pictures; the machine's owner also those of nobody known, and with `whose=everybody` all.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date
from pathlib import PurePath
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import FileResponse, Response, StreamingResponse
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from modules.schema.errors import BadRequest
from modules.service.app import App
from modules.service.gallery.describe import KINDS
from modules.service.gallery.gallery import Changed, FolderState
from modules.service.gallery.index import Picture
from modules.service.gallery.query import LONGEST_SEARCH, Owners, Wanted
from modules.service.gallery.thumbnails import SIZES
from modules.service.gallery.zips import zipped
from modules.web.deps import OWNER_ONLY, Owner, TheApp
from modules.web.errors import HttpProblem

router = APIRouter(prefix="/api/v1/gallery")

PAGE = 200
_MOST_ON_A_PAGE = 500
_MOST_IDS = 5000
_SHOWN_WORDS = 300
_YEARS = (1970, 2999)  # those of file systems, and that every system's clock can reckon with
_FOR_EVER = "private, max-age=31536000, immutable"
_ASK_AGAIN = "private, no-cache"

Id = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Ids = Annotated[list[Id], Field(min_length=1, max_length=_MOST_IDS)]
Whose = Literal["mine", "everybody"]
Kind = Literal["txt2img", "img2img", "grids", "extras", "other"]
Cursor = Annotated[str | None, Query(pattern=r"^\d{1,18}$")]


class IdsBody(BaseModel):
    ids: Ids
    whose: Whose = "mine"


class FavouriteBody(IdsBody):
    favourite: bool = True


class FolderBody(BaseModel):
    path: str = Field(max_length=4000)


def _scope(request: Request, app: App, owner: str, whose: Whose) -> Owners:
    is_owner = request.state.role == "owner"
    if whose == "everybody" and not is_owner:
        raise HttpProblem(403, "Only the owner of this machine sees everybody's pictures.", "Forbidden")
    return app.gallery.scope(owner, is_owner=is_owner, everybody=whose == "everybody")


async def _seen(request: Request, app: TheApp, owner: Owner, whose: Whose = "mine") -> Owners:
    return _scope(request, app, owner, whose)


Seen = Annotated[Owners, Depends(_seen)]


async def _wanted(
    seen: Seen,
    search: Annotated[str, Query(max_length=LONGEST_SEARCH)] = "",
    day: date | None = None,
    model: Annotated[str | None, Query(max_length=400)] = None,
    kind: Kind | None = None,
    favourite: bool = False,
    trash: bool = False,
) -> Wanted:
    if day is not None and not _YEARS[0] <= day.year <= _YEARS[1]:
        raise BadRequest(f"Days are from {_YEARS[0]} to {_YEARS[1]}.", "day")
    return Wanted(seen, search, day, model, kind, favourite, trash)


Filter = Annotated[Wanted, Depends(_wanted)]


@router.get("")
def page(
    app: TheApp, wanted: Filter, before: Cursor = None, limit: Annotated[int, Query(ge=1, le=_MOST_ON_A_PAGE)] = PAGE
) -> dict[str, Any]:
    """Pictures, newest first. `next` given as `before` goes on; it is null at the end.

    `search`: words of prompts, parameters and models, each the beginning of one; "in quotes" they follow each other.
    """
    found = app.gallery.index.page(wanted, before=None if before is None else int(before), limit=limit)
    return {
        "pictures": [_brief(app, picture) for picture in found],
        "next": str(found[-1].number) if len(found) == limit else None,
    }


@router.get("/outline")
def outline(
    app: TheApp, wanted: Filter, page: Annotated[int, Query(ge=10, le=_MOST_ON_A_PAGE)] = PAGE
) -> dict[str, Any]:
    """How many there are, on which days, and the cursors (`before`) at which pages of `page` pictures begin."""
    found = app.gallery.index.outline(wanted, page)
    return {
        "total": found.total,
        "starts": [str(number + 1) for number in found.starts],
        "days": [{"day": day.isoformat(), "count": count} for day, count in found.days],
    }


@router.get("/choices")
def choices(request: Request, app: TheApp, seen: Seen) -> dict[str, Any]:
    """What there is to choose among, with how many pictures each. `others`: whether there are other people's."""
    found = app.gallery.index.choices(seen)
    is_owner = request.state.role == "owner"
    return {
        "models": [{"name": name, "count": count} for name, count in found.models if name],
        "kinds": [{"name": name, "count": count} for name, count in found.kinds],
        "favourites": found.favourites,
        "trash": found.trash,
        "trash_days": app.settings.trash_days,
        "newest": str(app.gallery.index.newest(seen)),
        "reading": app.gallery.reading is not None,
        "others": is_owner and (seen is None or app.gallery.index.others(seen)),
        "folders": is_owner,
    }


@router.get("/state")
def state(app: TheApp, seen: Seen) -> dict[str, Any]:
    """The cursor of the `newest` picture, and how far the `reading` of a folder is, or null."""
    reading = app.gallery.reading
    return {
        "newest": str(app.gallery.index.newest(seen)),
        "reading": reading and {"done": reading.done, "total": reading.total},
    }


@router.get("/pictures/{picture_id}")
def picture(picture_id: str, app: TheApp, seen: Seen) -> dict[str, Any]:
    """Everything of a picture; `text` is what it says of its making."""
    found = app.gallery.index.find(picture_id, seen)
    return {
        **_brief(app, found),
        "prompt": found.prompt,
        "negative_prompt": found.negative,
        "text": app.gallery.text(found),
        "bytes": found.stamp.size,
    }


@router.get("/pictures/{picture_id}/file")
def file(picture_id: str, request: Request, app: TheApp, seen: Seen, v: str = "", download: bool = False) -> Response:
    """The picture as it was saved; with its `version` as `v` it may be kept for ever. `download` names the file."""
    found = app.gallery.index.find(picture_id, seen)
    kind = app.gallery.media_type(found)
    headers = _caching(found, v)
    if _has_it(request, headers):
        return Response(status_code=304, headers=headers)
    name = found.file if download else None
    return FileResponse(app.gallery.path(found), media_type=kind, headers=headers, filename=name)


@router.get("/pictures/{picture_id}/thumbnail")
async def thumbnail(
    picture_id: str, request: Request, app: TheApp, seen: Seen, v: str = "", size: int = SIZES[0]
) -> Response:
    """A WebP of at most `size` (256 or 512) pixels a side."""
    if size not in SIZES:
        raise BadRequest(f"Thumbnails have {SIZES[0]} or {SIZES[1]} pixels.", "size")
    found = await run_in_threadpool(app.gallery.index.find, picture_id, seen)
    headers = _caching(found, v, f"-{size}")
    if _has_it(request, headers):
        return Response(status_code=304, headers=headers)
    loop = asyncio.get_running_loop()
    data = await loop.run_in_executor(app.gallery.thumbnail_threads, app.gallery.thumbnail, found, size)
    return Response(data, media_type="image/webp", headers=headers)


@router.post("/favourite")
def favourite(body: FavouriteBody, request: Request, app: TheApp, owner: Owner) -> dict[str, Any]:
    """Mark pictures as favourites, or take the mark off."""
    seen = _scope(request, app, owner, body.whose)
    return {"changed": app.gallery.favourite(body.ids, seen, on=body.favourite)}


@router.post("/trash")
def trash(body: IdsBody, request: Request, app: TheApp, owner: Owner) -> dict[str, Any]:
    """Move pictures into the trash, where they stay for some days (a setting)."""
    return _changed(app.gallery.trash(body.ids, _scope(request, app, owner, body.whose)))


@router.post("/restore")
def restore(body: IdsBody, request: Request, app: TheApp, owner: Owner) -> dict[str, Any]:
    """Take pictures out of the trash, to where they were."""
    return _changed(app.gallery.restore(body.ids, _scope(request, app, owner, body.whose)))


@router.post("/delete")
def delete(body: IdsBody, request: Request, app: TheApp, owner: Owner) -> dict[str, Any]:
    """Delete pictures of the trash for good."""
    return _changed(app.gallery.delete(body.ids, _scope(request, app, owner, body.whose)))


@router.post("/zip", status_code=201)
def order_zip(body: IdsBody, request: Request, app: TheApp, owner: Owner) -> dict[str, Any]:
    """Order pictures as one file; `url` (below /api/v1) sends it, for some minutes."""
    name, pictures, size = app.gallery.order_zip(body.ids, _scope(request, app, owner, body.whose))
    return {"url": f"gallery/zip/{name}", "pictures": pictures, "bytes": size}


@router.get("/zip/{name}")
def send_zip(name: str, app: TheApp) -> StreamingResponse:
    """The zip that was ordered, made while it is sent."""
    parts: Iterator[bytes] = zipped(app.gallery.zips.get(name))
    headers = {"Content-Disposition": 'attachment; filename="pictures.zip"', "Cache-Control": "no-store"}
    return StreamingResponse(parts, media_type="application/zip", headers=headers)


@router.get("/folders", dependencies=[OWNER_ONLY])
def folders(app: TheApp) -> list[dict[str, Any]]:
    """Folders of this machine whose pictures are shown, and how far each was read."""
    return [_folder(state) for state in app.gallery.folders()]


@router.post("/folders", status_code=201, dependencies=[OWNER_ONLY])
def add_folder(body: FolderBody, app: TheApp) -> dict[str, Any]:
    """Show the pictures of a folder of this machine, which is only ever read."""
    return _folder(app.gallery.add_folder(body.path))


@router.post("/folders/{number}/scan", dependencies=[OWNER_ONLY])
def scan(number: int, app: TheApp) -> dict[str, Any]:
    """Look into a folder again."""
    return _folder(app.gallery.scan(number))


@router.delete("/folders/{number}", dependencies=[OWNER_ONLY])
def remove_folder(number: int, app: TheApp) -> dict[str, Any]:
    """Show a folder's pictures no more; nothing in the folder is touched."""
    app.gallery.remove_folder(number)
    return {}


def _brief(app: App, picture: Picture) -> dict[str, Any]:
    """What a grid needs; `made` is seconds since the epoch, the prompt is its beginning."""
    return {
        "id": picture.id,
        "cursor": str(picture.number),
        "made": picture.number / 1e6,
        "day": picture.day.isoformat(),
        "file": picture.file,
        "kind": picture.kind if picture.kind in KINDS else "other",
        "model": picture.model,
        "seed": picture.seed,
        "width": picture.width,
        "height": picture.height,
        "prompt": picture.prompt[:_SHOWN_WORDS],
        "favourite": picture.favourite,
        "trashed": picture.trashed,
        "removable": app.gallery.can_be_deleted(picture),
        "version": _version(picture),
    }


def _version(picture: Picture) -> str:
    return hashlib.sha256(f"{picture.stamp.size}|{picture.stamp.mtime_ns}".encode()).hexdigest()[:16]


def _caching(picture: Picture, version: str, suffix: str = "") -> dict[str, str]:
    """With the version in its address an answer is good for ever; without, it must be asked for again."""
    current = _version(picture)
    return {
        "ETag": f'"{current}{suffix}"',
        "Cache-Control": _FOR_EVER if version == current else _ASK_AGAIN,
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    }


def _has_it(request: Request, headers: dict[str, str]) -> bool:
    known = request.headers.get("if-none-match", "")
    return headers["ETag"] in (tag.strip().removeprefix("W/") for tag in known.split(","))


def _changed(changed: Changed) -> dict[str, Any]:
    return {
        "done": changed.done,
        "refused": [{"id": picture_id, "sentence": sentence} for picture_id, sentence in changed.refused],
    }


def _folder(state: FolderState) -> dict[str, Any]:
    return {
        "number": state.number,
        "path": str(state.path),
        "name": PurePath(state.path).name,
        "pictures": state.pictures,
        **asdict(state.progress),
    }
