"""/docs: the API's routes on one plain page. (The usual documentation page loads its scripts from another host.)"""

from __future__ import annotations

from html import escape
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

router = APIRouter(include_in_schema=False)

_STYLE = (
    ":root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;"
    "padding:0 1rem}dt{font-family:ui-monospace,monospace;margin-top:1rem}dd{margin-left:0;opacity:.8}"
)


@router.get("/docs")
def docs(request: Request) -> HTMLResponse:
    schema = request.app.openapi()
    routes = "".join(_route(path, methods) for path, methods in schema["paths"].items())
    return HTMLResponse(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>API</title><style>{_STYLE}</style>'
        f"<h1>{escape(schema['info']['title'])}: API</h1>"
        f'<p>Bodies and answers in full: <a href="/openapi.json">openapi.json</a>.</p><dl>{routes}</dl></html>'
    )


def _route(path: str, methods: dict[str, Any]) -> str:
    return "".join(
        f"<dt>{method.upper()} {escape(path)}</dt><dd>{escape(facts.get('description') or facts['summary'])}</dd>"
        for method, facts in methods.items()
    )
