"""The web server: A1111's API, our own, and the page, behind one guard; and how it is started and stopped."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import AsyncIterator

import uvicorn
from fastapi import FastAPI

from modules.schema.errors import SetupError
from modules.schema.settings import Settings
from modules.service.app import App
from modules.version import VERSION
from modules.web import errors
from modules.web.api import docs, generation, listing, options, own, own_jobs, pnginfo, progress
from modules.web.api.forms import Forms
from modules.web.api.options import Options
from modules.web.gate import Gate
from modules.web.guard import Guard

_SHUTDOWN_SECONDS = 3


def create_server(app: App, gate: Gate | None = None) -> FastAPI:
    """The whole server of `app`, ready for `uvicorn`. `gate` stands in for the page's own (tests)."""
    gate = gate or Gate(app)

    @contextlib.asynccontextmanager
    async def lifespan(_server: FastAPI) -> AsyncIterator[None]:
        async with gate.open():
            yield

    server = FastAPI(
        title="Stable Diffusion web UI", version=VERSION, lifespan=lifespan, docs_url=None, redoc_url=None
    )
    server.state.app = app
    server.state.gate = gate
    server.state.options = Options(app)
    server.state.forms = Forms(app.folders.state / "forms")
    server.add_middleware(Guard, server_name=app.settings.server_name)
    errors.install(server)
    server.include_router(docs.router)
    server.include_router(own_jobs.router)
    server.include_router(own.router)
    if app.settings.api:
        for part in (options, progress, listing, pnginfo, generation):
            server.include_router(part.router)
    server.mount("/", gate)
    return server


def serve(app: App, settings: Settings) -> None:
    """Serve until the process is told to stop (Ctrl+C, SIGTERM). A port that is taken is a SetupError."""
    with listen(settings.server_name, settings.port) as listener:
        config = uvicorn.Config(
            create_server(app),
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        )
        uvicorn.Server(config).run(sockets=[listener])


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; raises SetupError."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":  # there it would let two servers share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise SetupError(
            f"The server cannot listen on {host}:{port} ({error.strerror}); end what uses it, or choose another port "
            "with --port."
        ) from error
    return listener
