"""/api/v1/networks: all files that a prompt can name, and checkpoints, with what is known of them.

A file is meant by its kind ("embedding", "lora", "hypernet", "checkpoint") and its path below its folder. Notes and
previews are there for the other kinds of model files too.
"""

from __future__ import annotations

import mimetypes
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from modules.catalog.beside import Note, note_of, preview_of, write_note, write_preview
from modules.catalog.checkpoints import CheckpointEntry
from modules.catalog.embeddings import EmbeddingEntry
from modules.catalog.headers import read_header
from modules.catalog.model_places import ModelKind
from modules.catalog.network_facts import training_words
from modules.catalog.networks import NetworkEntry
from modules.schema.errors import ModelFileError, NotFound
from modules.service.app import App
from modules.service.embedding_tool import convert_embedding, inspect_embedding
from modules.service.inputs import read_picture
from modules.service.models.files import ModelFile
from modules.web.api.pictures import sent_picture
from modules.web.deps import OWNER_ONLY, TheApp

router = APIRouter(prefix="/api/v1/networks")
listing = APIRouter(prefix="/sdapi/v1")

Kind = ModelKind
Entry = EmbeddingEntry | NetworkEntry | CheckpointEntry | ModelFile
Below = Annotated[str, Query(max_length=2000)]
_LONGEST = 20_000
_PREVIEW_SIDE = 768
_HEADERS = {"Cache-Control": "private, max-age=3600", "X-Content-Type-Options": "nosniff"}


class NoteBody(BaseModel):
    """What is not given stays as it is."""

    description: str | None = Field(None, max_length=_LONGEST)
    trigger: str | None = Field(None, max_length=_LONGEST)
    negative: str | None = Field(None, max_length=_LONGEST)
    weight: float | None = Field(None, ge=-10, le=10)
    notes: str | None = Field(None, max_length=_LONGEST)
    vae: str | None = Field(None, max_length=1000)


@router.get("")
def networks(app: TheApp) -> dict[str, Any]:
    """All files; `name` is what a prompt calls one, `preview` a picture's address or None."""
    return {"networks": list(_cards(app))}


@router.post("/refresh")
def refresh(app: TheApp) -> dict[str, Any]:
    """Look into the folders again."""
    app.refresh()
    return networks(app)


@router.get("/details")
def details(kind: Kind, path: Below, app: TheApp) -> dict[str, Any]:
    """What only the file itself tells: metadata, training words; of an embedding its vectors and their nearest words
    in the selected checkpoint's vocabulary. Takes seconds for embeddings."""
    entry = _find(app, kind, path)
    if isinstance(entry, NetworkEntry):
        metadata = app.networks.metadata(entry)
        return {"tags": training_words(metadata), "metadata": metadata, "bundled": dict(entry.bundled)}
    if isinstance(entry, CheckpointEntry):
        return {"metadata": entry.metadata}
    if isinstance(entry, ModelFile):
        return {"metadata": {} if entry.path.is_dir() or entry.problem else read_header(entry.path).metadata}
    selected = next((e.path for e in app.checkpoints.entries if e.title == app.selected_checkpoint), None)
    convertible = entry.path.suffix.lower() in (".pt", ".bin") and not entry.problem
    return {**inspect_embedding(entry.path, selected), "convertible": convertible}


@router.put("/note", dependencies=[OWNER_ONLY])
def note(kind: Kind, path: Below, body: NoteBody, app: TheApp) -> dict[str, Any]:
    """Write what the user says of a file into `STEM.json` beside it, as A1111 does."""
    entry = _find(app, kind, path)
    old = note_of(entry.path)
    given = body.model_dump(exclude_unset=True)
    if given.get("vae") and given["vae"].casefold() != "none":
        app.vaes.find(given["vae"])
    new = Note(
        description=given.get("description", old.description) or "",
        notes=given.get("notes", old.notes) or "",
        activation_text=given.get("trigger", old.activation_text) or "",
        negative_text=given.get("negative", old.negative_text) or "",
        preferred_weight=given.get("weight", old.preferred_weight),
        family=old.family,
        vae=given.get("vae", old.vae) or "",
    )
    try:
        write_note(entry.path, new)
    except OSError as error:
        raise ModelFileError(f"The note beside {entry.path.name} cannot be written: {error.strerror}.") from None
    app.model_files.refresh(kind)
    return _note(new)


