"""The only pages that are there for somebody unknown: the login, logging out, and the access link.

They are answered by the gate itself, so that no path that looks like theirs leads further in.
"""

from __future__ import annotations

import re
import secrets
from html import escape
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from modules.service.access_link import PATH
from modules.service.languages import Languages, language_of
from modules.web.access import Access, TooManyTries
from modules.web.origins import client_address, is_here

_PAGE = Path(__file__).with_name("static") / "login.html"
_LINK = re.compile(re.escape(PATH) + r"[A-Za-z0-9_-]{1,100}/?")
_LARGEST_FORM = 16 << 10
_LONGEST_NEXT = 1000
_UNSAFE = re.compile(r"[\x00-\x20\x7f-\x9f\\]")


class Entrance:
    """ASGI application of `/login`, `/logout` and `/access/CODE`."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._page = _PAGE.read_text(encoding="utf-8")
        self._languages = Languages()

    def has(self, path: str) -> bool:
        return path in ("/login", "/logout") or _LINK.fullmatch(path) is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        response = await self._answer(request)
        response.headers["Cache-Control"] = "no-store"
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        path = request.url.path
        if path == "/logout":
            return await self._log_out(request) if request.method == "POST" else _not_allowed("POST")
        if path == "/login":
            if request.method in ("GET", "HEAD"):
                return await self._show(request)
            return await self._log_in(request) if request.method == "POST" else _not_allowed("GET, HEAD, POST")
        if request.method not in ("GET", "HEAD"):
            return _not_allowed("GET, HEAD")
        code = path.removeprefix(PATH).rstrip("/")
        return await self._come_in(request, code, "/") or self._form(
            request, "/", "This link is not good any more.", status=401
        )

    async def _show(self, request: Request) -> Response:
        """The page; who has come in already is led on."""
        wanted = safe_next(request.query_params.get("next", ""))
        try:
            visitor = await self._access.visitor(request.scope, request.headers)
        except TooManyTries:
            visitor = None
        return self._form(request, wanted) if visitor is None else RedirectResponse(wanted, 303)

    async def _log_in(self, request: Request) -> Response:
        fields = await _fields(request)
        if fields is None:
            return Response("This form is too long.", 413, media_type="text/plain")
        wanted = safe_next(fields.get("next", ""))
        if self._access.mode != "accounts":
            code = fields.get("code", "").strip().rstrip("/").rpartition("/")[2]
            entered = await self._come_in(request, code, wanted)
            return entered or self._form(request, wanted, "That is not the access link.", status=401)
        name, password = fields.get("name", ""), fields.get("password", "")
        try:
            account = await self._access.log_in(name, password, client_address(request.scope, request.headers))
        except TooManyTries as tries:
            said = self._said(request, "There were too many wrong tries. Wait {n} s.", n=tries.seconds)
            answer = self._form(request, wanted, said, name, 429)
            answer.headers["Retry-After"] = str(tries.seconds)
            return answer
        if account is None:
            return self._form(request, wanted, "The name or the password is wrong.", name, 401)
        return await self._enter(request, await run_in_threadpool(self._access.people.sessions.open, account), wanted)

    async def _come_in(self, request: Request, code: str, wanted: str) -> Response | None:
        """By the access link; None where the code does not fit."""
        people = self._access.people
        if self._access.mode != "link" or not people.link.fits(code):
            return None
        if is_here(request.scope, request.headers, self._access.settings.server_name):
            return RedirectResponse(wanted, 303)  # the owner needs no link, and is no guest
        token = self._access.token(request.headers)
        if token is not None and people.sessions.find(token, people.link.stamp) is not None:
            return RedirectResponse(wanted, 303)
        made = await run_in_threadpool(people.sessions.open_guest, people.link.stamp)
        return await self._enter(request, made, wanted)

    async def _enter(self, request: Request, token: str, wanted: str) -> Response:
        """A new session takes the place of the browser's old one."""
        old = self._access.token(request.headers)
        if old is not None:
            await run_in_threadpool(self._access.people.sessions.close, old)
        cookie = self._access.session_cookie(token, request.scope, request.headers)
        return RedirectResponse(wanted, 303, {"Set-Cookie": cookie})

    async def _log_out(self, request: Request) -> Response:
        token = self._access.token(request.headers)
        if token is not None:
            await run_in_threadpool(self._access.people.sessions.close, token)
        cookie = self._access.no_session_cookie(request.scope, request.headers)
        return RedirectResponse("/login", 303, {"Set-Cookie": cookie})

    def _language(self, request: Request) -> str:
        """Nobody is known here: everybody's language, or their browser's."""
        return language_of(self._access.settings.language, request.headers.get("accept-language", ""))

    def _said(self, request: Request, text: str, **values: object) -> str:
        return self._languages.say(self._language(request), text, **values)

    def _form(
        self, request: Request, wanted: str, problem: str = "", name: str = "", status: int = 200
    ) -> HTMLResponse:
        """The page itself: no script but the one that knows the colours, and nothing from anywhere else."""
        nonce = secrets.token_urlsafe(16)
        page = self._languages.page(self._page, self._language(request))
        mode = self._access.mode
        values = {
            "NONCE": nonce,
            "MODE": "accounts" if mode == "accounts" else "link",
            "THEME": self._access.settings.theme,
            "NEXT": wanted,
            "NAME": name[:100],
            "PROBLEM": self._said(request, problem),
            "FOCUS_NAME": "autofocus" if mode == "accounts" and not name else "",
            "FOCUS_PASSWORD": "autofocus" if mode == "accounts" and name else "",
            "FOCUS_CODE": "" if mode == "accounts" else "autofocus",
        }
        text = re.sub(r"\{\{([A-Z_]+)\}\}", lambda match: escape(values[match[1]]), page)
        policy = (
            f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; img-src data:; "
            "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
        return HTMLResponse(text, status, {"Content-Security-Policy": policy, "X-Frame-Options": "DENY"})


def safe_next(wanted: str) -> str:
    """Where to go on to: a path of this server, "/" for anything else."""
    if not wanted.startswith("/") or len(wanted) > _LONGEST_NEXT or _UNSAFE.search(wanted):
        return "/"
    try:
        parts = urlsplit(wanted)
    except ValueError:
        return "/"
    if wanted.startswith("//") or parts.scheme or parts.netloc or parts.path.startswith(("/login", "/logout", PATH)):
        return "/"
    return quote(wanted, safe="/?&=%:;,+@!$'()*~-._[]")


async def _fields(request: Request) -> dict[str, str] | None:
    """The fields of a form; None where it is longer than a login's can be."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LARGEST_FORM:
            return None
    try:
        found = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=10)
    except ValueError:
        return None
    return {name: values[-1] for name, values in found.items()}


def _not_allowed(methods: str) -> Response:
    return Response("This cannot be done here.", 405, {"Allow": methods}, media_type="text/plain")
