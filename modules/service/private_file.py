"""A small JSON file that only this user of the machine may read: accounts, sessions, the access link.

Several processes may use one file (the server and the command line): what another one wrote is seen at the next
reading, and changes are made one after another.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modules.catalog.writing import replacing
from modules.schema.errors import SetupError, UserError

Content = dict[str, Any]

_PRIVATE = 0o600
_LOCK_SECONDS = 10.0
# Longer than any change takes: who made such a lock has died.
_STALE_SECONDS = 30.0


class PrivateFile:
    """The JSON object in `path`, {} while there is no such file. Safe for threads; what `read` gives is not to be
    changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._stamp: tuple[int, ...] | None = None
        self._content: Content = {}

    def read(self) -> Content:
        """What is in the file now. Raises SetupError for one that cannot be read."""
        try:
            facts = self.path.stat()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise self._unreadable(str(error.strerror)) from error
        stamp = (facts.st_mtime_ns, facts.st_size, facts.st_ino)
        with self._lock:
            if stamp != self._stamp:
                self._content = self._load()
                self._stamp = stamp
            return self._content

    def change(self, how: Callable[[Content], Content]) -> None:
        """Write what `how` makes of the content. Raises what `how` raises, SetupError, or UserError where the disk
        refuses; the file is as it was then."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._lock, self._alone():
                self._stamp = None
                data = json.dumps(how(self.read()), indent=1, ensure_ascii=False).encode()
                with replacing(self.path) as draft:
                    _write_private(draft, data)
                self._stamp = None  # two writes may have one time
        except OSError as error:
            raise UserError(f"{self.path} cannot be written ({error.strerror}): make that possible first.") from error

    def _load(self) -> Content:
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise self._unreadable(str(error.strerror)) from error
        except ValueError:
            content = None
        if not isinstance(content, dict):
            raise self._unreadable("it is not JSON")
        return content

    def _unreadable(self, why: str) -> SetupError:
        return SetupError(f"{self.path} cannot be read ({why}): mend it, or move it away and begin a new one.")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keeps other processes from changing the file meanwhile."""
        lock = self.path.with_name(f".{self.path.name}.lock")
        end = time.monotonic() + _LOCK_SECONDS
        while not _taken(lock):
            if time.monotonic() > end:
                raise UserError(f"{self.path} is being changed by another command; try again.")
            time.sleep(0.02)
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def _taken(lock: Path) -> bool:
    try:
        os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _PRIVATE))
    except FileExistsError:
        if _age(lock) > _STALE_SECONDS:
            lock.unlink(missing_ok=True)
        return False
    return True


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0


def _write_private(path: Path, data: bytes) -> None:
    """A new file that nobody else can read at any moment."""
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _PRIVATE), "wb") as file:
        file.write(data)
