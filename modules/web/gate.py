"""The page before it is there: building it means importing Gradio, which takes seconds, so the server does not wait.

Until it is done the root answers with a small page of our own that already takes a prompt; the API is complete from
the first moment. When the import is done, everything that is not the API's goes to the page's own application.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from modules.service.app import App
from modules.service.languages import Languages, language_of
from modules.web.errors import error_response

_LOG = logging.getLogger(__name__)
_STARTING = Path(__file__).with_name("static") / "starting.html"
PAGE_MODULE = "modules.web.ui.page"


class Gate:
    """ASGI application: the starting page, then the real one. `state` is "starting", "ready" or "failed"."""

    def __init__(self, app: App, page_module: str = PAGE_MODULE) -> None:
        self._app = app
        self._module = page_module
        self._page: ASGIApp | None = None
        self._starting = _STARTING.read_text(encoding="utf-8")
        self._languages = Languages()
        self.state = "starting"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._page is not None:
            await self._page(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] == "/":
            page = self._languages.page(self._starting, language_of(self._app.settings.language, accepted(scope)))
            await HTMLResponse(page, headers={"Cache-Control": "no-store"})(scope, receive, send)
        elif scope["type"] == "http":
            response = error_response(503, "Starting", "The page is still being built; ask again in a moment.")
            response.headers["Retry-After"] = "1"
            await response(scope, receive, send)

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Build the page in the background, and run its own start-up and shut-down around it."""
        closing = asyncio.Event()
        task = asyncio.create_task(self._run(closing))
        try:
            yield
        finally:
            closing.set()
            await task

    async def _run(self, closing: asyncio.Event) -> None:
        try:
            page = await asyncio.to_thread(self._build)
        except Exception:  # noqa: BLE001 - whatever keeps the page from being built, the API must live and say so
            _LOG.exception("the page could not be built")
            self.state = "failed"
            return
        async with page.router.lifespan_context(page):
            self._page = page
            self.state = "ready"
            await closing.wait()

    def _build(self) -> FastAPI:
        page = FastAPI(openapi_url=None)
        importlib.import_module(self._module).mount(page, self._app)
        return page


def accepted(scope: Scope) -> str:
    """The Accept-Language header of a request."""
    return Headers(scope=scope).get("accept-language", "")
