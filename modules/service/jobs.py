"""The jobs: who asked for what, in which state it is, and what it said. Kept in SQLite, so a restart forgets nothing.

All methods may be called from any thread; one lock makes the connection one writer.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import ValidationError

from modules.schema.engine import ModelRef
from modules.schema.errors import KeyTaken, NotFound
from modules.schema.events import Event, ImageSaved, from_json, to_json
from modules.schema.orders import ORDER, AnyOrder
from modules.schema.request import GenerationRequest
from modules.schema.scripts import ScriptRequest
from modules.schema.training import TrainingRequest
from modules.service.database import open_database

State = Literal["waiting", "running", "done", "failed", "interrupted", "cancelled", "paused"]
STATES: tuple[State, ...] = get_args(State)
OPEN_STATES: tuple[State, ...] = ("waiting", "running")

log = logging.getLogger(__name__)

# Trainings have a queue of their own.
_TRAINING = "(json_extract(request, '$.kind') IS 'training')"
_COLUMNS = "id, owner, name, request, model, save, state, created, started, ended, message, attempts, number"


@dataclass(frozen=True)
class Job:
    """One order: a resolved request of an owner. Times are seconds since the epoch.

    `name`: what the caller calls it (an API's task id), if anything. `save`: whether its pictures go to the outputs
    folder; `lossless`: that more is made of them, so that they must not lose by their format. `position`: 0 while it
    runs, 1 for the next one, ...; None once it has ended.
    """

    id: str
    owner: str
    request: AnyOrder
    model: ModelRef
    state: State = "waiting"
    created: float = 0.0
    started: float | None = None
    ended: float | None = None
    message: str = ""
    name: str | None = None
    save: bool = True
    lossless: bool = False
    attempts: int = 0
    images: list[ImageSaved] = field(default_factory=list)
    position: int | None = None

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STATES

    @property
    def is_training(self) -> bool:
        return isinstance(self.request, TrainingRequest)

    @property
    def drawing(self) -> GenerationRequest | None:
        """The request that is drawn, or that a script's cells vary; None for work on finished pictures or models."""
        if isinstance(self.request, ScriptRequest):
            return self.request.base
        return self.request if isinstance(self.request, GenerationRequest) else None


@dataclass(frozen=True)
class OrderKey:
    """What a caller calls an order, so that sending it again makes no second job; `digest` is of the order's text."""

    name: str
    digest: str


class Jobs:
    """The table of jobs, their stored events, their pictures' addresses, and a few remembered facts."""

    def __init__(self, folder: Path) -> None:
        database = open_database(folder)
        self._db = database.connection
        self._lock = threading.RLock()
        self.slot = database.stem
        self.notice = database.notice

    def close(self) -> None:
        with self._lock:
            self._db.close()

    # Jobs

    def add(
        self,
        request: AnyOrder,
        model: ModelRef,
        owner: str,
        *,
        save: bool = True,
        name: str | None = None,
        key: OrderKey | None = None,
    ) -> Job:
        """A new waiting job at the end of the queue; its `key`, if it has one, is kept as long as the job is."""
        job_id = uuid.uuid4().hex
        values = (job_id, owner, name, request.model_dump_json(), model.model_dump_json(), save, time.time())
        with self._lock, self._db:
            self._db.execute(
                "INSERT INTO jobs (id, owner, name, request, model, save, created, state) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, 'waiting')",
                values,
            )
            if key is not None:
                self._db.execute("INSERT INTO order_keys (owner, key, digest, job) VALUES (?, ?, ?, ?)",
                                 (owner, key.name, key.digest, job_id))  # fmt: skip
        return self.get(job_id)

    def ordered(self, owner: str, key: OrderKey) -> Job | None:
        """The job that the owner ordered under that key. Raises KeyTaken where the order was another one."""
        rows = self._read("SELECT digest, job FROM order_keys WHERE owner = ? AND key = ?", (owner, key.name))
        if not rows:
            return None
        if rows[0][0] != key.digest:
            raise KeyTaken(
                f"The key {key.name!r} was used for another order (job {rows[0][1]}): use a new key for a new order."
            )
        return self.get(rows[0][1])

    def get(self, job_id: str) -> Job:
        """The job of that id, whoever owns it; raises NotFound."""
        rows = self._read(f"SELECT {_COLUMNS} FROM jobs WHERE id = ?", (job_id,))
        if not rows:
            raise NotFound(f"There is no job {job_id!r}; it may have been removed from the history.")
        return self._job(rows[0])

    def knows(self, job_id: str) -> bool:
        return bool(self._read("SELECT 1 FROM jobs WHERE id = ?", (job_id,)))

    def find(self, job_id: str, owner: str) -> Job:
        """The owner's job of that id, else the owner's newest of that name; raises NotFound."""
        rows = self._read(
            f"SELECT {_COLUMNS} FROM jobs WHERE owner = ? AND (id = ? OR name = ?) "
            "ORDER BY id = ? DESC, number DESC LIMIT 1",
            (owner, job_id, job_id, job_id),
        )
        if not rows:
            raise NotFound(f"There is no job {job_id!r} of yours; it may have been removed from the history.")
        return self._job(rows[0])

    def recent(self, owner: str, limit: int) -> list[Job]:
        """The owner's newest jobs, newest first."""
        rows = self._read(f"SELECT {_COLUMNS} FROM jobs WHERE owner = ? ORDER BY number DESC LIMIT ?", (owner, limit))
        return self._readable(rows)

    def open_jobs(self) -> list[Job]:
        """Running, then waiting jobs, in the order in which they run."""
        rows = self._read(
            f"SELECT {_COLUMNS} FROM jobs WHERE state IN ('running', 'waiting') ORDER BY state = 'waiting', number",
            (),
        )
        return self._readable(rows)

    def claim_next(self, *, training: bool = False) -> Job | None:
        """Take the first waiting job (or the first training): it is running from here on."""
        with self._lock:
            rows = self._read(
                f"SELECT id FROM jobs WHERE state = 'waiting' AND {_TRAINING} = ? ORDER BY number LIMIT 1",
                (training,),
            )
            if not rows:
                return None
            self._write(
                "UPDATE jobs SET state = 'running', started = ?, attempts = attempts + 1 WHERE id = ?",
                (time.time(), rows[0][0]),
            )
            return self.get(rows[0][0])

    def end_unreadable(self) -> None:
        """Fail open jobs whose request this version of the program does not understand."""
        for row in self._read(f"SELECT {_COLUMNS} FROM jobs WHERE state IN ('running', 'waiting')", ()):
            try:
                self._job(row)
            except ValidationError:
                self.end(row[0], "failed", "The job was made by another version of this program; start it again.")

    def end(self, job_id: str, state: State, message: str = "") -> None:
        self._write(
            "UPDATE jobs SET state = ?, message = ?, ended = ? WHERE id = ?", (state, message, time.time(), job_id)
        )

    def cancel_waiting(self, job_id: str) -> bool:
        """Cancel a job that has not begun; False when it has."""
        changed = self._write(
            "UPDATE jobs SET state = 'cancelled', ended = ? WHERE id = ? AND state = 'waiting'", (time.time(), job_id)
        )
        return changed == 1

    def put_back(self, job_id: str) -> None:
        """A running job waits again, at its old place."""
        self._write("UPDATE jobs SET state = 'waiting', started = NULL WHERE id = ?", (job_id,))

    def remove(self, job_ids: Sequence[str]) -> None:
        """Forget jobs with their events and addresses of pictures; saved files stay."""
        with self._lock, self._db:
            self._db.executemany("DELETE FROM jobs WHERE id = ?", [(job_id,) for job_id in job_ids])

    def outdated(self, days: float, temporary_days: float, most_temporary: int) -> list[str]:
        """Ended jobs older than `days`; of those that are not saved also older or more than the other two say."""
        now = time.time()
        old = self._read("SELECT id FROM jobs WHERE ended < ?", (now - days * 86400,))
        unsaved = self._read("SELECT id, ended FROM jobs WHERE save = 0 AND ended > 0 ORDER BY ended DESC", ())
        extra = [
            i for n, (i, ended) in enumerate(unsaved) if n >= most_temporary or ended < now - temporary_days * 86400
        ]
        return list(dict.fromkeys([*(row[0] for row in old), *extra]))

    # What a job said

    def add_event(self, job_id: str, number: int, event: Event) -> None:
        """Keep an event for readers that come later, after a restart too."""
        data = to_json(event)
        text = json.dumps(data, ensure_ascii=False)
        self._write("INSERT INTO events (job, number, kind, data) VALUES (?, ?, ?, ?)",
                    (job_id, number, data["event"], text))  # fmt: skip

    def events(self, job_id: str) -> list[tuple[int, Event]]:
        rows = self._read("SELECT number, data FROM events WHERE job = ? ORDER BY number", (job_id,))
        return [(number, from_json(json.loads(data))) for number, data in rows]

    # Pictures

    def add_picture(self, name: str, job: Job, path: Path | None) -> None:
        """Where the picture `name` is; None when it could not be written."""
        self._write("INSERT OR REPLACE INTO pictures (name, job, owner, path) VALUES (?, ?, ?, ?)",
                    (name, job.id, job.owner, str(path) if path else None))  # fmt: skip

    def picture(self, name: str) -> tuple[str, str, Path | None] | None:
        """(job id, owner, path) of the picture with that address."""
        rows = self._read("SELECT job, owner, path FROM pictures WHERE name = ?", (name,))
        return (rows[0][0], rows[0][1], Path(rows[0][2]) if rows[0][2] else None) if rows else None

    # Facts that outlive a restart

    def remember(self, key: str, value: str) -> None:
        self._write("INSERT OR REPLACE INTO facts (key, value) VALUES (?, ?)", (key, value))

    def recall(self, key: str) -> str | None:
        rows = self._read("SELECT value FROM facts WHERE key = ?", (key,))
        return rows[0][0] if rows else None

    def add_speed(self, what: str, seconds_per_unit: float) -> None:
        """Keep a measured speed; only the last few of each thing are kept."""
        with self._lock:
            self._write("INSERT INTO speeds (what, seconds_per_unit) VALUES (?, ?)", (what, seconds_per_unit))
            self._write(
                "DELETE FROM speeds WHERE what = ? AND number NOT IN "
                "(SELECT number FROM speeds WHERE what = ? ORDER BY number DESC LIMIT 9)",
                (what, what),
            )

    def speeds(self, what: str) -> list[float]:
        return [row[0] for row in self._read("SELECT seconds_per_unit FROM speeds WHERE what = ?", (what,))]

    def _readable(self, rows: list[tuple[Any, ...]]) -> list[Job]:
        """The jobs of `rows`; those written by another version with other parameters are left out."""
        jobs: list[Job] = []
        for row in rows:
            try:
                jobs.append(self._job(row))
            except ValidationError:
                log.debug("job %s has parameters that are not known any more", row[0])
        return jobs

    def _job(self, row: tuple[Any, ...]) -> Job:
        job_id, owner, name, request, model, save, state, created, started, ended, message, attempts, number = row
        order = ORDER.validate_json(request)
        return Job(
            id=job_id,
            owner=owner,
            request=order,
            model=ModelRef.model_validate_json(model),
            state=state,
            created=created,
            started=started,
            ended=ended,
            message=message,
            name=name,
            save=bool(save),
            attempts=attempts,
            images=self._images(job_id),
            position=self._position(state, number, isinstance(order, TrainingRequest)),
        )

    def _images(self, job_id: str) -> list[ImageSaved]:
        rows = self._read("SELECT data FROM events WHERE job = ? AND kind = 'ImageSaved' ORDER BY number", (job_id,))
        events = (from_json(json.loads(data)) for (data,) in rows)
        return [event for event in events if isinstance(event, ImageSaved)]

    def _position(self, state: str, number: int, training: bool) -> int | None:
        if state != "waiting":
            return 0 if state == "running" else None
        rows = self._read(
            f"SELECT count(*) FROM jobs WHERE state = 'waiting' AND number <= ? AND {_TRAINING} = ?",
            (number, training),
        )
        return rows[0][0]

    def _read(self, sql: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def _write(self, sql: str, values: tuple[Any, ...]) -> int:
        with self._lock, self._db:
            return self._db.execute(sql, values).rowcount


DatabaseError = sqlite3.Error
