"""What routes ask of a request: the app, and who is asking. And reading bodies no larger than they may be."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any

from fastapi import Depends, Header, Request

from modules.schema.errors import BadRequest
from modules.schema.orders import AnyOrder
from modules.service.app import App
from modules.service.jobs import Job, OrderKey
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


KeyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[!-~]{1,255}$",
        description="A name of the sender's own for this order (visible ASCII, such as a UUID): sent again, with the "
        "same body, it answers with the same job. Kept as long as the job is; 409 where the body is another one.",
    ),
]


def submit_keyed(app: App, order: AnyOrder, owner: str, key: str | None, values: dict[str, Any]) -> Job:
    """Put an order into the queue; with a `key` once, however often it comes. `values`: the order as it was sent."""
    if key is None:
        return app.submit(order, owner)
    text = json.dumps([order.__class__.__name__, values], sort_keys=True)
    return app.submit_once(order, owner, OrderKey(key, hashlib.sha256(text.encode()).hexdigest()))


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