@router.post("/convert", dependencies=[OWNER_ONLY])
def convert(kind: Kind, path: Below, app: TheApp) -> dict[str, str]:
    """Write a pickled embedding as .safetensors beside it; `name` is the new file's. The old one stays."""
    entry = _find(app, kind, path)
    if not isinstance(entry, EmbeddingEntry):
        raise ModelFileError(f"{entry.path.name} is no embedding; only embeddings are converted here.")
    name = convert_embedding(entry.path)
    app.embeddings.refresh()
    return {"name": name}


@router.get("/preview")
def preview(kind: Kind, path: Below, app: TheApp) -> FileResponse:
    """The preview picture of a file."""
    found = preview_file(_find(app, kind, path))
    if found is None or not found.is_file():
        raise NotFound(f"There is no preview picture of {path!r}.")
    media = mimetypes.guess_type(found.name)[0] or "application/octet-stream"
    return FileResponse(found, media_type=media, headers=_HEADERS)


@router.put("/preview", dependencies=[OWNER_ONLY])
async def replace_preview(kind: Kind, path: Below, request: Request, app: TheApp) -> dict[str, str]:
    """Make a picture (the body, or a form's `file`) the preview of a file; `preview` is its address.

    It is written beside the file as a PNG of at most 768 pixels; what was there is kept as a `.bak`.
    """
    data = await sent_picture(request)
    return await run_in_threadpool(_replace_preview, app, _find(app, kind, path), kind, data)


def _replace_preview(app: App, entry: Entry, kind: Kind, data: bytes) -> dict[str, str]:
    picture = read_picture(data)
    picture.thumbnail((_PREVIEW_SIDE, _PREVIEW_SIDE))
    others = {other.path for other in app.embeddings.entries}
    try:
        written = write_preview(entry.path, picture, avoiding=others)
    except OSError as error:
        raise ModelFileError(f"The preview beside {entry.path.name} cannot be written: {error.strerror}.") from None
    app.model_files.refresh(kind)
    return {"preview": preview_address(kind, entry.name, written)}


def preview_address(kind: Kind, name: str, picture: Path) -> str:
    """Another one whenever the picture is another."""
    try:
        version = picture.stat().st_mtime_ns // 1_000_000
    except OSError:
        version = 0
    return f"/api/v1/networks/preview?{urlencode({'kind': kind, 'path': name, 'v': version})}"


def entries_of(app: App, kind: Kind) -> list[Any]:
    """All files of a kind."""
    if kind == "embedding":
        return app.embeddings.entries
    if kind == "lora" or kind == "hypernet":
        return app.networks.of_kind(kind)
    return app.checkpoints.entries if kind == "checkpoint" else app.model_files.all(kind)


def _find(app: App, kind: Kind, path: str) -> Entry:
    found: Entry | None = next((entry for entry in entries_of(app, kind) if entry.name == path), None)
    if found is None:
        raise NotFound(f"There is no {kind} {path!r}; refresh the list.")
    return found


def preview_file(entry: Entry) -> Path | None:
    """The preview picture of a file, if it has one."""
    return entry.preview if isinstance(entry, EmbeddingEntry | NetworkEntry) else preview_of(entry.path)


def _cards(app: App) -> Iterator[dict[str, Any]]:
    call = prompt_names(app)
    for entry in app.embeddings.entries:
        yield card_of("embedding", entry, call)
    for kind in ("lora", "hypernet"):
        for entry in app.networks.of_kind(kind):
            yield card_of(kind, entry, call)
    for entry in app.checkpoints.entries:
        yield card_of("checkpoint", entry, call)


