"""Connections to addresses that somebody names, which never reach inwards unasked.

A name is resolved once, all its addresses must be public, and the connection goes to the address that was checked:
what a name server says a moment later does not matter. Each redirect is checked like the first address.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from modules.schema.errors import BadRequest

REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PORTS = {"http": 80, "https": 443}
_LOCAL_NAMES = (".local", ".lan", ".home.arpa", ".internal", ".localhost")
# Addresses of the old Internet inside those of the new one.
_CARRIERS = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class Place:
    """Where to connect: a checked address, and the name that is asked for there."""

    address: str
    port: int
    host: str
    secure: bool


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


def checked_url(url: str) -> SplitResult:
    """The parts of an http or https address; raises BadRequest for anything else."""
    try:
        parts = urlsplit(url)
        port_is_right = parts.port != 0
    except ValueError:
        raise BadRequest(f"{shown(url)} is not an address.") from None
    plain = not any(letter <= " " or letter == "\x7f" for letter in url)
    if parts.scheme not in _PORTS or not parts.hostname or not port_is_right or not plain:
        raise BadRequest(f"{shown(url)} is not an address of the web (http or https).")
    if parts.username is not None or parts.password is not None:
        raise BadRequest("An address with a name or a password in it is not used.")
    return parts


def origin(parts: SplitResult) -> tuple[str, str, int]:
    """Scheme, host and port: whose server an address is."""
    return parts.scheme, parts.hostname or "", parts.port or _PORTS[parts.scheme]


def is_named_local(parts: SplitResult) -> bool:
    """Whether an address says by itself that it is of this network: a private number, or a name such as `nas.local`.

    Addresses that machines give themselves without a network (169.254..., where clouds keep secrets) are not.
    """
    host = parts.hostname or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith(_LOCAL_NAMES)
    odd = address.is_link_local or address.is_unspecified or address.is_reserved
    return address.is_loopback or (address.is_private and not odd)


def place_of(parts: SplitResult, *, inwards: bool = False) -> Place:
    """The first address of a host; all of its addresses must be public, but for `inwards`.

    Raises OSError, or BadRequest.
    """
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    addresses = [ipaddress.ip_address(address.partition("%")[0]) for address in found]
    if not addresses or not (inwards or all(is_public(address) for address in addresses)):
        raise BadRequest(f"{host!r} is a machine of this network: only what is in the Internet is fetched.")
    return Place(str(addresses[0]), port, host, parts.scheme == "https")


@contextlib.contextmanager
def connected(place: Place, seconds: float) -> Iterator[http.client.HTTPConnection]:
    """A connection to the checked address; certificates are checked for the name. No single wait is longer than
    `seconds`. Raises OSError."""
    made = http.client.HTTPConnection(place.host, place.port, timeout=seconds)
    plain = socket.create_connection((place.address, place.port), timeout=seconds)
    with contextlib.closing(_secured(plain, place.host) if place.secure else plain) as wire:
        made.sock = wire
        yield made


def target_of(parts: SplitResult) -> str:
    """What is asked for at the host."""
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def hang_up(wire: socket.socket) -> None:
    """End a connection that another thread may be reading from."""
    with contextlib.suppress(OSError):
        wire.shutdown(socket.SHUT_RDWR)


def shown(url: str) -> str:
    """An address in a sentence: in quotes, and not too long."""
    return repr(url if len(url) <= 100 else f"{url[:97]}...")


def _secured(plain: socket.socket, host: str) -> ssl.SSLSocket:
    try:
        return ssl.create_default_context().wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise
