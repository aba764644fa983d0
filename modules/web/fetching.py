"""Pictures that a request names by their address, where the settings allow it: fetched without ever reaching inwards.

How that is made sure is in `modules/service/guarded.py`.
"""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from collections.abc import Iterator
from urllib.parse import urljoin

from modules.schema.errors import BadRequest
from modules.service.guarded import (
    REDIRECTS,
    Place,
    checked_url,
    connected,
    hang_up,
    place_of,
    shown,
    target_of,
)

MOST_BYTES = 32 << 20
_SECONDS = 20.0
_MOST_REDIRECTS = 3
_CHUNK = 64 << 10


def fetch_picture(url: str) -> bytes:
    """What is at a public address, of at most `MOST_BYTES`. Raises BadRequest with the reason."""
    until = time.monotonic() + _SECONDS
    try:
        for _ in range(_MOST_REDIRECTS + 1):
            found = _get(url, until)
            if isinstance(found, bytes):
                return found
            url = urljoin(url, found)
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        reason = str(error) or type(error).__name__
        raise BadRequest(f"The picture could not be fetched from {shown(url)} ({reason[:200]}).") from None
    raise BadRequest(f"{shown(url)} leads on to too many other addresses.")


def _get(url: str, until: float) -> bytes | str:
    """The body, or the address that the answer leads on to."""
    parts = checked_url(url)
    with _connection(place_of(parts), until) as connection:
        connection.request("GET", target_of(parts), headers={"User-Agent": "webui", "Accept": "image/*"})
        answer = connection.getresponse()
        onward = answer.headers.get("Location", "")
        if answer.status in REDIRECTS and onward:
            return onward
        if answer.status != 200:
            raise BadRequest(f"{shown(url)} answers with {answer.status} instead of a picture.")
        return _body(answer, url, until)


def _body(answer: http.client.HTTPResponse, url: str, until: float) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := answer.read1(_CHUNK):
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES:
            raise BadRequest(f"What is at {shown(url)} is larger than {MOST_BYTES >> 20} MiB.")
        if time.monotonic() > until:
            raise BadRequest(f"{shown(url)} takes too long to answer.")
    return b"".join(parts)


@contextlib.contextmanager
def _connection(place: Place, until: float) -> Iterator[http.client.HTTPConnection]:
    """A connection that ends with the time."""
    left = max(until - time.monotonic(), 0.1)
    with connected(place, left) as made:
        # A server that sends a letter now and then never runs into the time-out of a single read.
        clock = threading.Timer(left, hang_up, (made.sock,))
        clock.daemon = True
        clock.start()
        try:
            yield made
        finally:
            clock.cancel()
