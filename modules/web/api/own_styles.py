"""/api/v1/styles: saved prompts listed, saved, and deleted with a way back."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from modules.catalog.styles import Style
from modules.web.deps import OWNER_ONLY, TheApp

router = APIRouter(prefix="/api/v1/styles")

_LONGEST = 100_000


class StyleBody(BaseModel):
    name: str = Field(max_length=1000)
    prompt: str = Field("", max_length=_LONGEST)
    negative_prompt: str = Field("", max_length=_LONGEST)
    position: int | None = Field(None, ge=0)


@router.get("")
def styles(app: TheApp) -> list[dict[str, str]]:
    """All styles in the order of the file."""
    return [asdict(style) for style in app.styles.entries]


@router.put("", dependencies=[OWNER_ONLY])
def save(body: StyleBody, app: TheApp) -> list[dict[str, str]]:
    """Save a style, replacing the one of that name; `position` is where a deleted one was."""
    app.styles.save(Style(body.name.strip(), body.prompt, body.negative_prompt), at=body.position)
    return styles(app)


@router.delete("", dependencies=[OWNER_ONLY])
def delete(app: TheApp, name: Annotated[str, Query(max_length=1000)]) -> dict[str, Any]:
    """Delete a style; the answer is a body that puts it back where it was."""
    removed = app.styles.delete(name)
    return {**asdict(removed.style), "position": removed.position}
