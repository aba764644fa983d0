"""A1111's /internal/*: what clients and bug reports ask of the program itself. No paths, secrets or environment."""

from __future__ import annotations

import json
import platform
import sys
import time
from dataclasses import asdict
from importlib import metadata
from typing import Any

import psutil
from fastapi import APIRouter, Request
from fastapi.responses import Response

from modules.schema.knob import knobs
from modules.schema.settings import SECRET, Settings
from modules.service.app import App
from modules.web.deps import OWNER_ONLY, TheApp

router = APIRouter(prefix="/internal")

_LIBRARIES = ("torch", "diffusers", "transformers", "gradio", "fastapi", "pillow", "numpy", "safetensors")
# Where something is, or how this machine is reached, is nobody's business who reads a bug report.
_PRIVATE_SECTIONS = frozenset({"folders", "server"})


@router.get("/quicksettings-hint")
def quicksettings_hint() -> list[dict[str, str]]:
    """Names and labels of what A1111 can show above its tabs."""
    return [{"name": knob.name, "label": knob.label} for knob in knobs(Settings).values()]


@router.get("/profile-startup")
def profile_startup() -> dict[str, Any]:
    """Seconds since the program started; A1111 lists the steps of its start, which here are two processes'."""
    return {"total": time.time() - psutil.Process().create_time(), "records": {}}


@router.get("/sysinfo", dependencies=[OWNER_ONLY])
def sysinfo(request: Request, app: TheApp) -> Response:
    """For a bug report: versions, machine, settings; as text that can be read."""
    return _text(request, app)


@router.get("/sysinfo-download", dependencies=[OWNER_ONLY])
def sysinfo_download(request: Request, app: TheApp) -> Response:
    """The same as a file."""
    answer = _text(request, app)
    answer.headers["Content-Disposition"] = 'attachment; filename="sysinfo.json"'
    return answer


def _text(request: Request, app: App) -> Response:
    return Response(json.dumps(_facts(request.app.version, app), indent=1), media_type="application/json")


def _facts(version: str, app: App) -> dict[str, Any]:
    ram = psutil.virtual_memory()
    settings = {
        name: getattr(app.settings, name)
        for name, knob in knobs(Settings).items()
        if knob.section not in _PRIVATE_SECTIONS and name not in SECRET
    }
    return {
        "Version": version,
        "Platform": platform.platform(),
        "Python": sys.version.split()[0],
        "CPU": {"model": platform.processor() or platform.machine(), "count logical": psutil.cpu_count()},
        "RAM": {"total": ram.total, "used": ram.total - ram.available, "free": ram.available},
        "Engine": asdict(app.engine_status()),
        "Checkpoint": app.selected_checkpoint,
        "Settings": settings,
        "Packages": {name: _version(name) for name in _LIBRARIES},
    }


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "not installed"
