"""Who is asking: a session, an account's password or token, somebody at this machine, or nobody known.

Three ways of living, found anew at each request:
- there are accounts: everybody logs in, also at this machine;
- there are none: whoever sits at this machine is its owner, others need the access link;
- there are none, and --no-auth was typed: others come in unasked, as users.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import re
import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from http.cookies import CookieError, SimpleCookie
from typing import Literal

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from starlette.datastructures import Headers
from starlette.types import Scope

from modules.schema.errors import UserError
from modules.schema.settings import Settings
from modules.service.accounts import GUEST, Account, Role
from modules.service.people import People
from modules.service.sessions import DAYS
from modules.service.throttle import Throttle, network
from modules.web.origins import client_address, is_here, is_secure

Mode = Literal["accounts", "link", "open"]

PERSON_COOKIE = "owner"
API_PERSON = "api"
API_PATHS = ("/sdapi/", "/internal/", "/api/", "/openapi.json")

_PERSON = re.compile(r"[A-Za-z0-9_-]{32}")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{20,100}")
_YEAR = 365 * 24 * 3600
_REMEMBERED = 256
_REMEMBERED_SECONDS = 300.0
# Each check of a password takes 64 MiB and a core for a moment.
_AT_A_TIME = 2
_MOST_WAITING = 32
_LONGEST_CREDENTIALS = 2000


@dataclass(frozen=True)
class Visitor:
    """`person` owns the jobs and pictures, `name` is shown. `cookies` are Set-Cookie headers for the answer."""

    person: str
    role: Role
    name: str = ""
    session: str | None = None
    cookies: tuple[str, ...] = ()


class TooManyTries(Exception):
    """Passwords were guessed, or all try at once: nothing is listened to for so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = max(1, round(seconds + 0.5))


