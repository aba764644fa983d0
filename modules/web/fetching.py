"""Pictures that a request names by their address, where the settings allow it: fetched without ever reaching inwards.

A name is resolved once, all its addresses must be public, and the connection goes to the address that was checked:
what a name server says a moment later does not matter. Each redirect is checked like the first address.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

from modules.schema.errors import BadRequest

MOST_BYTES = 32 << 20
_SECONDS = 20.0
_MOST_REDIRECTS = 3
_CHUNK = 64 << 10
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PORTS = {"http": 80, "https": 443}
# Addresses of the old Internet inside those of the new one.
_CARRIERS = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class _Place:
    """Where to connect: a checked address, and the name that is asked for there."""

    address: str
    port: int
    host: str
    secure: bool


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
        raise BadRequest(f"The picture could not be fetched from {_shown(url)} ({reason[:200]}).") from None
    raise BadRequest(f"{_shown(url)} leads on to too many other addresses.")


def is_public(address: Address) -> bool:
    """Whether an address is of the Internet: no machine of this network, however it is written."""
    inner = _inner(address)
    if inner is not None:
        return is_public(inner)
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _inner(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 one carries, as it is translated or tunnelled somewhere."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if any(address in carrier for carrier in _CARRIERS):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)


def _get(url: str, until: float) -> bytes | str:
    """The body, or the address that the answer leads on to."""
    parts = _checked(url)
    place = _place(parts)
    with _connection(place, until) as connection:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", path, headers={"User-Agent": "webui", "Accept": "image/*"})
        answer = connection.getresponse()
        onward = answer.headers.get("Location", "")
        if answer.status in _REDIRECTS and onward:
            return onward
        if answer.status != 200:
            raise BadRequest(f"{_shown(url)} answers with {answer.status} instead of a picture.")
        return _body(answer, url, until)


def _body(answer: http.client.HTTPResponse, url: str, until: float) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := answer.read1(_CHUNK):
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES:
            raise BadRequest(f"What is at {_shown(url)} is larger than {MOST_BYTES >> 20} MiB.")
        if time.monotonic() > until:
            raise BadRequest(f"{_shown(url)} takes too long to answer.")
    return b"".join(parts)


def _checked(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port_is_right = parts.port != 0
    except ValueError:
        raise BadRequest(f"{_shown(url)} is not an address.") from None
    plain = not any(letter <= " " or letter == "\x7f" for letter in url)
    if parts.scheme not in _PORTS or not parts.hostname or not port_is_right or not plain:
        raise BadRequest(f"{_shown(url)} is not an address of the web (http or https).")
    if parts.username is not None or parts.password is not None:
        raise BadRequest("An address with a name or a password in it is not used.")
    return parts


def _place(parts: SplitResult) -> _Place:
    """The first address of a host all of whose addresses are public."""
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    addresses = [ipaddress.ip_address(address.partition("%")[0]) for address in found]
    if not addresses or not all(is_public(address) for address in addresses):
        raise BadRequest(f"{host!r} is a machine of this network: pictures are fetched from the Internet only.")
    return _Place(str(addresses[0]), port, host, parts.scheme == "https")


@contextlib.contextmanager
def _connection(place: _Place, until: float) -> Iterator[http.client.HTTPConnection]:
    """A connection to the checked address, which ends with the time; certificates are checked for the name."""
    left = max(until - time.monotonic(), 0.1)
    made = http.client.HTTPConnection(place.host, place.port, timeout=left)
    plain = socket.create_connection((place.address, place.port), timeout=left)
    with contextlib.closing(_secured(plain, place.host) if place.secure else plain) as wire:
        made.sock = wire
        # A server that sends a letter now and then never runs into the time-out of a single read.
        clock = threading.Timer(left, _end, (wire,))
        clock.daemon = True
        clock.start()
        try:
            yield made
        finally:
            clock.cancel()


def _secured(plain: socket.socket, host: str) -> ssl.SSLSocket:
    try:
        return ssl.create_default_context().wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise


def _end(wire: socket.socket) -> None:
    with contextlib.suppress(OSError):
        wire.shutdown(socket.SHUT_RDWR)


def _shown(url: str) -> str:
    return repr(url if len(url) <= 100 else f"{url[:97]}...")
