"""The SQLite file behind the gallery: an index of picture files that can be made again from them.

Several processes may have it open. A file that is broken, when it is opened or later, is moved aside and begun anew;
what only it knew (whose a picture is, which are favourites) is saved from it where it can still be read.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from modules.schema.errors import UserError

log = logging.getLogger(__name__)

VERSION = 1
_BUSY_SECONDS = 10.0
_MOST_IDLE = 4
# A picture's number is the time it was made, in microseconds since the epoch: newest first is the order of the table
# itself and of every index, also of the full text. `state`: 0 is there, 1 is in the trash, 2 is no picture that can
# be read. `root` 0 is the outputs folder.
_SCHEMA = """
CREATE TABLE pictures (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    root INTEGER NOT NULL,
    folder TEXT NOT NULL,
    file TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    owner TEXT NOT NULL,
    state INTEGER NOT NULL,
    kind TEXT NOT NULL,
    model TEXT NOT NULL,
    seed TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    prompt TEXT NOT NULL,
    negative TEXT NOT NULL,
    parameters TEXT NOT NULL,
    favourite INTEGER NOT NULL DEFAULT 0,
    trashed REAL
);
CREATE UNIQUE INDEX by_place ON pictures (root, folder, file);
CREATE INDEX by_owner ON pictures (owner, state);
CREATE INDEX by_kind ON pictures (owner, state, kind);
CREATE INDEX by_model ON pictures (owner, state, model);
CREATE INDEX by_favourite ON pictures (owner, state) WHERE favourite = 1;
CREATE INDEX by_trash ON pictures (trashed) WHERE state = 1;
CREATE VIRTUAL TABLE words USING fts5 (
    prompt, negative, parameters, model,
    content = 'pictures', content_rowid = 'number', prefix = '2 3', tokenize = 'unicode61 remove_diacritics 2'
);
CREATE TRIGGER words_in AFTER INSERT ON pictures BEGIN
    INSERT INTO words (rowid, prompt, negative, parameters, model)
    VALUES (new.number, new.prompt, new.negative, new.parameters, new.model);
END;
CREATE TRIGGER words_out AFTER DELETE ON pictures BEGIN
    INSERT INTO words (words, rowid, prompt, negative, parameters, model)
    VALUES ('delete', old.number, old.prompt, old.negative, old.parameters, old.model);
END;
CREATE TRIGGER words_changed AFTER UPDATE OF prompt, negative, parameters, model ON pictures BEGIN
    INSERT INTO words (words, rowid, prompt, negative, parameters, model)
    VALUES ('delete', old.number, old.prompt, old.negative, old.parameters, old.model);
    INSERT INTO words (rowid, prompt, negative, parameters, model)
    VALUES (new.number, new.prompt, new.negative, new.parameters, new.model);
