"""What routes ask of a request: the app, and who is asking. And reading bodies no larger than they may be."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request

from modules.schema.errors import BadRequest
from modules.service.app import App
from modules.web import strict_json
from modules.web.errors import HttpProblem


async def _app(request: Request) -> App:
    return request.app.state.app


async def _owner(request: Request) -> str:
    return request.state.owner


async def _rules_here(request: Request) -> None:
    if request.state.role != "owner":
        raise HttpProblem(403, "Only the owner of this machine may do this; ask them.", "Forbidden")


TheApp = Annotated[App, Depends(_app)]
Owner = Annotated[str, Depends(_owner)]
# In a route's `dependencies`: what concerns the machine or other people is the machine's owner's.
OWNER_ONLY = Depends(_rules_here)


async def read_body(request: Request, limit: int) -> bytes:
    """The body; raises HttpProblem 413 as soon as it is known to be longer than `limit` bytes."""
    parts: list[bytes] = []
    size = int(request.headers.get("content-length") or 0)
    if size <= limit:
        size = 0
        async for part in request.stream():
            size += len(part)
            if size > limit:
                break
            parts.append(part)
    if size > limit:
        raise HttpProblem(413, f"This is larger than the {limit // 1024} KiB that may be sent here.", "TooLarge")
    return b"".join(parts)


async def read_json(request: Request, limit: int) -> dict[str, Any]:
    """The body as a JSON object of at most `limit` bytes."""
    value = strict_json.loads(await read_body(request, limit))
    if not isinstance(value, dict):
        raise BadRequest("The body must be a JSON object.")
    return value
