"""The access link: who has it may come in, where there are no accounts. And the QR code that brings it to a phone."""

from __future__ import annotations

import hmac
import io
import ipaddress
import secrets
import socket
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
import segno

from modules.service.accounts import hash_token
from modules.service.private_file import PrivateFile

PATH = "/access/"
_MOST_ADDRESSES = 6
# Documentation addresses: nothing is sent there, the system only says from where it would be.
_ELSEWHERE = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
_BRIDGES = ("docker", "br-", "veth", "virbr", "vmnet", "lo", "tun", "utun")


@dataclass(frozen=True)
class Place:
    """Where a server listens."""

    scheme: str
    server_name: str
    port: int

    def here(self) -> str:
        """What to type into a browser on this machine."""
        return self._url(
            {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(self.server_name, self.server_name)
        )

    def elsewhere(self) -> list[str]:
        """What to type on other devices, the most likely first; [] where they cannot reach it."""
        if self.server_name in ("0.0.0.0", "", "::"):
            both = self.server_name == "::"
            return [self._url(address) for address in own_addresses() if both or ":" not in address]
        return [] if _is_loopback(self.server_name) else [self._url(self.server_name)]

    def _url(self, name: str) -> str:
        shown = f"[{name}]" if ":" in name else name
        usual = {"http": 80, "https": 443}[self.scheme]
        return f"{self.scheme}://{shown}" + ("" if self.port == usual else f":{self.port}")


class AccessLink:
    """A random code of 256 bits, kept so that a link on the wall is good after a restart too. Safe for threads."""

    def __init__(self, path: Path) -> None:
        self._file = PrivateFile(path)
        self._lock = threading.Lock()

    @property
    def code(self) -> str:
        with self._lock:
            found = self._file.read().get("code")
            if isinstance(found, str) and len(found) >= 40:
                return found
            return self._new()

    @property
    def stamp(self) -> str:
        """Stands for the code in the sessions that it opened."""
        return hash_token(self.code)[:16]

    def path(self) -> str:
        """What the link adds to the server's address."""
        return PATH + self.code

    @property
    def place(self) -> Place | None:
        """Where the server that was started last listens, for the command that shows the link."""
        found = self._file.read().get("place")
        try:
            return Place(**found) if found else None
        except TypeError:
            return None

    def remember(self, place: Place) -> None:
        """Note where the server listens."""
        self._file.change(lambda content: {**content, "place": asdict(place)})

    def fits(self, code: str) -> bool:
        return hmac.compare_digest(hash_token(code), hash_token(self.code))

    def renew(self) -> None:
        """Another code; the old one opens nothing any more."""
        with self._lock:
            self._new()

    def _new(self) -> str:
        code = secrets.token_urlsafe(32)
        self._file.change(lambda content: {**content, "code": code})
        return code


def own_addresses() -> list[str]:
    """Addresses under which other devices reach this machine, the most likely one first."""
    likely = [address for family, there in _ELSEWHERE if (address := _source(family, there))]
    others = [
        entry.address.partition("%")[0]
        for name, entries in psutil.net_if_addrs().items()
        if not name.startswith(_BRIDGES)
        for entry in entries
        if entry.family == socket.AF_INET and not entry.address.startswith(("127.", "169.254."))
    ]
    return list(dict.fromkeys([*likely, *others]))[:_MOST_ADDRESSES]


def _source(family: socket.AddressFamily, there: str) -> str | None:
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((there, 9))
            address = probe.getsockname()[0].partition("%")[0]
    except OSError:
        return None
    return None if address.startswith(("127.", "169.254.", "::", "fe80:")) else address


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name.casefold() == "localhost"


def qr_svg(text: str) -> str:
    """A QR code as an SVG picture, dark on white with its quiet margin."""
    file = io.BytesIO()
    segno.make(text, error="m", micro=False).save(
        file, kind="svg", scale=4, border=4, light="#fff", dark="#000", xmldecl=False, nl=False
    )
    return file.getvalue().decode()


def qr_text(text: str) -> str:
    """A QR code for a terminal: block characters, white on black whatever its colours are."""
    file = io.StringIO()
    segno.make(text, error="l", micro=False).terminal(file, border=2, compact=True)
    return "\n".join(f"\x1b[97;40m{line}\x1b[0m" for line in file.getvalue().splitlines())