class Access:
    """Finds who a request is from. One for each server; its counters of failures are its own."""

    def __init__(self, people: People, settings: Settings, instance: str) -> None:
        self.people = people
        self.settings = settings
        # Browsers give the cookies of a host to each of its ports: two servers must not log each other out.
        self.cookie = f"webui_{hashlib.sha256(instance.encode()).hexdigest()[:8]}"
        self.throttle = Throttle()
        self._key = secrets.token_bytes(32)
        self._checked: OrderedDict[bytes, float] = OrderedDict()
        self._lock = threading.Lock()
        self._limiter = CapacityLimiter(_AT_A_TIME)

    @property
    def mode(self) -> Mode:
        """Raises SetupError where the accounts are there and cannot be read."""
        if self.people.accounts.exist():
            return "accounts"
        return "open" if self.settings.no_auth else "link"

    async def visitor(self, scope: Scope, headers: Headers) -> Visitor | None:
        """Who is asking; None for somebody who must log in first. Raises TooManyTries and SetupError."""
        mode = self.mode
        kind, _, credentials = headers.get("authorization", "").partition(" ")
        kind, credentials = kind.casefold(), credentials.strip()
        if mode == "accounts":
            if kind in ("basic", "bearer"):
                account = await self._by_header(kind, credentials, client_address(scope, headers))
                return _visitor(account) if account else None
            return await self._by_session(scope, headers, mode)
        if is_here(scope, headers, self.settings.server_name):
            return self._unnamed(scope, headers, "owner")
        if mode == "open":
            return self._unnamed(scope, headers, "user")
        if kind in ("basic", "bearer"):
            code = _decoded(credentials)[1] if kind == "basic" else credentials
            return Visitor(self._program(scope, headers), "user") if self.people.link.fits(code) else None
        return await self._by_session(scope, headers, mode)

    async def log_in(self, name: str, password: str, address: str) -> Account | None:
        """The account, when that is its password; counts failures. Raises TooManyTries."""
        tried = name.strip().casefold()[:100]
        wait = self.throttle.wait(address, tried)
        if wait > 0 or self._limiter.statistics().tasks_waiting >= _MOST_WAITING:
            raise TooManyTries(wait)
        account = await run_sync(self.people.accounts.check, name, password, limiter=self._limiter)
        if account is None:
            self.throttle.failed(address, tried)
        else:
            self.throttle.succeeded(address, tried)
        return account

    def session_cookie(self, token: str, scope: Scope, headers: Headers) -> str:
        """A Set-Cookie header for a session."""
        return self._cookie(self.cookie, token, DAYS * 86400, is_secure(scope, headers))

    def no_session_cookie(self, scope: Scope, headers: Headers) -> str:
        """A Set-Cookie header that takes the session's cookie away."""
        return self._cookie(self.cookie, "", 0, is_secure(scope, headers))

    def token(self, headers: Headers) -> str | None:
        """The session's token in the request's cookies."""
        value = _cookies(headers).get(self.cookie, "")
        return value if _TOKEN.fullmatch(value) else None

    # Inside

    async def _by_session(self, scope: Scope, headers: Headers, mode: Mode) -> Visitor | None:
        token = self.token(headers)
        if token is None:
            return None
        session = self.people.sessions.find(token, self.people.link.stamp if mode == "link" else None)
        if session is None:
            return None
        cookies: tuple[str, ...] = ()
        if session.should_be_renewed:
            with contextlib.suppress(UserError):  # a full disk lets it end in its time, no sooner
                await run_sync(self.people.sessions.renew, token)
                cookies = (self.session_cookie(token, scope, headers),)
        if session.person.startswith(GUEST):
            return Visitor(session.person, "user", "", token, cookies)
        account = self.people.accounts.of_person(session.person)
        return replace(_visitor(account), session=token, cookies=cookies) if account else None

    async def _by_header(self, kind: str, credentials: str, address: str) -> Account | None:
        if len(credentials) > _LONGEST_CREDENTIALS:
            return None
        if kind == "bearer":
            return self.people.accounts.by_token(credentials)
        name, password = _decoded(credentials)
        account = self.people.accounts.get(name[:100])
        known = self._digest(name, password, account.password if account else "")
        if account is not None and self._is_remembered(known):
            return account
        account = await self.log_in(name, password, address)
        if account is not None:
            self._remember(self._digest(name, password, account.password))
        return account

    def _digest(self, *texts: str) -> bytes:
        return hmac.digest(self._key, "\0".join(texts).encode("utf-8", "surrogatepass"), hashlib.sha256)

    def _is_remembered(self, digest: bytes) -> bool:
        """Whether these very credentials were right a moment ago: programs send theirs with every request."""
        with self._lock:
            return self._checked.get(digest, 0.0) > time.monotonic()

    def _remember(self, digest: bytes) -> None:
        with self._lock:
            self._checked[digest] = time.monotonic() + _REMEMBERED_SECONDS
            self._checked.move_to_end(digest)
            while len(self._checked) > _REMEMBERED:
                self._checked.popitem(last=False)

    def _unnamed(self, scope: Scope, headers: Headers, role: Role) -> Visitor:
        """Somebody without a name: a browser by its cookie; programs that keep no cookies are one person."""
        prefix = "" if role == "owner" else GUEST
        value = _cookies(headers).get(PERSON_COOKIE, "")
        if _PERSON.fullmatch(value):
            return Visitor(prefix + value, role)
        if scope["path"].startswith(API_PATHS):
            return Visitor(API_PERSON if role == "owner" else self._program(scope, headers), role)
        made = secrets.token_urlsafe(24)
        cookie = self._cookie(PERSON_COOKIE, made, _YEAR, is_secure(scope, headers))
        return Visitor(prefix + made, role, cookies=(cookie,))

    def _program(self, scope: Scope, headers: Headers) -> str:
        """Of another machine: one person for each address."""
        where = network(client_address(scope, headers))
        return f"{GUEST}{API_PERSON}-{hashlib.sha256(where.encode()).hexdigest()[:16]}"

    def _cookie(self, name: str, value: str, seconds: int, secure: bool) -> str:
        tail = "; Secure" if secure else ""
        return f"{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{tail}"


def _visitor(account: Account) -> Visitor:
    return Visitor(account.person, account.role, account.name)


def _cookies(headers: Headers) -> dict[str, str]:
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(headers.get("cookie", "")).items()}
    except CookieError:
        return {}


def _decoded(credentials: str) -> tuple[str, str]:
    """Name and password of a Basic header; ("", "") where it is malformed."""
    try:
        text = base64.b64decode(credentials, validate=True).decode()
    except (binascii.Error, ValueError):
        return "", ""
    name, _, password = text.partition(":")
    return name, password
