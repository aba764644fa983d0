"""/api/v1: the owner's own sound for when something is done, and an example to train with."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import FileResponse, Response

from modules.service.examples import example_set
from modules.web.deps import Owner, TheApp

router = APIRouter(prefix="/api/v1")

_FILE = "notification.mp3"
_LARGEST = 8 << 20


@router.get("/sound")
def sound(app: TheApp) -> Response:
    """`notification.mp3` of the data folder, A1111's name; 204 where there is none: then the page has notes of its
    own."""
    path = app.folders.data / _FILE
    if path.is_file() and path.stat().st_size <= _LARGEST:
        return FileResponse(path, media_type="audio/mpeg", headers={"Cache-Control": "no-cache"})
    return Response(status_code=204)


@router.post("/examples/dataset", status_code=201)
def example_dataset(app: TheApp, owner: Owner) -> dict[str, str]:
    """Make a data set of the drawings that come with the program, or find the one made before; gives its `name`."""
    return {"name": example_set(app.datasets, owner)}
