"""A1111's /sd_extra_networks/*: previews and texts of the cards, for clients that show them.

A file is meant by its name or its preview's path among those that are listed; nothing that is sent is opened.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
from html import escape
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse, Response

from modules.catalog.checkpoints import CheckpointEntry
from modules.catalog.networks import NetworkEntry
from modules.schema.errors import BadRequest, NotFound
from modules.service.app import App
from modules.service.inputs import read_picture
from modules.web.api.networks import Entry, Kind, entries_of, preview_address, preview_file
from modules.web.api.pictures import MEDIA_TYPES
from modules.web.deps import TheApp

router = APIRouter(prefix="/sd_extra_networks")

PAGES: dict[str, Kind] = {
    "textual inversion": "embedding",
    "lora": "lora",
    "hypernetworks": "hypernet",
    "checkpoints": "checkpoint",
}
_COVERS = "ssmd_cover_images"
_KINDS = {**MEDIA_TYPES, ".jpeg": "image/jpeg", ".gif": "image/gif", ".avif": "image/avif"}

Name = Annotated[str, Query(max_length=4000)]


@router.get("/thumb")
def thumb(app: TheApp, filename: Name = "", mtime: float = 0) -> FileResponse:
    """The preview picture that the lists name by this path."""
    for kind in PAGES.values():
        for entry in entries_of(app, kind):
            found = preview_file(entry)
            if found is not None and str(found) == filename and found.suffix.lower() in _KINDS and found.is_file():
                return FileResponse(found, media_type=_KINDS[found.suffix.lower()])
    raise NotFound("There is no preview picture of that name.")


@router.get("/cover-images")
def cover_images(
    app: TheApp, page: Name = "", item: Name = "", index: Annotated[int, Query(ge=0, le=1000)] = 0
) -> Response:
    """Picture `index` of those that the file itself carries, as PNG."""
    covers = _list(_metadata(app, _find(app, page, item)).get(_COVERS))
    if index >= len(covers):
        raise NotFound(f"{item!r} carries no picture {index}.")
    try:
        picture = read_picture(base64.b64decode(str(covers[index]), validate=True))
    except (BadRequest, binascii.Error, ValueError):
        raise NotFound(f"Picture {index} in {item!r} cannot be read.") from None
    file = io.BytesIO()
    picture.save(file, "PNG")
    return Response(file.getvalue(), media_type="image/png")


@router.get("/metadata")
def metadata(app: TheApp, page: Name = "", item: Name = "") -> dict[str, str]:
    """What the file says of itself as JSON in a text; {} for what is not there."""
    try:
        found = _metadata(app, _find(app, page, item))
    except NotFound:
        return {}
    return {"metadata": json.dumps(found, indent=4, ensure_ascii=False)} if found else {}


@router.get("/get-single-card")
def single_card(app: TheApp, page: Name = "", tabname: Name = "", name: Name = "") -> dict[str, str]:
    """A card as HTML; {} for what is not there. (The page here draws its cards itself.)"""
    try:
        entry = _find(app, page, name)
    except NotFound:
        return {}
    picture = preview_file(entry)
    address = preview_address(PAGES[page.casefold()], entry.name, picture) if picture else ""
    shown = f'<img src="{escape(address)}" alt="">' if address else ""
    label = escape(entry.stem)
    return {"html": f'<div class="card" data-name="{label}">{shown}<span class="name">{label}</span></div>'}


def _find(app: App, page: str, name: str) -> Entry:
    kind = PAGES.get(page.casefold())
    for entry in entries_of(app, kind) if kind else ():
        if name in (entry.stem, entry.name):
            return entry
    raise NotFound(f"There is no {name!r} on the page {page!r}.")


def _metadata(app: App, entry: Entry) -> dict[str, Any]:
    if isinstance(entry, NetworkEntry):
        return dict(app.networks.metadata(entry))
    return dict(entry.metadata) if isinstance(entry, CheckpointEntry) else {}


def _list(value: Any) -> list[Any]:
    """safetensors metadata is text: a list in it is JSON."""
    try:
        value = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return []
    return value if isinstance(value, list) else []
