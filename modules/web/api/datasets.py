"""/api/v1/datasets: pictures with captions to learn from, and the templates they are trained with.

A data set is meant by its name, a picture by its id; neither is ever used as a path.
"""

from __future__ import annotations

import io
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.types import Message

from modules.catalog.datasets.folder import DataPicture
from modules.catalog.datasets.notes import Box
from modules.catalog.datasets.opening import fit as fit_picture
from modules.catalog.datasets.opening import open_upright
from modules.catalog.datasets.plan import place
from modules.catalog.datasets.tags import Action
from modules.schema.captioning import CaptionRequest
from modules.schema.errors import BadRequest, NotFound
from modules.service.dataset_fixes import fix as fix_finding
from modules.service.dataset_uploads import MOST_BYTES, MOST_FILES
from modules.service.datasets import DatasetInfo
from modules.service.limits import is_named
from modules.web.api.own_captions import options_of
from modules.web.api.own_jobs import job_json
from modules.web.deps import Owner, TheApp
from modules.web.errors import HttpProblem, bad_value


async def _own_set(request: Request, app: TheApp, owner: Owner) -> None:
    """Other people's data sets, and folders of the machine, are there for its owner only."""
    name = request.path_params.get("name")
    if name is None or request.state.role == "owner":
        return
    if not await run_in_threadpool(app.datasets.folders.belongs_to, name, owner):
        raise NotFound(f"There is no data set {name!r} of yours.")


router = APIRouter(prefix="/api/v1", dependencies=[Depends(_own_set)])

_MOST_IDS = 20_000
_LONGEST = 20_000
_PICTURE_HEADERS = {"Cache-Control": "private, max-age=3600", "X-Content-Type-Options": "nosniff"}

Fit = Literal["Buckets", "Crop", "Stretch", "Original size"]
Id = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
Ids = Annotated[list[Id], Field(max_length=_MOST_IDS)]
Side = Annotated[int, Query(ge=64, le=2048)]
Caption = Annotated[str, Field(max_length=_LONGEST)]


class NewBody(BaseModel):
    """One of the two: `name` makes an empty data set, `path` opens a folder of this machine."""

    name: str = Field("", max_length=200)
    path: str = Field("", max_length=4000)


class EditBody(BaseModel):
    """`ids` None is all pictures."""

    action: Action
    find: str = Field("", max_length=_LONGEST)
    text: str = Field("", max_length=_LONGEST)
    ids: Ids | None = None


class FixBody(BaseModel):
    kind: str = Field(max_length=32)
    ids: Ids


class CropBody(BaseModel):
    """`box`: left, upper, right, lower in the upright picture; None is all of it."""

    id: Id
    box: Box | None = None


class ExcludeBody(BaseModel):
    ids: Ids
    excluded: bool


class CaptionerBody(BaseModel):
    """`existing`: what becomes of captions that are in files already. Beside these any of the captioners' options by
    its name; what is not said is as the settings have it."""

    model_config = ConfigDict(extra="allow")

    ids: Ids
    existing: Literal["Replace", "Keep", "Prepend", "Append"] = "Replace"
    captioner: str = Field("BLIP", max_length=200)


@router.get("/datasets")
def datasets(request: Request, app: TheApp, owner: Owner) -> list[dict[str, Any]]:
    """All data sets: those of this program, then folders that were opened by their path; a user's own only."""
    folders = app.datasets.folders
    is_owner = request.state.role == "owner"
    return [
        {"name": one.name, "path": str(one.folder), "pictures": one.pictures, "captioned": one.captioned}
        for one in folders.entries()
        if is_owner or folders.belongs_to(one.name, owner)
    ]


