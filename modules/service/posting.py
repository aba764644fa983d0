"""Sending a message to an address of the web that the owner has chosen: private ones too, but nowhere else.

What goes wrong is told in a sentence that names the machine alone: the rest of the address may be a secret.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from modules.schema.errors import UserError

SECONDS = 10.0
_MOST_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_LATER = frozenset({408, 425, 429})
_LONGEST_REASON = 100


class NotSent(UserError):
    """A message that did not arrive; `again`: another attempt may succeed."""

    def __init__(self, message: str, *, again: bool = False) -> None:
        super().__init__(message)
        self.again = again


def place(url: str) -> str:
    """The part of an address that may be shown: without path, name and password."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "the webhook"
    return f"{parts.scheme}://{parts.hostname or ''}{port}"


def post(url: str, body: bytes, headers: Mapping[str, str], *, seconds: float = SECONDS) -> None:
    """POST `body` to `url` and wait up to `seconds` for a 2xx answer. Raises NotSent.

    A name and a password in the address are sent as HTTP's basic authorization. Redirects are followed on the same
    machine only, and never from https to http.
    """
    until = time.monotonic() + seconds
    for _ in range(_MOST_REDIRECTS + 1):
        status, reason, onward = _told(url, body, headers, until, seconds)
        if 200 <= status < 300:
            return
        if status not in _REDIRECTS or not onward:
            raise _answered(url, status, reason)
        url = _followed(url, onward)
    raise NotSent(f"{place(url)} leads on and on: enter the address that it ends at.")


def _followed(url: str, location: str) -> str:
    """The next address; raises NotSent for another machine."""
    onward = urljoin(url, location)
    before, after = urlsplit(url), urlsplit(onward)
    kept = after.scheme == "https" or after.scheme == before.scheme
    if after.hostname != before.hostname or not kept:
        raise NotSent(
            f"{place(url)} leads on to {place(onward)}, and messages are sent only where you said: enter that "
            "address itself."
        )
    login = before.netloc.rpartition("@")[0]
    return onward if "@" in after.netloc or not login else after._replace(netloc=f"{login}@{after.netloc}").geturl()


def _told(url: str, body: bytes, headers: Mapping[str, str], until: float, seconds: float) -> tuple[int, str, str]:
    """Status, its reason, and where the answer leads on to."""
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        with _connection(parts, until) as connection:
            connection.request("POST", path, body, {"User-Agent": "webui", **_login(parts), **headers})
            answer = connection.getresponse()
            return answer.status, answer.reason, answer.headers.get("Location", "")
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        raise NotSent(_why(url, error, until, seconds), again=not isinstance(error, UnicodeError)) from None


def _login(parts: SplitResult) -> dict[str, str]:
    if parts.username is None and parts.password is None:
        return {}
    pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


@contextlib.contextmanager
def _connection(parts: SplitResult, until: float) -> Iterator[http.client.HTTPConnection]:
    """An open connection that ends with the time."""
    left = max(until - time.monotonic(), 0.1)
    host = parts.hostname or ""
    if parts.scheme == "https":
        made: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, parts.port, timeout=left, context=ssl.create_default_context()
        )
    else:
        made = http.client.HTTPConnection(host, parts.port, timeout=left)
    with contextlib.closing(made):
        made.connect()
        # A server that sends a letter now and then never runs into the time-out of a single read.
        clock = threading.Timer(max(until - time.monotonic(), 0.1), _end, (made.sock,))
        clock.daemon = True
        clock.start()
        try:
            yield made
        finally:
            clock.cancel()


def _end(wire: socket.socket) -> None:
    with contextlib.suppress(OSError):
        wire.shutdown(socket.SHUT_RDWR)


def _why(url: str, error: Exception, until: float, seconds: float) -> str:
    where = place(url)
    if isinstance(error, TimeoutError) or time.monotonic() >= until:
        return f"{where} did not answer within {seconds:.0f} s."
    if isinstance(error, socket.gaierror):
        return f"The name of {where} is not known: is it spelt right, and is this machine connected?"
    if isinstance(error, ConnectionRefusedError):
        return f"{where} refuses the connection: is the program there running?"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"The certificate of {where} is not accepted ({error.verify_message})."
    reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
    return f"{where} cannot be reached ({reason[:_LONGEST_REASON]})."


def _answered(url: str, status: int, reason: str) -> NotSent:
    words = "".join(letter for letter in reason[:_LONGEST_REASON] if letter.isprintable())
    told = f"{place(url)} answers with {status}" + (f" ({words})" if words else "")
    hints = {
        401: ": it wants a name and a password in the address, as in https://name:password@host/path.",
        403: ": it does not allow this; is the token or the topic right?",
        404: ": is the path right?",
    }
    return NotSent(told + hints.get(status, "."), again=status in _LATER or status >= 500)
