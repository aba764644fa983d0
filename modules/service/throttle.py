"""The brake on guessing passwords: after some failures each further one makes the next attempt wait longer.

Failures are counted by address and by name. Both are sorted into a fixed number of boxes by a secret hash, so that
memory is bounded and nobody can push another's count out; who shares a box by chance waits a little too.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

_BOXES = 4096
_FREE = 5
_FORGOTTEN = 3600.0


@dataclass
class _Box:
    failures: int = 0
    last: float = 0.0


class Throttle:
    """How long somebody has to wait before the next attempt. Safe for threads.

    By address the wait doubles from 1 s up to 15 minutes, by name up to 30 s (else anybody could lock another out;
    who has come in from an address before does not wait for what others tried under the name elsewhere). Failures
    are forgotten after an hour without one.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(16)
        self._lock = threading.Lock()
        self._addresses: dict[int, _Box] = {}
        self._names: dict[int, _Box] = {}
        self._known: dict[int, tuple[bytes, bytes]] = {}

    def wait(self, address: str, name: str) -> float:
        """Seconds until an attempt is listened to; 0 is now."""
        with self._lock:
            by_address = self._left(self._addresses, network(address), 900.0)
            by_name = 0.0 if self._has_come(address, name) else self._left(self._names, name, 30.0)
        return max(by_address, by_name)

    def failed(self, address: str, name: str) -> None:
        """Count a failure."""
        with self._lock:
            for boxes, text in ((self._addresses, network(address)), (self._names, name)):
                box = boxes.setdefault(self._number(text), _Box())
                if self._clock() - box.last > _FORGOTTEN:
                    box.failures = 0
                box.failures += 1
                box.last = self._clock()

    def succeeded(self, address: str, name: str) -> None:
        """Forget the failures of that address, and those under that name."""
        with self._lock:
            self._addresses.pop(self._number(network(address)), None)
            self._names.pop(self._number(name), None)
            pair = self._pair(address, name)
            self._known[self._number(pair[0].hex())] = pair

    def _left(self, boxes: dict[int, _Box], text: str, longest: float) -> float:
        box = boxes.get(self._number(text))
        if box is None or box.failures < _FREE:
            return 0.0
        pause = min(2.0 ** min(box.failures - _FREE, 20), longest)
        return max(box.last + pause - self._clock(), 0.0)

    def _has_come(self, address: str, name: str) -> bool:
        pair = self._pair(address, name)
        return self._known.get(self._number(pair[0].hex())) == pair

    def _pair(self, address: str, name: str) -> tuple[bytes, bytes]:
        return self._digest(f"{network(address)} {name}"), self._digest(f"{name} {network(address)}")

    def _number(self, text: str) -> int:
        return int.from_bytes(self._digest(text)[:4]) % _BOXES

    def _digest(self, text: str) -> bytes:
        return hmac.digest(self._key, text.encode("utf-8", "surrogatepass"), hashlib.sha256)[:16]


def network(address: str) -> str:
    """What one household or attacker has of an address: IPv6 by its first 64 bits."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