@router.post("/datasets", status_code=201)
def create(body: NewBody, request: Request, app: TheApp, owner: Owner) -> dict[str, Any]:
    """Make a data set, or open a folder; the answer is as of GET /datasets/{name}."""
    folders = app.datasets.folders
    is_owner = request.state.role == "owner"
    if not body.path:
        name = folders.create(body.name, owner if is_named(owner) else "")
        if not is_owner and not folders.belongs_to(name, owner):
            raise BadRequest(f"There is a data set called {name!r} already: choose another name.", "name")
        return _info(app.datasets.open(name))
    if not is_owner:
        raise HttpProblem(403, "Only the owner of this machine may open its folders by their path.", "Forbidden")
    return _info(app.datasets.open(folders.add_path(body.path)))


@router.get("/datasets/{name}")
def dataset(name: str, app: TheApp, width: Side = 512, height: Side = 512) -> dict[str, Any]:
    """Everything of a data set: pictures with captions, tags, what the doctor finds for that training size."""
    app.datasets.folders.folder(name)
    return _info(app.datasets.open(name, wanted=(width, height)))


@router.delete("/datasets/{name}")
def forget(name: str, app: TheApp) -> dict[str, Any]:
    """Take a folder that was opened by its path off the list; nothing in it is touched."""
    app.datasets.folders.forget(name)
    return {}


@router.post("/datasets/{name}/pictures")
async def upload(name: str, request: Request, app: TheApp) -> dict[str, Any]:
    """Add the files of a form: pictures, NAME-mask pictures, captions as .txt, or zips of them.

    Each file is taken or refused with a sentence; 413 for a form of more than is taken at a time.
    """
    await run_in_threadpool(app.datasets.folders.folder, name)
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise BadRequest("Send the files as a form (multipart/form-data).", "files")
    async with _counted(request).form(max_files=MOST_FILES, max_fields=16) as form:
        files = [item for _, item in form.multi_items() if isinstance(item, UploadFile)]
        pairs = [(file.filename or "", file.file) for file in files]
        if not pairs:
            raise BadRequest("There is no file in this form: add pictures, or a zip of them.", "files")
        arrived = await run_in_threadpool(app.datasets.add_pictures, name, pairs)
    return {
        "added": len(arrived.added),
        "captions": len(arrived.captions),
        "refused": [asdict(refused) for refused in arrived.refused],
    }


@router.put("/datasets/{name}/captions")
def captions(name: str, body: dict[Id, Caption], app: TheApp) -> dict[str, Any]:
    """Write captions by picture id, each into the .txt beside its picture."""
    return {"changed": app.datasets.set_captions(name, body)}


@router.post("/datasets/{name}/edit")
def edit(name: str, body: EditBody, app: TheApp) -> dict[str, Any]:
    """Change many captions: replace a text, add (at the end), prepend or remove a tag."""
    return {"changed": app.datasets.edit(name, body.action, body.find, body.text, body.ids)}


@router.post("/datasets/{name}/undo")
def undo(name: str, app: TheApp) -> dict[str, Any]:
    """Take the newest change back, of captions as of everything else."""
    return {"undone": app.datasets.undo(name)}


@router.post("/datasets/{name}/fix")
def fix(name: str, body: FixBody, app: TheApp) -> dict[str, Any]:
    """Do what a finding's button says. Two more kinds need no finding: "focus" keeps what is most interesting in
    sight where something is cut off, "plain" forgets crop, focus and parts."""
    return {"changed": fix_finding(app.datasets, name, body.kind, body.ids)}


@router.post("/datasets/{name}/crop")
def crop(name: str, body: CropBody, app: TheApp) -> dict[str, Any]:
    """Train only a part of a picture."""
    app.datasets.set_crop(name, body.id, body.box)
    return _picture(app.datasets.picture(name, body.id))


@router.post("/datasets/{name}/exclude")
def exclude(name: str, body: ExcludeBody, app: TheApp) -> dict[str, Any]:
    """Leave pictures out of the training, or take them in again."""
    return {"changed": app.datasets.exclude(name, body.ids, body.excluded)}


