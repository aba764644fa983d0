"""Every route of an application, however it was added to it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from starlette.routing import Mount, WebSocketRoute


def walk(routes: Any, prefix: str = "") -> Iterator[tuple[str, str, Any]]:
    """(method, path, route) with something in the place of each parameter; method "WS" for a WebSocket."""
    for route in routes:
        if hasattr(route, "original_router"):  # FastAPI's included routers
            yield from walk(route.original_router.routes, prefix + route.include_context.prefix)
        elif isinstance(route, Mount):
            yield "GET", f"{prefix}{route.path}/anything", route
            yield from walk(route.routes or [], prefix + route.path)
        elif isinstance(route, WebSocketRoute):
            yield "WS", _filled(prefix + route.path), route
        else:
            path = _filled(prefix + route.path)
            yield from ((method, path, route) for method in sorted(getattr(route, "methods", None) or {"GET"}))


def _filled(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "1", path)
