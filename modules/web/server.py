"""The web server: A1111's API, our own, and the page, behind one guard; and how it is started and stopped."""

from __future__ import annotations

import contextlib
import errno
import logging
import signal
import socket
import ssl
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modules.schema.errors import SetupError
from modules.schema.settings import Settings
from modules.service.access_link import Place
from modules.service.app import App
from modules.service.languages import Languages
from modules.version import VERSION
from modules.web import errors
from modules.web.access import Access
from modules.web.api import (
    access,
    cards,
    control,
    datasets,
    docs,
    extensions,
    extras,
    gallery,
    generation,
    inputs,
    internal,
    interrogate,
    listing,
    model_files,
    networks,
    news,
    options,
    own,
    own_captions,
    own_jobs,
    own_scripts,
    own_styles,
    pnginfo,
    progress,
    queue,
    scripts,
    settings,
    train,
    training,
    words,
)
from modules.web.api.extensions import add_extension_routes
from modules.web.api.forms import Forms
from modules.web.api.options import Options
from modules.web.bodies import Bodies
from modules.web.gate import Gate
from modules.web.guard import Guard

_LOG = logging.getLogger(__name__)
_NEXT_PORTS = 20
_SHUTDOWN_SECONDS = 3
_KEEP_ALIVE_SECONDS = 75


def create_server(app: App, gate: Gate | None = None, place: Place | None = None) -> FastAPI:
    """The whole server of `app`, ready for `uvicorn`. `gate` stands in for the page's own (tests); `place` is where
    it listens, where that is not as the settings say."""
    gate = gate or Gate(app)

    @contextlib.asynccontextmanager
    async def lifespan(_server: FastAPI) -> AsyncIterator[None]:
        app.gallery.start()
        async with gate.open():
            yield

    server = FastAPI(
        title="Stable Diffusion web UI", version=VERSION, lifespan=lifespan, docs_url=None, redoc_url=None
    )
    server.state.app = app
    server.state.gate = gate
    server.state.options = Options(app)
    server.state.languages = Languages(app.extensions, app.extensions.host.problems.report)
    server.state.stop = control.stop_program
    server.state.forms = Forms(app.folders.state / "forms")
    server.add_middleware(Bodies)
    server.state.place = place or Place("http", app.settings.server_name, app.settings.port)
    server.state.access = Access(app.people, app.settings, str(app.folders.data))
    server.add_middleware(Guard, access=server.state.access)
    errors.install(server)
    add_routes(server, a1111=app.settings.api)
    add_extension_routes(server, app)
    server.mount("/", gate)
    return server


_OWN = (
    docs,
    access,
    extensions,
    own_jobs,
    queue,
    own,
    own_captions,
    own_scripts,
    inputs,
    own_styles,
    networks,
    model_files,
    datasets,
    training,
    gallery,
    settings,
    words,
    news,
)
# The last one answers whatever else is asked of A1111's.
_A1111 = (
    options,
    progress,
    internal,
    cards,
    listing,
    pnginfo,
    interrogate,
    extras,
    scripts,
    train,
    control,
    generation,
)


def add_routes(server: FastAPI, *, a1111: bool = True) -> None:
    """Our own API and, unless that is switched off, A1111's."""
    for part in _OWN:
        server.include_router(part.router)
    server.include_router(extensions.files)
    if a1111:
        server.include_router(networks.listing)
        for part in _A1111:
            server.include_router(part.router)


def serve(app: App, settings: Settings, *, announce: Callable[[Place], None]) -> None:
    """Serve until the process is told to stop. `announce` gets the place as soon as it answers.

    Ctrl+C and SIGTERM end the open requests and then raise KeyboardInterrupt, so that callers can tidy up.
    A port that was asked for and is taken is a SetupError; when none was asked for, the next free one is taken.
    """
    tls = certificate(settings)
    with listen(settings.server_name, settings.port, fixed="port" in settings.model_fields_set) as listener:
        place = Place("https" if tls else "http", settings.server_name, listener.getsockname()[1])
        app.people.link.remember(place)
        config = uvicorn.Config(
            _announced(create_server(app, place=place), lambda: announce(place)),
            log_config=None,
            access_log=False,
            server_header=False,
            # Who a proxy speaks for is decided by `access.py`.
            proxy_headers=False,
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
            # Who asks every few seconds keeps the connection; uvicorn's 5 s end it as the next question is sent.
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            **tls,
        )
        with _orderly_end():
            uvicorn.Server(config).run(sockets=[listener])


def certificate(settings: Settings) -> dict[str, Any]:
    """Uvicorn's arguments for TLS; {} without. Raises SetupError where certificate and key cannot be used."""
    if not settings.tls_certfile:
        if settings.tls_keyfile:
            raise SetupError("--tls-keyfile is of no use without --tls-certfile; give both.")
        return {}
    key = settings.tls_keyfile or None
    try:
        # Without a terminal a key with a password would wait for it for ever.
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(settings.tls_certfile, key, lambda: "")
    except (OSError, ValueError) as error:
        raise SetupError(
            f"The certificate {settings.tls_certfile} and its key cannot be used ({error}): give PEM files that "
            "belong together, the key without a password."
        ) from None
    return {"ssl_certfile": settings.tls_certfile, "ssl_keyfile": key}


@contextlib.contextmanager
def _orderly_end() -> Iterator[None]:
    """Uvicorn raises the signal that stopped it once more; for SIGTERM that would end the process on the spot."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def listen(host: str, port: int, *, fixed: bool) -> socket.socket:
    """A listening socket on `host`; without `fixed` on the first free port from `port` on. Raises SetupError."""
    ports = [port] if fixed or port == 0 else range(port, min(port + _NEXT_PORTS, 65536))
    for candidate in ports:
        try:
            return _bound(host, candidate)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise SetupError(
                    f"The server cannot listen on {host}:{candidate} ({error.strerror}); choose another "
                    "--server-name or --port."
                ) from error
    tried = f"Port {port} is" if fixed else f"The ports {ports[0]} to {ports[-1]} are"
    raise SetupError(
        f"{tried} in use, perhaps by another start of this program; end that one, or choose another --port."
    )


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio sends small answers at once; without, each waits 40 ms for the other side.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform != "win32":  # there it would let two servers share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def _announced(app: ASGIApp, announce: Callable[[], None]) -> ASGIApp:
    """`app`, which calls `announce` when it has started: from then on requests are answered."""

    async def announced(scope: Scope, receive: Receive, send: Send) -> None:
        async def told(message: Message) -> None:
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                announce()

        await app(scope, receive, told if scope["type"] == "lifespan" else send)

    return announced