@router.post("/datasets/{name}/captioner", status_code=201)
def captioner(name: str, body: CaptionerBody, app: TheApp, owner: Owner) -> dict[str, Any]:
    """Caption pictures by themselves; the answer is the job. 409 says which model to put where."""
    app.datasets.pictures(name, body.ids)
    values = {**options_of(body), "existing": body.existing, "captioner": body.captioner}
    try:
        request = CaptionRequest(**values, data_set=name, pictures=tuple(body.ids))
    except ValidationError as error:
        raise bad_value(error, CaptionRequest) from None
    return job_json(app.submit(request, owner))


@router.get("/datasets/{name}/pictures/{picture_id}/thumbnail")
def thumbnail(name: str, picture_id: str, app: TheApp, size: Annotated[int, Query(ge=16, le=1024)] = 256) -> Response:
    """A JPEG of the upright picture of at most `size` pixels a side."""
    data = app.datasets.thumbnail(name, picture_id, size)
    return Response(data, media_type="image/jpeg", headers=_PICTURE_HEADERS)


@router.get("/datasets/{name}/pictures/{picture_id}/fitted")
def fitted(
    name: str,
    picture_id: str,
    app: TheApp,
    width: Side = 512,
    height: Side = 512,
    fit: Fit = "Buckets",
    part: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    """What is trained of a picture, as PNG; `part` of one that is trained in parts (the header X-Parts counts)."""
    picture = app.datasets.picture(name, picture_id)
    if picture.facts.problem:
        raise BadRequest(f"{picture.file} is not trained: {picture.facts.problem}.", "picture_id")
    places = place(picture, fit, (width, height))
    box, size = places[min(part, len(places) - 1)]
    file = io.BytesIO()
    fit_picture(open_upright(picture.path), box, size).save(file, "PNG", compress_level=1)
    headers = {"Cache-Control": "no-store", "X-Parts": str(len(places)), "X-Size": f"{size[0]}x{size[1]}"}
    return Response(file.getvalue(), media_type="image/png", headers=headers)


@router.get("/training/templates")
def templates(app: TheApp) -> list[dict[str, Any]]:
    """The texts that pictures can be trained with."""
    return [{"name": name, "lines": list(lines)} for name, lines in app.datasets.template_texts().items()]


def _info(info: DatasetInfo) -> dict[str, Any]:
    kinds: dict[str, list[str]] = {}
    for finding in info.findings:
        for key in finding.ids:
            kinds.setdefault(key, []).append(finding.kind)
    return {
        "name": info.name,
        "path": str(info.folder),
        "writable": info.writable,
        "undo": info.undo,
        "pictures": [
            {
                **_picture(picture),
                "tokens": info.tokens[picture.id][0],
                "over": info.tokens[picture.id][1],
                "problems": kinds.get(picture.id, []),
            }
            for picture in info.pictures
        ],
        "tags": [{"tag": tag, "count": count} for tag, count in info.tags],
        "doctor": [asdict(finding) for finding in info.findings],
    }


def _picture(picture: DataPicture) -> dict[str, Any]:
    return {
        "id": picture.id,
        "file": picture.file,
        "width": picture.size[0],
        "height": picture.size[1],
        "caption": picture.caption,
        "source": picture.source,
        "excluded": picture.note.excluded,
        "crop": picture.note.crop,
        "focus": picture.note.focus,
        "split": picture.note.split,
        "mask": picture.mask is not None or picture.facts.alpha,
        "version": f"{picture.stamp.mtime_ns:x}",
    }


def _counted(request: Request) -> Request:
    """The request, whose body raises 413 as soon as it is longer than is taken at a time."""
    problem = HttpProblem(413, f"This is more than the {MOST_BYTES >> 30} GiB that are taken at a time.", "TooLarge")
    if int(request.headers.get("content-length") or 0) > MOST_BYTES:
        raise problem
    size = 0

    async def receive() -> Message:
        nonlocal size
        message = await request.receive()
        size += len(message.get("body", b""))
        if size > MOST_BYTES:
            raise problem
        return message

    return Request(request.scope, receive)
