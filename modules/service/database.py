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

VERSION = 2
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
    attempts INTEGER NOT NULL DEFAULT 0,
    training INTEGER NOT NULL DEFAULT 0,
    what TEXT NOT NULL DEFAULT '',
    units REAL NOT NULL DEFAULT 0,
    cost REAL NOT NULL DEFAULT 0,
    tag REAL NOT NULL DEFAULT 0
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
# The turns (see turns.py): the order of waiting jobs, and what each person has had.
_TURNS = """
CREATE INDEX jobs_in_line ON jobs (training, tag, number) WHERE state = 'waiting';
CREATE INDEX jobs_in_own_line ON jobs (training, owner, tag, number) WHERE state = 'waiting';
CREATE TABLE turns (
    training INTEGER NOT NULL,
    owner TEXT NOT NULL,
    ends REAL NOT NULL,
    PRIMARY KEY (training, owner)
) WITHOUT ROWID;
CREATE TABLE clocks (training INTEGER PRIMARY KEY, now REAL NOT NULL);
"""
# What brings a file of version N to N + 1. Jobs that wait then keep the order of their coming.
_UPGRADES: dict[int, str] = {
    1: f"""
ALTER TABLE jobs ADD COLUMN training INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN what TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN units REAL NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN cost REAL NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN tag REAL NOT NULL DEFAULT 0;
UPDATE jobs SET training = json_extract(request, '$.kind') IS 'training', cost = 1 WHERE json_valid(request);
UPDATE jobs SET tag = number - (SELECT min(number) FROM jobs WHERE state = 'waiting') WHERE state = 'waiting';
{_TURNS}
INSERT INTO turns SELECT training, owner, max(tag) + 1 FROM jobs WHERE state = 'waiting' GROUP BY training, owner;
""",
}
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
        connection.executescript(f"BEGIN; {_SCHEMA} {_TURNS} PRAGMA user_version = {VERSION}; COMMIT;")
        version = VERSION
    while version in _UPGRADES:
        upgrade, version = _UPGRADES[version], version + 1
        connection.executescript(f"BEGIN; {upgrade} PRAGMA user_version = {version}; COMMIT;")
    if version != VERSION:
        raise _Unusable(f"it is of version {version}, this program knows {VERSION}")
    connection.executescript(f"BEGIN; {_ADDED} COMMIT;")
