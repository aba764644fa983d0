"""Which names this server answers to, and whose scripts may call it.

Two ways in which a page of another site could use a visitor's browser are closed here. A name that is made to point
at this machine (DNS rebinding) fails the Host check. What another site sends, embeds or streams fails the Origin
check, unless its origin was named by --cors-allow-origins; a plain link to here is followed.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

from modules.schema.errors import SetupError
from modules.schema.settings import Settings

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
# Endings that nobody can register: names of a local network only.
_LOCAL_ENDINGS = (".local", ".localhost", ".lan", ".home", ".home.arpa", ".internal", ".localdomain", ".fritz.box")
_HOST = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]{2,45})\]|(?P<name>[A-Za-z0-9._-]{1,253}))(?::[0-9]{0,5})?")
_PREFLIGHT_SECONDS = 600
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via", "cf-connecting-ip")


class Origins:
    """The rules of one server, from its settings. Raises SetupError for origins that cannot be meant."""

    def __init__(self, settings: Settings) -> None:
        self._server = settings.server_name.casefold()
        self._listed = frozenset(_words(settings.allowed_hosts))
        self._cors = frozenset(word.rstrip("/") for word in _words(settings.cors_allow_origins))
        self._pattern = _compiled(settings.cors_allow_origins_regex)
        if "*" in self._cors:
            raise SetupError(
                "--cors-allow-origins cannot be *: every page that somebody opens could use this server in their "
                "name; list the origins, such as https://example.org."
            )

    def answers_to(self, host: str) -> bool:
        """Whether a Host header names this server."""
        name = hostname(host)
        if not name:
            return False
        if name in LOOPBACK_NAMES or name == self._server or name in self._listed:
            return True
        return is_wildcard(self._server) and _is_of_the_network(name)

    def is_listed(self, origin: str | None) -> bool:
        """Whether --cors-allow-origins names that origin."""
        if not origin or origin == "null":
            return False
        found = self._pattern.fullmatch(origin) if self._pattern else None
        return origin.casefold() in self._cors or found is not None

    def is_foreign(self, scope: Scope, headers: Headers) -> bool:
        """Whether another site's page sends this, embeds it or reads along."""
        origin = headers.get("origin")
        if origin is not None:
            same = urlsplit(origin).netloc.casefold() == headers.get("host", "").casefold() != ""
            return not same and not self.is_listed(origin)
        if headers.get("sec-fetch-site") not in ("cross-site", "same-site"):
            return False
        is_link = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
        return not (is_link and headers.get("sec-fetch-dest", "document") == "document" and _navigates(headers))

    def cors(self, headers: Headers) -> dict[str, str]:
        """Headers for an answer to a listed origin; none for others."""
        origin = headers.get("origin")
        if origin is None or not self.is_listed(origin):
            return {}
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Credentials": "true",
            "Access-Control-Expose-Headers": "X-Process-Time, Content-Disposition",
        }

    def preflight(self, scope: Scope, headers: Headers) -> dict[str, str] | None:
        """The answer to a browser that asks whether a listed origin may; None for any other request."""
        wanted = headers.get("access-control-request-method")
        allowed = self.cors(headers)
        if scope["type"] != "http" or scope["method"] != "OPTIONS" or wanted is None or not allowed:
            return None
        return {
            **allowed,
            "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
            "Access-Control-Allow-Headers": headers.get("access-control-request-headers", ""),
            "Access-Control-Max-Age": str(_PREFLIGHT_SECONDS),
        }


def is_here(scope: Scope, headers: Headers, server_name: str) -> bool:
    """Whether the request comes from this very machine, opened under its own name, with nobody in between.

    A proxy or tunnel on this machine says so in a header: what it hands on is from elsewhere.
    """
    client, server = scope.get("client"), scope.get("server")
    address = client[0] if client else None
    # Where only one address of the network is listened on, the machine itself comes from that address too.
    own = {address} if server and address == server[0] and not is_wildcard(server_name) else set()
    near = is_loopback(address) or is_loopback(server_name) or bool(own)
    named = hostname(headers.get("host", "")) in LOOPBACK_NAMES | {server_name.casefold()} | own
    return near and named and not any(name in headers for name in _FORWARDED)


def client_address(scope: Scope, headers: Headers) -> str:
    """The address that sends the request; of what a proxy on this machine hands on, the one that it names."""
    client = scope.get("client")
    address = client[0] if client else ""
    if is_loopback(address):
        return headers.get("x-forwarded-for", "").rpartition(",")[2].strip()[:64] or address
    return address


def is_secure(scope: Scope, headers: Headers) -> bool:
    """Whether the browser speaks TLS, to us or to a proxy on this machine."""
    if scope.get("scheme") in ("https", "wss"):
        return True
    client = scope.get("client")
    return is_loopback(client[0] if client else None) and headers.get("x-forwarded-proto", "") == "https"


def hostname(host: str) -> str:
    """The name in a Host header, without port and brackets, in lower case; empty when malformed."""
    match = _HOST.fullmatch(host)
    return (match["v6"] or match["name"]).casefold().removesuffix(".") if match else ""


def is_wildcard(server_name: str) -> bool:
    return server_name in ("", "0.0.0.0", "::")


def is_loopback(address: str | None) -> bool:
    """Whether `address` (of a client or of the server) is this very machine."""
    if address is None:
        return False
    if address.casefold() == "localhost":
        return True
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return (mapped or parsed).is_loopback


def _is_of_the_network(name: str) -> bool:
    """An address, or a name that cannot be somebody's domain."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        own = socket.gethostname().casefold()
        return "." not in name or name.endswith(_LOCAL_ENDINGS) or ("." in own and name == own)
    return True


def _navigates(headers: Headers) -> bool:
    return headers.get("sec-fetch-mode", "navigate") == "navigate"


def _words(text: str) -> list[str]:
    return [word.strip().casefold() for word in text.split(",") if word.strip()]


def _compiled(pattern: str) -> re.Pattern[str] | None:
    if not pattern:
        return None
    try:
        return re.compile(pattern)
    except re.error as error:
        raise SetupError(f"--cors-allow-origins-regex is no regular expression ({error}).") from None
