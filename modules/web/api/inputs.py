"""/api/v1, what requests name: pictures that are sent here first, and the upscalers there are."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, File, UploadFile
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool

from modules.service.app import App
from modules.web.api.pictures import MOST_PICTURE_BYTES
from modules.web.deps import TheApp
from modules.web.errors import HttpProblem

router = APIRouter(prefix="/api/v1")
_HEADERS = {"Cache-Control": "private, max-age=86400, immutable"}


@router.post("/inputs", status_code=201)
async def keep(app: TheApp, file: UploadFile = File()) -> dict[str, str]:  # noqa: B008 - FastAPI's way to say it
    """Keep a picture file; `picture` is the name by which requests mean it. 422 for what is no picture."""
    data = await file.read(MOST_PICTURE_BYTES + 1)
    if len(data) > MOST_PICTURE_BYTES:
        raise HttpProblem(
            413, f"This is larger than the {MOST_PICTURE_BYTES >> 20} MiB that may be sent.", "TooLarge"
        )
    return {"picture": await run_in_threadpool(app.inputs.add, data)}


@router.get("/inputs/{name}")
def kept(name: str, app: TheApp) -> FileResponse:
    """A kept picture as PNG. Its name is its content's hash: who knows it has had the picture."""
    return FileResponse(app.inputs.path(name), media_type="image/png", headers=_HEADERS)


@router.get("/upscalers")
def upscalers(app: TheApp) -> dict[str, Any]:
    """Upscalers by name, and the face restorers whose files are there."""
    return _lists(app)


@router.post("/upscalers/refresh")
def refresh(app: TheApp) -> dict[str, Any]:
    """Look into the folders again."""
    app.upscalers.refresh()
    return _lists(app)


def _lists(app: App) -> dict[str, Any]:
    return {
        "upscalers": [
            {"name": entry.name, "kind": entry.kind, "scale": entry.scale} for entry in app.upscalers.entries
        ],
        "face_restorers": list(app.upscalers.face_restorers),
    }
