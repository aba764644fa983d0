"""A1111's lists: what is on disk and what can be chosen. What does not exist here yet is an empty list."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import psutil
from fastapi import APIRouter

from modules.schema.samplers import SAMPLERS, SCHEDULES, SamplerFacts
from modules.web.deps import TheApp

router = APIRouter(prefix="/sdapi/v1")

EMPTY_LISTS = ("extensions",)


@router.get("/samplers")
def samplers() -> list[dict[str, Any]]:
    return [{"name": s.label, "aliases": list(s.aliases), "options": _sampler_options(s)} for s in SAMPLERS]


def _sampler_options(facts: SamplerFacts) -> dict[str, str]:
    """A1111's option names; all values are text."""
    flags = {
        "discard_next_to_last_sigma": facts.discard,
        "uses_ensd": facts.ensd,
        "second_order": facts.calls_per_step == 2,
        "brownian_noise": facts.brownian,
    }
    options = {name: "True" for name, is_on in flags.items() if is_on}
    return options if facts.schedule == "uniform" else {"scheduler": facts.schedule, **options}


@router.get("/schedulers")
def schedulers() -> list[dict[str, Any]]:
    return [
        {
            "name": s.name,
            "label": s.label,
            "aliases": list(s.aliases),
            "default_rho": s.default_rho,
            "need_inner_model": s.needs_model,
        }
        for s in SCHEDULES
    ]


@router.get("/sd-models")
def sd_models(app: TheApp) -> list[dict[str, Any]]:
    """Checkpoints that can be used; files with a problem are listed by /api/v1/checkpoints with their reason."""
    return [
        {
            "title": entry.title,
            "model_name": entry.stem,
            "hash": entry.hash,
            "sha256": entry.sha256,
            "filename": str(entry.path),
            "config": None,
        }
        for entry in app.checkpoints.entries
        if entry.problem is None
    ]


@router.get("/sd-vae")
def sd_vae(app: TheApp) -> list[dict[str, Any]]:
    return [{"model_name": entry.name, "filename": str(entry.path)} for entry in app.vaes.entries]


@router.post("/refresh-checkpoints")
def refresh_checkpoints(app: TheApp) -> None:
    app.checkpoints.refresh()


@router.post("/refresh-vae")
def refresh_vae(app: TheApp) -> None:
    app.vaes.refresh()


@router.get("/prompt-styles")
def prompt_styles(app: TheApp) -> list[dict[str, str]]:
    return [asdict(style) for style in app.styles.entries]


@router.get("/memory")
def memory() -> dict[str, dict[str, Any]]:
    """Bytes of the machine's RAM. The device's memory belongs to the engine process, which is not asked."""
    ram = psutil.virtual_memory()
    return {
        "ram": {"free": ram.available, "used": ram.total - ram.available, "total": ram.total},
        "cuda": {"error": "unavailable"},
    }


def _nothing() -> list[Any]:
    return []


for _name in EMPTY_LISTS:
    router.add_api_route(f"/{_name}", _nothing, methods=["GET"], name=_name)
