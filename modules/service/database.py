"""The SQLite file behind the queue: opening, its schema, and what happens when the file is broken or taken.

One process owns one file: it is locked for as long as that process lives, and the lock goes with it, even on
`kill -9`. A second server (or a command-line run) on the same data folder gets a file of its own beside it.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

VERSION = 1
_MOST_FILES = 64
_SCHEMA = """
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    name TEXT,
    request TEXT NOT NULL,
    model TEXT NOT NULL,
    save INTEGER NOT NULL,
    state TEXT NOT NULL,
    created REAL NOT NULL,
    started REAL,
    ended REAL,
    message TEXT NOT NULL DEFAULT '',
    attempts INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX jobs_by_owner ON jobs (owner, number);
CREATE INDEX jobs_by_state ON jobs (state, number);
CREATE TABLE events (
    job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    kind TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (job, number)
) WITHOUT ROWID;
CREATE TABLE pictures (
    name TEXT PRIMARY KEY,
    job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    owner TEXT NOT NULL,
    path TEXT
);
CREATE INDEX pictures_by_job ON pictures (job);
CREATE TABLE facts (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE speeds (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    what TEXT NOT NULL,
    seconds_per_unit REAL NOT NULL
);
CREATE INDEX speeds_by_what ON speeds (what, number);
"""
# Made in older files too: a table more disturbs no version of this program.
_ADDED = """
CREATE TABLE IF NOT EXISTS order_keys (
    owner TEXT NOT NULL,
    key TEXT NOT NULL,
    digest TEXT NOT NULL,
    job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    PRIMARY KEY (owner, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS order_keys_by_job ON order_keys (job);
"""


@dataclass(frozen=True)
class Database:
    """An open, locked database; `stem` names this process's slot ("jobs", "jobs-2", ...).

    `notice` is a sentence for the user when an earlier file had to be moved aside.
    """

    connection: sqlite3.Connection
    stem: str
    notice: str | None = None


def open_database(folder: Path) -> Database:
    """The first database of `folder` that no other process holds; created, or replaced when broken."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(1, _MOST_FILES):
        stem = "jobs" if number == 1 else f"jobs-{number}"
        try:
            return _open_or_replace(folder / f"{stem}.sqlite")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            log.info("%s is in use by another process", stem)
    raise sqlite3.OperationalError(f"every job database of {folder} is in use")


def _open_or_replace(path: Path) -> Database:
    try:
        return Database(_open(path), path.stem)
    except _Unusable as error:
        reason = str(error)
    aside = path.with_suffix(f".broken-{time.strftime('%Y%m%d-%H%M%S')}")
    os.replace(path, aside)
    for leftover in ("-wal", "-shm"):
        Path(f"{path}{leftover}").unlink(missing_ok=True)
    notice = (
        f"The job history could not be read ({reason}); it was moved to {aside.name} and a new one was begun, so "
        "jobs that were waiting have to be started again. Saved pictures are not affected."
    )
    log.warning(notice)
    return Database(_open(path), path.stem, notice)


class _Unusable(Exception):
    """The file is not a database of ours."""


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=0.3, check_same_thread=False)
    try:
        _prepare(connection)
    except sqlite3.OperationalError as error:
        connection.close()
        if "no such" in str(error) or "already exists" in str(error):
            raise _Unusable(str(error)) from error
        raise
    except sqlite3.DatabaseError as error:
        connection.close()
        raise _Unusable(str(error)) from error
    except _Unusable:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    """Take the lock (held until the connection closes), check the file and make the tables."""
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("COMMIT")
    answer = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if answer != "ok":
        raise _Unusable(str(answer).replace("\n", " "))
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
    elif version != VERSION:
        raise _Unusable(f"it is of version {version}, this program knows {VERSION}")
    connection.executescript(f"BEGIN; {_ADDED} COMMIT;")
