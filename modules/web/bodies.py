"""What a body may be before any route reads it: JSON of a bounded size, with nothing in it that is not JSON."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modules.schema.errors import BadRequest
from modules.web import strict_json
from modules.web.errors import error_response

JSON_LIMIT = 128 << 20
"""Bytes; pictures travel in JSON as base64."""


class Bodies:
    """ASGI wrapper that reads JSON bodies whole and checks them; everything else passes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_json(Headers(scope=scope).get("content-type", "")):
            await self._app(scope, receive, send)
            return
        body = await _read(scope, receive)
        if body is None:
            detail = f"This is larger than the {JSON_LIMIT >> 20} MiB that may be sent as JSON."
            await error_response(413, "TooLarge", detail)(scope, receive, send)
            return
        try:
            strict_json.check(body)
        except BadRequest as error:
            await error_response(422, "BadRequest", str(error))(scope, receive, send)
            return
        await self._app(scope, _again(body, receive), send)


def _is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().casefold()
    return kind.startswith("application/") and kind.endswith("json")


async def _read(scope: Scope, receive: Receive) -> bytes | None:
    """The whole body; None as soon as it is known to be too long. A client that hangs up has sent what it has."""
    length = Headers(scope=scope).get("content-length", "")
    if length.isdecimal() and int(length[:20]) > JSON_LIMIT:
        return None
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        part = message.get("body", b"")
        size += len(part)
        if size > JSON_LIMIT:
            return None
        parts.append(part)
        more = message.get("more_body", False)
    return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """Gives the body that was read, and then what comes after it."""
    left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return left.pop() if left else await receive()

    return replay
