"""The one gate in front of everything: pages, files, both APIs, Gradio's own routes, streams and WebSockets.

Nothing behind it is reached by a request that is not for us (Host), that another site makes (Origin), or that comes
from nobody known (see `access.py`). Who is asking is told to the routes as `request.state`: `owner` is the person
whose jobs and pictures they are, `role` is "owner" (of this machine) or "user".
"""

from __future__ import annotations

import time
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modules.schema.errors import SetupError, UserError
from modules.web.access import Access, TooManyTries
from modules.web.entrance import Entrance
from modules.web.errors import error_response
from modules.web.origins import Origins

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    # Gradio's page needs inline scripts; what matters is that nothing is fetched from, or sent to, another host.
    "Content-Security-Policy": "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; object-src 'none'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'self'",
}
# What browsers run as a page of ours when it is opened on its own. (Our own pages are answers of routes, not files.)
_ACTIVE = ("image/svg+xml", "text/xml", "application/xml", "application/xhtml+xml")


class Guard:
    """ASGI wrapper; see above. Adds security headers and `X-Process-Time` to every answer."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access
        self._entrance = Entrance(access)
        self._origins = Origins(access.settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        cors = self._origins.cors(headers)
        answer, cookies = await self._at_the_gate(scope, headers)
        send = _decorated(send, cookies, cors)
        if answer is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "refused"})
        else:
            try:
                await answer(scope, receive, send)
            except UserError as error:  # a session could not be written; nothing was sent yet
                await error_response(500, type(error).__name__, str(error))(scope, receive, send)

    async def _at_the_gate(self, scope: Scope, headers: Headers) -> tuple[ASGIApp | None, tuple[str, ...]]:
        """What is answered here, None for a request that passes; and cookies that go with the answer."""
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            return refusal, ()
        preflight = self._origins.preflight(scope, headers)
        if preflight is not None:
            return Response(status_code=204, headers=preflight), ()
        try:
            if scope["type"] == "http" and self._entrance.has(scope["path"]):
                return self._entrance, ()
            visitor = await self._access.visitor(scope, headers)
        except TooManyTries as tries:
            return _too_many(tries), ()
        except SetupError as error:
            return error_response(503, "NoAccounts", str(error)), ()
        if visitor is None:
            return _unknown(scope, headers, self._access.mode), ()
        state = {"owner": visitor.person, "role": visitor.role, "name": visitor.name, "session": visitor.session}
        scope.setdefault("state", {}).update(state)
        return None, visitor.cookies

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        host = headers.get("host", "")
        if len(headers.getlist("host")) > 1 or not self._origins.answers_to(host):
            shown = host[:100]
            detail = f"This server does not answer to the name {shown!r}; open it at its own address, or start it "
            return error_response(403, "Forbidden", f"{detail}with --allowed-hosts and that name.")
        if self._origins.is_foreign(scope, headers):
            return error_response(403, "Forbidden", "A page of another site may not use this one.")
        return None


def _too_many(tries: TooManyTries) -> Response:
    detail = f"There were too many wrong passwords: wait {tries.seconds} s, then try again."
    response = error_response(429, "TooManyTries", detail)
    response.headers["Retry-After"] = str(tries.seconds)
    return response


def _unknown(scope: Scope, headers: Headers, mode: str) -> Response:
    """Browsers that open a page are led to the login, programs are told what to send."""
    if scope["type"] == "http" and scope["method"] in ("GET", "HEAD") and _opens_a_page(headers):
        wanted = scope["path"] + (f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else "")
        target = "/login" if wanted == "/" else f"/login?next={quote(wanted[:1000], safe='')}"
        return RedirectResponse(target, 303, {"Cache-Control": "no-store"})
    how = "log in" if mode == "accounts" else "open the access link that the owner of this machine has"
    response = error_response(401, "Unauthorized", f"This server does not know who you are: {how}.")
    response.headers["Cache-Control"] = "no-store"
    if mode == "accounts" and "sec-fetch-mode" not in headers:
        # Browsers would open a window of their own for a script's request; theirs is the login page.
        response.headers["WWW-Authenticate"] = 'Basic realm="Stable Diffusion web UI", charset="UTF-8"'
    return response


def _opens_a_page(headers: Headers) -> bool:
    mode = headers.get("sec-fetch-mode")
    return mode == "navigate" if mode else "text/html" in headers.get("accept", "")


def _decorated(send: Send, cookies: tuple[str, ...], cors: dict[str, str]) -> Send:
    started = time.perf_counter()

    async def decorated(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            headers["X-Process-Time"] = f"{time.perf_counter() - started:.4f}"
            for cookie in cookies:
                headers.append("Set-Cookie", cookie)
            headers.update(cors)
            headers.add_vary_header("Origin")
            kind = headers.get("content-type", "").partition(";")[0].strip()
            if kind in _ACTIVE:
                headers["Content-Disposition"] = "attachment"
            if kind in ("text/html", "application/json"):
                headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return decorated
