"""/api/v1, all but jobs: models, token counts, the kept form, pictures' texts, the program's state."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from modules.schema.errors import BadRequest
from modules.schema.request import GenerationRequest
from modules.service.app import App
from modules.service.prompts import prompt_problems
from modules.web.api.forms import FORM_LIMIT, Forms
from modules.web.api.pictures import picture_text, read_picture, sent_picture
from modules.web.deps import OWNER_ONLY, Owner, TheApp, read_json
from modules.web.errors import HttpProblem
from modules.web.origins import is_here, is_loopback

router = APIRouter(prefix="/api/v1")

_LONGEST_TEXT = 200_000

Tab = Annotated[str, Query(pattern=r"^[a-z0-9-]{1,32}$")]


class TokensBody(BaseModel):
    text: str = Field("", max_length=_LONGEST_TEXT)
    emphasis: str = GenerationRequest.model_fields["emphasis"].default
    comma_padding_backtrack: int = GenerationRequest.model_fields["comma_padding_backtrack"].default
    negative: bool = False
    steps: int = Field(20, ge=1, le=1000)


class NameBody(BaseModel):
    name: str


class OptionalNameBody(BaseModel):
    name: str = ""


class TextBody(BaseModel):
    text: str = Field(max_length=_LONGEST_TEXT)


@router.get("/status")
def status(request: Request, app: TheApp) -> dict[str, Any]:
    """`engine`: its state, or that of all together; `engines`: each by itself. `page` is "starting", "ready" or
    "failed"; `notices` are sentences about the start."""
    return {
        "engine": asdict(app.engine_status()),
        "engines": [asdict(view) for view in app.engines.views],
        "checkpoint": app.selected_checkpoint,
        "page": request.app.state.gate.state,
        "version": request.app.version,
        "notices": list(app.notices),
    }


def _models(app: App) -> dict[str, Any]:
    """`problem` says why a file cannot be used; `vaes` begins with the two choices that are not files."""
    return {
        "checkpoints": [
            {
                "title": entry.title,
                "name": entry.name,
                "hash": entry.hash,
                "family": entry.family,
                "native_size": entry.native_size,
                "problem": entry.problem,
            }
            for entry in app.checkpoints.entries
        ],
        "selected": app.selected_checkpoint,
        "vaes": ["Automatic", "None", *(entry.name for entry in app.vaes.entries if not entry.problem)],
    }


@router.get("/checkpoints")
def checkpoints(app: TheApp) -> dict[str, Any]:
    return _models(app)


@router.post("/checkpoints/refresh")
def refresh(app: TheApp) -> dict[str, Any]:
    """Look for new files."""
    app.refresh()
    return _models(app)


@router.post("/checkpoint", dependencies=[OWNER_ONLY])
def select(body: NameBody, app: TheApp) -> dict[str, Any]:
    """Select the checkpoint that is used where a request names none, and load it when nothing runs."""
    app.select_checkpoint(body.name)
    return {"selected": app.selected_checkpoint}


@router.post("/tokens")
def tokens(body: TokensBody, app: TheApp) -> dict[str, Any]:
    """`borders`: the characters of the text at which a further chunk of 75 tokens starts; `fills`: the tokens in each
    chunk; `problems`: sentences on what cannot be read and is used as text.
    """
    counted = app.count_tokens(
        body.text,
        negative=body.negative,
        steps=body.steps,
        emphasis=body.emphasis,
        comma_backtrack=body.comma_padding_backtrack,
    )
    return {**asdict(counted), "problems": prompt_problems(body.text, negative=body.negative)}


def _forms(request: Request) -> Forms:
    return request.app.state.forms


@router.get("/form")
def get_form(request: Request, owner: Owner, tab: Tab = "txt2img") -> dict[str, Any]:
    """The caller's form of that tab as it was last kept; empty when it never was."""
    return _forms(request).load(owner, tab)


@router.post("/form")
async def keep_form(request: Request, owner: Owner, tab: Tab = "txt2img") -> dict[str, Any]:
    form = await read_json(request, FORM_LIMIT)
    await run_in_threadpool(_forms(request).save, owner, form, tab)
    return {}


@router.post("/png-info")
async def png_info(request: Request, app: TheApp) -> dict[str, Any]:
    """What a picture says of its making; the picture is the body itself, or the field `file` of a form."""
    return await run_in_threadpool(read_picture, await sent_picture(request), app.styles)


@router.post("/infotext")
def infotext(body: TextBody, app: TheApp) -> dict[str, Any]:
    """A text with parameters, as pasted from a picture, as a request."""
    answer = picture_text(body.text, app.styles)
    if answer["request"] is None:
        raise BadRequest(
            "There are no parameters in this text: its last line should be like 'Steps: 20, Seed: 1, ...'."
        )
    return answer


@router.post("/open-folder", dependencies=[OWNER_ONLY])
def open_folder(body: OptionalNameBody, request: Request, app: TheApp, owner: Owner) -> dict[str, Any]:
    """Show the folder of a picture (or of all) in this machine's file manager.

    Only for somebody who sits at it; for others, and without a file manager, the refusal names the folder.
    """
    folder = app.image_path(body.name, owner).parent if body.name else app.folders.outputs
    near = request.client is not None and is_loopback(request.client.host)
    at_home = near and is_here(request.scope, request.headers, app.settings.server_name)
    command = _file_manager() if at_home else None
    if command is None:
        raise HttpProblem(409, str(folder), "NotOpened")
    _show(command, folder)
    return {"path": str(folder), "opened": True}


def _file_manager() -> str | None:
    if sys.platform == "win32":
        return "explorer"
    if sys.platform == "darwin":
        return shutil.which("open")
    has_screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return shutil.which("xdg-open") if has_screen else None


def _show(command: str, folder: Path) -> None:
    subprocess.Popen(
        [command, str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
