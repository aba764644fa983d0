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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any

from pydantic import ValidationError

from modules.schema.engine import ModelRef
from modules.schema.errors import KeyTaken, NotFound
from modules.schema.events import Event, ImageSaved, from_json, to_json
from modules.schema.orders import ORDER, AnyOrder
from modules.schema.training import TrainingRequest
from modules.service.database import open_database
from modules.service.job import InLine, Job, OrderKey, State
from modules.service.measures import measure
from modules.service.turns import Move, Turns

log = logging.getLogger(__name__)

_COLUMNS = (
    "id, owner, name, request, model, save, state, created, started, ended, message, attempts, number, training, tag"
)
_IN_ORDER = "ORDER BY training, state = 'waiting', tag, number"
_PAUSED = "queue-paused"
# What a job's turn is taken to cost while nothing like it has been run, in seconds.
_USUAL_COST = 20.0


class Jobs:
    """The table of jobs, their stored events, their pictures' addresses, and a few remembered facts.

    `clock`: seconds that only grow, by which people's turns are measured.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        database = open_database(folder)
        self._db = database.connection
        self._turns = Turns(self._db, clock)
        self._lock = threading.RLock()
        self._changes = 0
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
        """A new waiting job, after those of its owner; its place among others' is what `turns` say. Its `key`, if it
        has one, is kept as long as the job is."""
        job_id, training, size = uuid.uuid4().hex, isinstance(request, TrainingRequest), measure(request, model)
        speeds = self.speeds(size.what)
        seconds = median(speeds) * size.units if speeds else _USUAL_COST
        values = (job_id, owner, name, request.model_dump_json(), model.model_dump_json(), save, time.time())
        with self._change():
            tag, cost = self._turns.comes(owner, training, seconds)
            self._db.execute(
                "INSERT INTO jobs (id, owner, name, request, model, save, created, training, what, units, cost, tag, "
                "state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'waiting')",
                (*values, training, size.what, size.units, cost, tag),
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

    def newest(self, owner: str) -> tuple[str, State] | None:
        """Id and state of the owner's newest job."""
        rows = self._read("SELECT id, state FROM jobs WHERE owner = ? ORDER BY number DESC LIMIT 1", (owner,))
        return (rows[0][0], rows[0][1]) if rows else None

    def open_jobs(self) -> list[Job]:
        """Running, then waiting jobs, in the order in which they run; trainings last."""
        rows = self._read(f"SELECT {_COLUMNS} FROM jobs WHERE state IN ('running', 'waiting') {_IN_ORDER}", ())
        return self._readable(rows)

    def left_over(self) -> list[Job]:
        """What an earlier run of the program leaves to be looked after: running jobs, and trainings that wait."""
        rows = self._read(
            f"SELECT {_COLUMNS} FROM jobs WHERE state = 'running' OR (state = 'waiting' AND training = 1)", ()
        )
        return self._readable(rows)

    def open_requests(self) -> list[str]:
        """The requests of all open jobs, as JSON."""
        return [row[0] for row in self._read("SELECT request FROM jobs WHERE state IN ('running', 'waiting')", ())]

    def has_waiting(self, *, training: bool = False) -> bool:
        """Whether a job (or a training) waits."""
        with self._lock:
            return self._turns.next(training) is not None

    def next_of(self, owner: str, limit: int) -> list[Job]:
        """The owner's open jobs: running ones, then waiting ones in their order; trainings last."""
        rows = self._read(
            f"SELECT {_COLUMNS} FROM jobs WHERE owner = ? AND state IN ('running', 'waiting') {_IN_ORDER} LIMIT ?",
            (owner, limit),
        )
        return self._readable(rows)

    def orders(self, job_ids: Sequence[str]) -> dict[str, AnyOrder]:
        """What those jobs ask for, as far as this version can read it."""
        marks = ", ".join("?" * len(job_ids))
        rows = self._read(f"SELECT id, request FROM jobs WHERE id IN ({marks})", tuple(job_ids))
        orders: dict[str, AnyOrder] = {}
        for job_id, request in rows:
            with suppress(ValidationError):
                orders[job_id] = ORDER.validate_json(request)
        return orders

    def line(self) -> list[InLine]:
        """Running, then waiting jobs with their places, in the order in which they run; trainings last."""
        rows = self._read(
            "SELECT id, owner, state, number, training, what, units FROM jobs "
            f"WHERE state IN ('running', 'waiting') {_IN_ORDER}",
            (),
        )
        places = {0: 0, 1: 0}
        line: list[InLine] = []
        for job_id, owner, state, number, training, what, units in rows:
            if state == "waiting":
                places[training] += 1
            position = places[training] if state == "waiting" else 0
            line.append(InLine(job_id, owner, state, number, bool(training), what, units, position))
        return line

    @property
    def changes(self) -> int:
        """A number that grows whenever what `line` tells may have changed."""
        return self._changes

    def claim_next(self, *, training: bool = False) -> Job | None:
        """Take the waiting job (or the training) whose turn it is: it is running from here on."""
        with self._lock:
            job_id = None if self.paused else self._turns.next(training)
            if job_id is None:
                return None
            with self._change():
                self._turns.begins(job_id)
                self._db.execute(
                    "UPDATE jobs SET state = 'running', started = ?, attempts = attempts + 1 WHERE id = ?",
                    (time.time(), job_id),
                )
            return self.get(job_id)

    @property
    def paused(self) -> float | None:
        """Since when (seconds since the epoch) no job is begun; None where they are."""
        since = self.recall(_PAUSED)
        return float(since) if since else None

    def pause(self, on: bool) -> None:
        """Begin no more jobs, over restarts, until it is called with False; what runs goes on."""
        if on != (self.paused is not None):
            self.remember(_PAUSED, str(time.time()) if on else "")
            self._changes += 1

    def move(self, job_id: str, owner: str, to: Move | int) -> bool:
        """Move a waiting job among its owner's own (1 is their first place); False when it has begun or ended."""
        with self._change():
            row = self._db.execute("SELECT number, training FROM jobs WHERE id = ?", (job_id,)).fetchone()
            return row is not None and self._turns.move(row[0], owner, bool(row[1]), to)

    def numbered(self, number: int) -> Job:
        """The job of that number, whoever owns it; raises NotFound."""
        rows = self._read(f"SELECT {_COLUMNS} FROM jobs WHERE number = ?", (number,))
        if not rows:
            raise NotFound(f"There is no job number {number}; it may have been removed from the history.")
        return self._job(rows[0])

    def end_unreadable(self) -> None:
        """Fail open jobs whose request this version of the program does not understand."""
        for job_id, request in self._read("SELECT id, request FROM jobs WHERE state IN ('running', 'waiting')", ()):
            try:
                ORDER.validate_json(request)
            except ValidationError:
                self.end(job_id, "failed", "The job was made by another version of this program; start it again.")

    def end(self, job_id: str, state: State, message: str = "", *, used: float | None = None) -> None:
        """`used`: the seconds that the job had of all engines together; None: the time since it was claimed."""
        with self._change():
            self._turns.leaves(job_id, used)
            self._db.execute(
                "UPDATE jobs SET state = ?, message = ?, ended = ? WHERE id = ?",
                (state, message, time.time(), job_id),
            )

    def cancel_waiting(self, job_id: str) -> bool:
        """Cancel a job that has not begun; False when it has."""
        with self._change():
            if not self._db.execute("SELECT 1 FROM jobs WHERE id = ? AND state = 'waiting'", (job_id,)).fetchone():
                return False
            self._turns.leaves(job_id)
            self._db.execute("UPDATE jobs SET state = 'cancelled', ended = ? WHERE id = ?", (time.time(), job_id))
            return True

    def put_back(self, job_id: str) -> None:
        """A running job waits again, at its old place."""
        with self._change():
            self._turns.waits_again(job_id)
            self._db.execute("UPDATE jobs SET state = 'waiting', started = NULL WHERE id = ?", (job_id,))

    def remove(self, job_ids: Sequence[str]) -> None:
        """Forget jobs with their events and addresses of pictures; saved files stay."""
        with self._change():
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
        job_id, owner, name, request, model, save, state, created, started, ended, message, attempts, *turn = row
        return Job(
            id=job_id,
            owner=owner,
            request=ORDER.validate_json(request),
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
            position=self._position(state, *turn),
        )

    def _images(self, job_id: str) -> list[ImageSaved]:
        rows = self._read("SELECT data FROM events WHERE job = ? AND kind = 'ImageSaved' ORDER BY number", (job_id,))
        events = (from_json(json.loads(data)) for (data,) in rows)
        return [event for event in events if isinstance(event, ImageSaved)]

    def _position(self, state: str, number: int, training: int, tag: float) -> int | None:
        if state != "waiting":
            return 0 if state == "running" else None
        with self._lock:
            return self._turns.place(bool(training), tag, number)

    @contextmanager
    def _change(self) -> Iterator[None]:
        """One transaction that changes the queue."""
        with self._lock, self._db:
            yield
            self._changes += 1

    def _read(self, sql: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def _write(self, sql: str, values: tuple[Any, ...]) -> int:
        with self._lock, self._db:
            return self._db.execute(sql, values).rowcount


DatabaseError = sqlite3.Error
