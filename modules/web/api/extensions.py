"""/api/v1/extensions: what there is, on and off, what it needs; the files its page parts are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import PurePosixPath
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import FileResponse
from pydantic import BaseModel

from modules.extensions.problems import short
from modules.schema.errors import NotFound, UserError
from modules.service.app import App
from modules.service.extension_install import install
from modules.service.extensions import ExtensionView
from modules.web.deps import OWNER_ONLY, TheApp
from modules.web.errors import HttpProblem
from modules.web.origins import is_loopback

router = APIRouter(prefix="/api/v1/extensions")
files = APIRouter(prefix="/static/extensions")

_SERVED = ("javascript", "locales", "localizations", "html")
_MEDIA = {".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css", ".json": "application/json"}


class SwitchBody(BaseModel):
    on: bool


class ValuesBody(BaseModel):
    values: dict[str, Any]


def extension_json(view: ExtensionView, app: App, *, all_of_it: bool) -> dict[str, Any]:
    """An extension as its page shows it; folder and problems only for the machine's owner."""
    found = view.found
    facts = app.extensions.host.facts(found.name)
    shown = {
        "name": found.name,
        "title": found.title,
        "version": found.version,
        "description": found.description,
        "source": found.source,
        "kind": found.kind,
        "on": view.on,
        "active": view.active,
        "restart": view.on and not view.active and not view.problems,
        "registers": view.registers,
        "requirements": list(found.requirements),
        "missing": view.missing,
        "locales": [name.removesuffix(".json") for name in found.files("locales", ".json")],
        "options": facts.options.model_json_schema() if facts is not None else None,
        "remarks": app.extensions.remarks(found.name),
    }
    if not all_of_it:
        return shown
    problems = [asdict(problem) for problem in view.problems]
    return {
        **shown,
        "folder": str(found.folder),
        "problems": problems,
        "settings": app.extensions.settings(found.name),
    }


@router.get("")
def extensions(request: Request, app: TheApp) -> dict[str, Any]:
    """All extensions. `may_install`: whether this request comes from the machine itself, as installing must."""
    owns = request.state.role == "owner"
    return {
        "extensions": [extension_json(view, app, all_of_it=owns) for view in app.extensions.views()],
        "may_switch": owns,
        "may_install": owns and _at_home(request, app),
    }


@router.post("/{name}/switch", dependencies=[OWNER_ONLY])
def switch(name: str, body: SwitchBody, app: TheApp) -> dict[str, Any]:
    """Switch an extension off, at once for new jobs, or on from the next start of the program."""
    return extension_json(app.extensions.switch(name, body.on), app, all_of_it=True)


@router.post("/{name}/install", dependencies=[OWNER_ONLY])
def install_requirements(name: str, request: Request, app: TheApp) -> dict[str, Any]:
    """Install what an extension's requirements.txt names. Never over the network: only for somebody at the machine,
    while the server listens to the machine alone."""
    if not _at_home(request, app):
        raise HttpProblem(
            403,
            "Packages are installed only from this machine itself, while the program listens to no other: open the "
            "page at 127.0.0.1, started without --listen.",
            "Forbidden",
        )
    install(app.extensions.view(name).found)
    return extension_json(app.extensions.view(name), app, all_of_it=True)


@router.post("/{name}/settings", dependencies=[OWNER_ONLY])
def keep_settings(name: str, body: ValuesBody, app: TheApp) -> dict[str, Any]:
    """Set settings that an extension has added; the answer is all of them."""
    app.extensions.view(name)
    return {"settings": app.extensions.keep_settings(name, body.values)}


@files.get("/{name}/{path:path}", include_in_schema=False)
def page_file(name: str, path: str, app: TheApp) -> FileResponse:
    """A file of an extension that its page parts are made of; none of its program files."""
    found = next((one for one in app.extensions.active if one.name == name), None)
    pieces = PurePosixPath(path).parts
    if found is None or not pieces or not (path == "style.css" or pieces[0] in _SERVED):
        raise NotFound("There is no such file.")
    home = found.folder.resolve()
    file = home.joinpath(*pieces).resolve()
    inside = file == home / "style.css" if path == "style.css" else file.is_relative_to(home / pieces[0])
    if not inside or not file.is_file():
        raise NotFound("There is no such file.")
    media = _MEDIA.get(file.suffix.lower())
    return FileResponse(file, media_type=media, headers={"Cache-Control": "no-cache"})


def add_extension_routes(server: FastAPI, app: App) -> None:
    """The routes that extensions register, each below its own name, behind the same guard as all others."""
    for name, routes in app.extensions.routes:
        try:
            server.include_router(
                routes, prefix=f"/api/v1/extensions/{name}", dependencies=[Depends(_watch(app, name))]
            )
        except Exception as error:  # noqa: BLE001 - an extension's fault leaves its routes out, nothing else
            app.extensions.host.problems.report(name, f"Its routes cannot be added ({short(error)}).", error)


def _watch(app: App, name: str) -> Callable[[], Iterator[None]]:
    def watch() -> Iterator[None]:
        if not any(one.name == name for one in app.extensions.active):
            raise NotFound(f"The extension {name} is switched off.")
        try:
            yield
        except (UserError, HttpProblem):
            raise
        except Exception as error:
            app.extensions.host.problems.report(name, f"One of its routes failed ({short(error)}).", error)
            raise

    return watch


def _at_home(request: Request, app: App) -> bool:
    client = request.client.host if request.client else None
    return is_loopback(client) and is_loopback(app.settings.server_name)
