"""Files of other servers, fetched piece by piece, so that a broken transfer goes on where it ended.

What may be reached: an address in the Internet; or, where the typed address says by itself that it is of this network
(a private number, a name such as `nas.local`), that one server. Redirects lead to the Internet, or to the typed
server; never inwards, never from https to http. (RFC 9110: ranges, validators, redirects.)
"""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from urllib.parse import SplitResult, unquote, urljoin

from modules.schema.errors import BadRequest
from modules.service.guarded import (
    REDIRECTS,
    checked_url,
    connected,
    hang_up,
    is_named_local,
    origin,
    place_of,
    target_of,
)

_MOST_REDIRECTS = 6
_SECONDS = 30.0
_CHUNK = 1 << 20
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_SHA256 = re.compile(r'"?([0-9a-f]{64})"?')

Token = Callable[[SplitResult], str | None]
"""The secret that a server wants from this user, if there is one."""


class Broken(Exception):
    """The transfer ended before the file did; it may be gone on with. The message says why, in a few words."""


@dataclass(frozen=True)
class Source:
    """What is known of a file elsewhere: `validator` is its strong ETag, or its date, for asking for the rest."""

    validator: str = ""
    total: int | None = None
    sha256: str = ""
    name: str = ""


@dataclass(frozen=True)
class Reply:
    """An answer after all redirects; `told` is the sha256 that a hub said on the way."""

    answer: http.client.HTTPResponse
    wire: socket.socket
    parts: SplitResult
    told: str = ""


@contextlib.contextmanager
def asked(url: str, headers: Mapping[str, str], token: Token) -> Iterator[Reply]:
    """The answer to a GET; raises BadRequest where an address is not reached for, Broken where nobody answers."""
    typed = checked_url(url)
    inwards = is_named_local(typed)
    parts, told = typed, ""
    with contextlib.ExitStack() as stack:
        for _ in range(_MOST_REDIRECTS + 1):
            stack.close()
            reply = stack.enter_context(
                _get(parts, headers, token, inwards=inwards and origin(parts) == origin(typed))
            )
            match = _SHA256.fullmatch(reply.answer.headers.get("X-Linked-ETag", "").strip())
            told = told or (match[1] if match else "")
            onward = reply.answer.headers.get("Location", "")
            if reply.answer.status not in REDIRECTS or not onward:
                yield Reply(reply.answer, reply.wire, parts, told)
                return
            parts = _onward(parts, onward)
        raise BadRequest(f"{typed.hostname} leads on to too many other addresses.")


def _onward(parts: SplitResult, location: str) -> SplitResult:
    new = checked_url(urljoin(parts.geturl(), location))
    if parts.scheme == "https" and new.scheme != "https":
        raise BadRequest(f"{parts.hostname} leads on to an address without https, which is not followed.")
    return new


@contextlib.contextmanager
def _get(parts: SplitResult, headers: Mapping[str, str], token: Token, *, inwards: bool) -> Iterator[Reply]:
    secret = token(parts)
    sent = {"User-Agent": "webui", "Accept-Encoding": "identity", **headers}
    if secret:
        sent["Authorization"] = f"Bearer {secret}"
    with contextlib.ExitStack() as stack:
        try:
            connection = stack.enter_context(connected(place_of(parts, inwards=inwards), _SECONDS))
            wire = connection.sock  # an answer that ends with its connection takes it away from there
            connection.request("GET", target_of(parts), headers=sent)
            answer = connection.getresponse()
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            raise Broken(_reason(error)) from None
        yield Reply(answer, wire, parts)


def fetch(
    url: str,
    part: Path,
    known: Source,
    token: Token,
    *,
    learned: Callable[[Source], None],
    tell: Callable[[int], None],
    began: Callable[[Callable[[], None]], None],
) -> Source:
    """Get what is missing of a file into `part`; what is known of it then.

    `learned` hears what the server says before anything is written, and may refuse it; `tell` gets the bytes that are
    there and may raise to stop; `began` gets what ends the connection at once. Raises Broken, BadRequest, OSError.
    """
    have = part.stat().st_size if part.exists() else 0
    have = have if known.validator or known.sha256 else 0
    if have and have == known.total:
        return known
    headers = {"Range": f"bytes={have}-"} if have else {}
    if have and known.validator:
        headers["If-Range"] = known.validator
    with asked(url, headers, token) as reply:
        began(lambda: hang_up(reply.wire))
        if reply.answer.status == 416 or (reply.answer.status == 206 and not _fits(reply.answer, have, known)):
            part.unlink(missing_ok=True)
            raise Broken("the file there has changed, and is fetched anew")
        _check(reply)
        have = have if reply.answer.status == 206 else 0
        source = _source(reply, have, known)
        learned(source)
        _write(reply.answer, part, have, source, tell)
        return source


def _check(reply: Reply) -> None:
    """Raise BadRequest for an answer that is no file."""
    status, host = reply.answer.status, reply.parts.hostname
    if status in (401, 403):
        raise BadRequest(
            f"{host} wants to know who asks ({status}): accept the model's terms on its page, and give this program "
            "your token, as docs/models.md says."
        )
    if status in (408, 425, 429) or status >= 500:
        raise Broken(f"{host} answers with {status}")
    if status not in (200, 206):
        raise BadRequest(f"{host} answers with {status} instead of a file: look at the link.")
    if reply.answer.headers.get("Content-Encoding", "identity") != "identity":
        raise BadRequest(f"{host} sends the file packed, though it was asked not to.")
    if reply.answer.headers.get_content_type() in ("text/html", "application/xhtml+xml"):
        raise BadRequest(f"{host} answers with a web page, not a file: copy the link of the download itself.")


def _fits(answer: http.client.HTTPResponse, have: int, known: Source) -> bool:
    """Whether a part of a file is the part that was asked for."""
    match = _RANGE.fullmatch(answer.headers.get("Content-Range", "").strip())
    return match is not None and int(match[1]) == have and known.total in (None, int(match[3]))


def _source(reply: Reply, have: int, known: Source) -> Source:
    headers = reply.answer.headers
    etag = headers.get("ETag", "").strip()
    length = headers.get("Content-Length", "")
    return Source(
        validator=etag if etag.startswith('"') else headers.get("Last-Modified", "").strip(),
        total=have + int(length) if length.isdecimal() else known.total if have else None,
        sha256=reply.told or (known.sha256 if have else ""),
        name=known.name or _name(headers, reply.parts),
    )


def _name(headers: Message, parts: SplitResult) -> str:
    """What the server, or the address, calls the file."""
    told = headers.get_filename() if headers.get("Content-Disposition") else None
    return (told or unquote(parts.path).rpartition("/")[2])[:300]


def _write(
    answer: http.client.HTTPResponse, part: Path, have: int, source: Source, tell: Callable[[int], None]
) -> None:
    with part.open("r+b" if have else "wb") as file:
        file.seek(have)
        file.truncate()
        tell(have)
        try:
            while data := answer.read1(_CHUNK):
                file.write(data)
                have += len(data)
                tell(have)
        except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
            raise Broken(_reason(error)) from None
    if source.total is not None and have != source.total:
        raise Broken("the connection ended early")


def _reason(error: Exception) -> str:
    told = error.strerror if isinstance(error, OSError) else ""
    return (told or str(error) or type(error).__name__)[:200]
