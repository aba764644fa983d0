"""A lock for each name, there only while somebody holds or wants it."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager


class KeyedLocks:
    """Callers of one name go one after another, callers of different names do not wait for each other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[Hashable, tuple[threading.Lock, int]] = {}

    @contextmanager
    def of(self, name: Hashable) -> Iterator[None]:
        """Hold the lock of `name`."""
        with self._lock:
            lock, count = self._held.get(name, (threading.Lock(), 0))
            self._held[name] = (lock, count + 1)
        try:
            with lock:
                yield
        finally:
            with self._lock:
                count = self._held[name][1] - 1
                if count:
                    self._held[name] = (lock, count)
                else:
                    del self._held[name]

    def __len__(self) -> int:
        return len(self._held)