END;
"""

Row = tuple[Any, ...]


class GalleryDatabase:
    """The open index. Safe for threads; readers do not wait for a writer.

    `tell` gets a sentence for the user when a file had to be moved aside, `renewed` is called after that.
    `marks` are what could be saved from it.
    """

    def __init__(self, path: Path, tell: Callable[[str], None]) -> None:
        self._path = path
        self._tell = tell
        self._lock = threading.RLock()
        self._idle: list[sqlite3.Connection] = []
        self._in_memory = False
        self._generation = 0
        self.renewed: Callable[[], None] = lambda: None
        self.marks: dict[tuple[int, str, str], tuple[str, int]] = {}
        self._writer = self._open_or_replace()

    def read(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Rows of a query; raises UserError where the index does not answer."""
        return self._guarded(lambda: self._read(sql, values))

    def write(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        """What `work` returns, done in one transaction; raises UserError where the index cannot be written."""
        return self._guarded(lambda: self._write(work))

    def close(self) -> None:
        with self._lock:
            while self._idle:
                self._idle.pop().close()
            self._writer.close()

    # Inside

    def _read(self, sql: str, values: Sequence[Any]) -> list[Row]:
        with self._reader() as connection:
            return connection.execute(sql, values).fetchall()

    def _write(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        with self._lock:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                result = work(self._writer)
            except BaseException:
                self._writer.execute("ROLLBACK")
                raise
            self._writer.execute("COMMIT")
            return result

    def _guarded(self, work: Callable[[], Any]) -> Any:
        generation = self._generation
        try:
            return work()
        except (sqlite3.OperationalError, sqlite3.IntegrityError, sqlite3.ProgrammingError) as error:
            raise UserError(f"The gallery's index does not answer ({error}): try again in a moment.") from error
        except sqlite3.DatabaseError as error:
            self._replace(str(error), generation)
        return self._guarded(work)

    @contextlib.contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        """A connection of one's own for a moment."""
        if self._in_memory:
            with self._lock:
                yield self._writer
            return
        with self._lock:
            generation = self._generation
            connection = self._idle.pop() if self._idle else self._connect()
        try:
            yield connection
        finally:
            with self._lock:
                if generation == self._generation and len(self._idle) < _MOST_IDLE:
                    self._idle.append(connection)
                else:
                    connection.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=_BUSY_SECONDS, check_same_thread=False, isolation_level=None, cached_statements=32
        )
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    def _open_or_replace(self) -> sqlite3.Connection:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            return self._open()
        except (sqlite3.OperationalError, OSError) as error:
            return self._without_file(error)
        except sqlite3.DatabaseError as error:
            reason = str(error)
        try:
            self._move_aside(reason)
            return self._open()
        except (sqlite3.Error, OSError) as error:
            return self._without_file(error)

    def _open(self) -> sqlite3.Connection:
        """Raises sqlite3.DatabaseError for a file that is no index of ours."""
        connection = self._connect()
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            _prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _without_file(self, error: Exception) -> sqlite3.Connection:
        self._in_memory = True
        self._tell(
            f"The gallery's index {self._path} cannot be used ({error}); until the next start it is in memory."
        )
        connection = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        _prepare(connection)
        return connection

    def _replace(self, reason: str, generation: int) -> None:
        """Begin anew, unless another thread has done it since `generation`."""
        with self._lock:
            if generation != self._generation:
                return
            self._generation += 1
            while self._idle:
                self._idle.pop().close()
            self._writer.close()
            try:
                self._move_aside(reason)
                self._writer = self._open()
            except (sqlite3.Error, OSError) as error:
                self._writer = self._without_file(error)
        self.renewed()

    def _move_aside(self, reason: str) -> None:
        self.marks = _salvage(self._path)
        aside = self._path.with_suffix(f".broken-{time.strftime('%Y%m%d-%H%M%S')}")
        os.replace(self._path, aside)
        for leftover in ("-wal", "-shm"):
            Path(f"{self._path}{leftover}").unlink(missing_ok=True)
        self._tell(
            f"The gallery's index could not be read ({reason}); it was moved to {aside.name} and is made again from "
            "the pictures, which takes a while. No picture is lost."
        )
        log.warning("the gallery's index was broken (%s), it is now %s", reason, aside)


def _prepare(connection: sqlite3.Connection) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
    elif version != VERSION:
        raise sqlite3.DatabaseError(f"it is of version {version}, this program knows {VERSION}")
    try:
        connection.execute("SELECT number, trashed FROM pictures LIMIT 1").fetchone()
        connection.execute("SELECT rowid FROM words WHERE words MATCH 'a' LIMIT 1").fetchone()
    except sqlite3.OperationalError as error:
        raise sqlite3.DatabaseError(str(error)) from error


def _salvage(path: Path) -> dict[tuple[int, str, str], tuple[str, int]]:
    """Whose the pictures are and which are favourites, as far as a broken index can still be read."""
    found: dict[tuple[int, str, str], tuple[str, int]] = {}
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(path)) as connection:
        for root, folder, file, owner, favourite in connection.execute(
            "SELECT root, folder, file, owner, favourite FROM pictures"
        ):
            found[root, folder, file] = (str(owner), int(bool(favourite)))
    return found