def prompt_names(app: App) -> Callable[[Entry], str]:
    """What a prompt calls a file: of files of one name each is called by its path, which a tag may have too."""
    count = Counter((entry.kind, entry.stem) for entry in app.networks.entries)

    def call(entry: Entry) -> str:
        twins = isinstance(entry, NetworkEntry) and count[entry.kind, entry.stem] > 1
        return entry.name.rpartition(".")[0] if twins else entry.stem

    return call


def card_of(kind: Kind, entry: Entry, call: Callable[[Entry], str]) -> dict[str, Any]:
    """What a list tells of a file; `call` as of `prompt_names`."""
    if isinstance(entry, NetworkEntry):
        return _card(kind, entry, call(entry), _network(entry))
    if isinstance(entry, EmbeddingEntry):
        told = {"vectors": entry.vectors, "width": entry.width, "step": entry.step, "base": entry.checkpoint}
        return _card(kind, entry, call(entry), _note(entry.note) | told)
    return _card(kind, entry, call(entry), _note(note_of(entry.path)))


def _network(entry: NetworkEntry) -> dict[str, Any]:
    noted = _note(entry.note)
    return {
        **noted,
        "alias": entry.alias,
        "title": entry.title,
        "base": entry.base,
        "description": entry.description,
        "trigger": noted["trigger"] or entry.trigger,
    }


def _note(note: Note) -> dict[str, Any]:
    return {
        "description": note.description,
        "notes": note.notes,
        "trigger": note.activation_text,
        "negative": note.negative_text,
        "weight": note.preferred_weight,
        "vae": note.vae,
    }


def _card(kind: Kind, entry: Entry, name: str, more: dict[str, Any]) -> dict[str, Any]:
    picture = preview_file(entry)
    return {
        **more,
        "kind": kind,
        "name": name,
        "path": entry.name,
        "folder": entry.name.rpartition("/")[0],
        "family": entry.family,
        "hash": entry.hash,
        "size": entry.size,
        "mtime": entry.mtime,
        "preview": preview_address(kind, entry.name, picture) if picture else None,
        "problem": entry.problem,
    }


@listing.get("/loras")
def loras(app: TheApp) -> list[dict[str, Any]]:
    """A1111's list of LoRA; reads each file's metadata."""
    return [
        {
            "name": entry.stem,
            "alias": entry.alias or entry.stem,
            "path": str(entry.path),
            "metadata": app.networks.metadata(entry),
        }
        for entry in app.networks.of_kind("lora")
        if not entry.problem
    ]


@listing.get("/hypernetworks")
def hypernetworks(app: TheApp) -> list[dict[str, str]]:
    entries = app.networks.of_kind("hypernet")
    return [{"name": entry.stem, "path": str(entry.path)} for entry in entries if not entry.problem]


@listing.get("/embeddings")
def embeddings(app: TheApp) -> dict[str, dict[str, Any]]:
    """By name; those that cannot be used are `skipped`, with the reason as a further field."""
    loaded = {entry.stem: _embedding(entry) for entry in app.embeddings.entries if not entry.problem}
    skipped = {
        entry.stem: {**_embedding(entry), "problem": entry.problem}
        for entry in app.embeddings.entries
        if entry.problem
    }
    return {"loaded": loaded, "skipped": skipped}


def _embedding(entry: EmbeddingEntry) -> dict[str, Any]:
    return {
        "step": entry.step,
        "sd_checkpoint": entry.checkpoint_hash or None,
        "sd_checkpoint_name": entry.checkpoint or None,
        "shape": entry.width,
        "vectors": entry.vectors,
    }


@listing.post("/refresh-embeddings")
def refresh_embeddings(app: TheApp) -> None:
    app.embeddings.refresh()


@listing.post("/refresh-loras")
def refresh_loras(app: TheApp) -> None:
    app.networks.refresh()
