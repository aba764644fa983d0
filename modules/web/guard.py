"""What every request passes first: is it for us, is it from our own page, and whose is it.

On loopback there is no password, so the two ways in which a foreign page could use a visitor's server are closed
here: a name that is made to point at 127.0.0.1 (DNS rebinding) fails the Host check, and a form or script of another
site fails the Origin check. Pictures and jobs belong to an owner, named by a random cookie.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
import time
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modules.web.errors import error_response

COOKIE = "owner"
API_OWNER = "api"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
API_PATHS = ("/sdapi/", "/internal/", "/api/", "/openapi.json")
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

_OWNER = re.compile(r"[A-Za-z0-9_-]{32}")
_YEAR = 365 * 24 * 3600
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Gradio's page needs inline scripts; what matters is that nothing is fetched from, or sent to, another host.
    "Content-Security-Policy": "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; object-src 'none'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'self'",
}


class Guard:
    """ASGI wrapper: host and origin checks, owner cookie (`request.state.owner`), security headers, `X-Process-Time`.

    `server_name`: the address that is listened on; a wildcard address (0.0.0.0, ::) accepts every Host.
    """

    def __init__(self, app: ASGIApp, server_name: str) -> None:
        self._app = app
        self._hosts = None if is_wildcard(server_name) else LOOPBACK_NAMES | {server_name.casefold()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        problem = self._refusal(scope, headers)
        if problem is not None:
            await error_response(403, "Forbidden", problem)(scope, receive, send)
            return
        owner, is_new = _owner(scope["path"], headers.get("cookie", ""))
        scope.setdefault("state", {}).update(owner=owner, role="owner")
        await self._app(scope, receive, _decorated(send, owner if is_new else None))

    def _refusal(self, scope: Scope, headers: Headers) -> str | None:
        host = headers.get("host", "")
        if self._hosts is not None and hostname(host) not in self._hosts:
            return f"This server does not answer to the name {host!r}; open it at its own address."
        if scope["type"] == "http" and scope["method"] in SAFE_METHODS:
            return None
        origin = headers.get("origin")
        is_foreign = headers.get("sec-fetch-site") == "cross-site" if origin is None else not _same(origin, host)
        return "A page of another site may not change anything here." if is_foreign else None


def hostname(host: str) -> str:
    """The name in a Host header, without port and brackets, in lower case; empty when malformed."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def is_wildcard(server_name: str) -> bool:
    return server_name in ("", "0.0.0.0", "::")


def is_loopback(address: str | None) -> bool:
    """Whether `address` (of a client or of the server) is this very machine."""
    if address is None:
        return False
    if address.casefold() == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _same(origin: str, host: str) -> bool:
    return urlsplit(origin).netloc.casefold() == host.casefold() != ""


def _owner(path: str, cookies: str) -> tuple[str, bool]:
    """(owner, whether a cookie must be set): programs that keep no cookies share the owner "api"."""
    try:
        morsel = SimpleCookie(cookies).get(COOKIE)
    except CookieError:
        morsel = None
    if morsel is not None and _OWNER.fullmatch(morsel.value):
        return morsel.value, False
    if path.startswith(API_PATHS):
        return API_OWNER, False
    return secrets.token_urlsafe(24), True


def _decorated(send: Send, new_owner: str | None) -> Send:
    started = time.perf_counter()

    async def decorated(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            headers["X-Process-Time"] = f"{time.perf_counter() - started:.4f}"
            if new_owner is not None:
                cookie = f"{COOKIE}={new_owner}; Path=/; HttpOnly; SameSite=Lax; Max-Age={_YEAR}"
                headers.append("Set-Cookie", cookie)
        await send(message)

    return decorated
