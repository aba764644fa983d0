"""The preview of the form: what the next pictures' words would be."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from modules.extensions import hook

from .extension import WILDCARDS, DynamicOptions, made_of
from .template import nth, parse

router = APIRouter()
_SHOWN = 5


class PreviewBody(BaseModel):
    text: str = Field("", max_length=100_000)
    order: Literal["Random", "In order"] = "Random"
    seed: int = -1


@hook
def register_routes(register: Any) -> None:
    register(router)


@router.post("/preview")
def preview(body: PreviewBody) -> dict[str, Any]:
    """`samples` of a prompt, `count` of all texts it can become (10000: as many or more)."""
    options = DynamicOptions(order=body.order)
    seed = max(body.seed, 0)
    texts = [made_of(body.text, options, index, seed + index) for index in range(_SHOWN)]
    count = nth(parse(body.text), 0, WILDCARDS.lines)[1]
    return {"samples": list(dict.fromkeys(texts)), "count": count}


@router.get("/wildcards")
def wildcards() -> dict[str, Any]:
    """Names of the wildcard files."""
    return {"names": WILDCARDS.names()}
