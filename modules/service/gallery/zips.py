"""Many pictures as one zip that is made while it is sent: nothing of it is ever whole in memory or on the disk."""

from __future__ import annotations

import io
import secrets
import threading
import time
import zipfile
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath

from modules.schema.errors import NotFound

_CHUNK = 1 << 18
_MOST_ORDERS = 200
_ORDER_SECONDS = 600.0


class _Sink(io.RawIOBase):
    """A file that only grows; what was written is taken out of it."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        part = bytes(data)  # type: ignore[call-overload]
        self._parts.append(part)
        return len(part)

    def take(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def zipped(files: Iterable[tuple[str, Path]]) -> Iterator[bytes]:
    """The zip of files by their names, part by part; one that is not there any more is left out.

    Pictures are compressed already, so they are stored as they are. Equal names get a number.
    """
    sink = _Sink()
    taken: set[str] = set()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, path in files:
            try:
                source = path.open("rb")
            except OSError:
                continue
            with source, archive.open(_unique(name, taken), "w", force_zip64=True) as target:
                while data := source.read(_CHUNK):
                    target.write(data)
                    yield sink.take()
            yield sink.take()
    yield sink.take()


def _unique(name: str, taken: set[str]) -> str:
    path, number, unique = PurePath(name), 1, name
    while unique.casefold() in taken:
        number += 1
        unique = f"{path.stem}-{number}{path.suffix}"
    taken.add(unique.casefold())
    return unique


class ZipOrders:
    """What is to be sent as a zip, under a name that only who ordered it knows: a browser saves what it GETs.

    The newest are kept, for some minutes. Safe for threads.
    """

    def __init__(self) -> None:
        self._orders: OrderedDict[str, tuple[float, list[tuple[str, Path]]]] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, files: list[tuple[str, Path]]) -> str:
        name = secrets.token_urlsafe(24)
        with self._lock:
            self._orders[name] = (time.monotonic(), files)
            while len(self._orders) > _MOST_ORDERS:
                self._orders.popitem(last=False)
        return name

    def get(self, name: str) -> list[tuple[str, Path]]:
        """Raises NotFound."""
        with self._lock:
            ordered, files = self._orders.get(name, (0.0, []))
        if not files or time.monotonic() - ordered > _ORDER_SECONDS:
            raise NotFound("That download is too old: choose the pictures again.")
        return files
