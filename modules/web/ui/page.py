"""The page as a whole: its tabs, its colours and its own scripts, mounted on the server.

Gradio builds the page's frame (tabs, rows, columns); the forms inside are native inputs made from the request's
knobs, and `modules/web/static` runs jobs over /api/v1. Nothing on the page is fetched from another host.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Protocol

import gradio as gr
from fastapi import FastAPI
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from modules.schema.settings import Settings
from modules.web.ui import (
    cards,
    extensions,
    extras,
    gallery,
    img2img,
    merger,
    models,
    pnginfo,
    queue,
    settings,
    topbar,
    train,
    txt2img,
)
from modules.web.ui.about import about
from modules.web.ui.extension_parts import PageExtensions, add_tabs, head
from modules.web.ui.heading import heading

STATIC = Path(__file__).resolve().parents[1] / "static"
STATIC_ROUTE = "/static/webui"
# Of what extensions' parts of the page take; our own uploads have routes with limits of their own.
_LARGEST_UPLOAD = "200mb"
STYLES = (
    "base",
    "controls",
    "form",
    "prompt",
    "output",
    "canvas",
    "pnginfo",
    "cards",
    "captioners",
    "extras",
    "extensions",
    "gallery",
    "merger",
    "models",
    "scripts",
    "train",
    "runs",
    "queue",
    "settings",
    "presets",
    "access",
    "news",
    "small",
    "reach",
)

TABS: dict[str, Callable[[], None]] = {
    "txt2img": txt2img.build,
    "img2img": img2img.build,
    "Train": train.build,
    "Extras": extras.build,
    "Gallery": gallery.build,
    "PNG Info": pnginfo.build,
    "Checkpoint Merger": merger.build,
    "Models": models.build,
    "Settings": settings.build,
    "Extensions": extensions.build,
}


class HasSettings(Protocol):
    """What the page needs of the app: everything else it asks for over /api/v1, once it is open."""

    @property
    def settings(self) -> Settings: ...
    @property
    def extensions(self) -> PageExtensions | None: ...


class _Fresh(StaticFiles):
    """Files that a browser asks for again (by ETag) at each load: an update must never meet old scripts."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response


def build(app: HasSettings) -> gr.Blocks:
    """The page; `app` gives its settings (colours) and extensions."""
    with gr.Blocks(analytics_enabled=False, title="Stable Diffusion", fill_width=True) as page:
        topbar.build()
        with gr.Tabs(elem_id="tabs", overflow_behavior="wrap"):
            for name, build_tab in TABS.items():
                with gr.Tab(name, elem_id=f"tab-{name.lower().replace(' ', '')}"):
                    heading(name)
                    about(name)
                    build_tab()
            add_tabs(app.extensions)
        cards.build()
        queue.build()
    return page


def mount(server: FastAPI, app: HasSettings) -> None:
    """Serve the page at / and its own files at /static/webui."""
    server.mount(STATIC_ROUTE, _Fresh(directory=STATIC), name="webui-static")
    page = build(app)
    if app.extensions is not None:
        app.extensions.a1111.app_started(page, server)
    gr.mount_gradio_app(
        server,
        page,
        path="/",
        ssr_mode=False,
        footer_links=[],
        theme=_theme(),
        head=_head(app.settings.theme) + head(app.extensions),
        show_error=False,
        max_file_size=_LARGEST_UPLOAD,
        run_history=False,
    )


def _theme() -> gr.Theme:
    """Gradio's plainest theme with the system's fonts: its default asks fonts of another host."""
    return gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])


def _head(theme: str) -> str:
    """The theme is set before anything is drawn (no flash of the other colours); then the style and the scripts."""
    styles = "".join(f'<link rel="stylesheet" href="{STATIC_ROUTE}/{name}.css">' for name in STYLES)
    return (
        f'<meta name="webui-theme" content="{escape(theme)}">'
        f'<script src="{STATIC_ROUTE}/theme.js"></script>'
        f"{styles}"
        f'<script src="/api/v1/words.js"></script>'
        f'<script type="module" src="{STATIC_ROUTE}/translate.js"></script>'
        f'<script type="module" src="{STATIC_ROUTE}/app.js"></script>'
    )
