"""Facts about files, kept on disk between starts: one SQLite file, found again by path, modification time and size.

It is only a cache. A damaged file is thrown away and built anew; where it cannot be written, facts live in memory.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import threading
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modules.schema.json_object import parse_object

_log = logging.getLogger(__name__)
_VERSION = 1


@dataclass(frozen=True)
class Stamp:
    """What must be unchanged for a fact about a file to hold still: bytes, and modification time in ns."""

    size: int
    mtime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        return cls(status.st_size, status.st_mtime_ns)


Facts = dict[str, Any]


class FileCache:
    """JSON facts of a `kind` about files. Safe for threads; several processes may share the file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._known: dict[tuple[str, bytes], tuple[Stamp, Facts]] = {}
        for kind, path, size, mtime_ns, text in self._rows():
            facts = _decode(text)
            if facts is not None:
                self._known[kind, path] = (Stamp(size, mtime_ns), facts)

    def get(self, kind: str, path: Path, stamp: Stamp) -> Facts | None:
        """The facts stored for this very state of the file, or None."""
        found = self._known.get((kind, os.fsencode(path)))
        return found[1] if found is not None and found[0] == stamp else None

    def get_listed(self, kind: str, path: Path, size: int, mtime: float) -> Facts | None:
        """The same for a file as a list says it is: `mtime` in seconds, as the lists reckon it."""
        found = self._known.get((kind, os.fsencode(path)))
        if found is None or (found[0].size, found[0].mtime_ns / 1e9) != (size, mtime):
            return None
        return found[1]

    def put(self, kind: str, facts: Iterable[tuple[Path, Stamp, Facts]]) -> None:
        """Store facts in one transaction; what the disk refuses is kept in memory."""
        rows = [(kind, os.fsencode(path), stamp, value) for path, stamp, value in facts]
        if not rows:
            return
        with self._lock:
            self._known.update({(kind, path): (stamp, value) for kind, path, stamp, value in rows})
            try:
                with closing(self._open()) as connection, connection:
                    connection.executemany(
                        "INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?, ?)",
                        [(kind, path, s.size, s.mtime_ns, json.dumps(value)) for kind, path, s, value in rows],
                    )
            except (sqlite3.Error, OSError) as error:
                _log.warning("The cache file %s could not be written (%s); going on without.", self._file, error)

    def _rows(self) -> list[tuple[str, bytes, int, int, str]]:
        try:
            with closing(self._open()) as connection:
                return connection.execute("SELECT kind, path, size, mtime_ns, facts FROM facts").fetchall()
        except (sqlite3.OperationalError, OSError) as error:
            _log.warning("The cache file %s could not be opened (%s); going on without.", self._file, error)
        except sqlite3.DatabaseError:
            self._discard()
        return []

    def _open(self) -> sqlite3.Connection:
        """A connection to a file of our layout; whatever else is there is replaced."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        try:
            connection = self._connect()
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            self._discard()
            connection = self._connect()
        return connection

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._file, timeout=10)
        try:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version != _VERSION:
                _create(connection)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _discard(self) -> None:
        _log.warning("The cache file %s was damaged and is built anew.", self._file)
        for name in (self._file.name, self._file.name + "-journal"):
            self._file.with_name(name).unlink(missing_ok=True)


def _create(connection: sqlite3.Connection) -> None:
    with connection:
        connection.execute("DROP TABLE IF EXISTS facts")
        connection.execute(
            "CREATE TABLE facts (kind TEXT, path BLOB, size INTEGER, mtime_ns INTEGER, facts TEXT, "
            "PRIMARY KEY (kind, path))"
        )
        connection.execute(f"PRAGMA user_version = {_VERSION}")


def _decode(text: object) -> Facts | None:
    return parse_object(text) if isinstance(text, str) else None
