"""/docs: the API's routes on one plain page. (The usual documentation page loads its scripts from another host.)
And /docs/NAME: a guide of the folder docs with its pictures, in the caller's language where there is one."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import FileResponse, HTMLResponse
from markdown_it import MarkdownIt
from starlette.concurrency import run_in_threadpool

from modules.schema.errors import NotFound
from modules.schema.languages import ENGLISH
from modules.web.api.words import language_for
from modules.web.deps import Owner, TheApp

router = APIRouter(include_in_schema=False)

_STYLE = (
    ":root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;"
    "padding:0 1rem;overflow-wrap:break-word}table{border-collapse:collapse}td,th{padding:.3rem .8rem .3rem 0;"
    "text-align:left;vertical-align:top}pre{overflow-x:auto}img{max-width:100%}dt{font-family:ui-monospace,monospace;margin-top:1rem}dd{margin-left:0;opacity:.8}"
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


_DOCS = FilePath(__file__).resolve().parents[3] / "docs"
_LINK = re.compile(r'href="([a-z0-9-]+)\.md(#[^"]*)?"')


@router.get("/docs/{name}")
async def guide(
    name: Annotated[str, Path(pattern=r"^[a-z0-9-]{1,40}$")], request: Request, app: TheApp, owner: Owner
) -> HTMLResponse:
    """A guide as a page of its own; it is English where nobody has translated it."""
    language = await run_in_threadpool(language_for, request, app, owner)
    file = _DOCS / f"{name}.{language}.md"
    if not file.is_file():
        file, language = _DOCS / f"{name}.md", ENGLISH
    if not file.is_file():
        raise NotFound(f"There is no guide named {name!r}.")
    text = await run_in_threadpool(file.read_text, encoding="utf-8")
    return HTMLResponse(_page(text, language))


@router.get("/docs/images/{name}")
def picture(name: Annotated[str, Path(pattern=r"^[a-z0-9-]{1,40}\.png$")]) -> FileResponse:
    """A picture that guides show."""
    file = _DOCS / "images" / name
    if not file.is_file():
        raise NotFound(f"There is no picture named {name!r}.")
    return FileResponse(file)


def _page(text: str, language: str) -> str:
    """Markdown as a page; markup in the text stays text."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(text)
    title = ""
    for heading, words in zip(tokens, tokens[1:], strict=False):
        if heading.type == "heading_open":
            title = title or words.content
            heading.attrSet("id", _anchor(words.content))
    body = _LINK.sub(
        lambda link: f'href="/docs/{link[1]}{link[2] or ""}"', parser.renderer.render(tokens, parser.options, {})
    )
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width, initial-scale=1"><title>{escape(title)}</title><style>{_STYLE}</style></head>'
        f"<body><main>{body}</main></body></html>"
    )


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w-]", "", heading.lower().replace(" ", "-"))
