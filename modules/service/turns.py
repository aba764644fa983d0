"""Whose turn it is: people share the engine by the seconds they had of it, not by how many jobs they sent.

The rule is start-time fair queueing (Goyal, Vin, Cheng: "Start-time Fair Queueing", SIGCOMM 1996). A job that comes
gets a start tag: the later of the virtual time and the end of what its person had, or will have had, before it. The
waiting job with the smallest tag is the next one, and the virtual time follows the tags of what is begun. A tag does
not depend on the job's own length, and what a job really took replaces its estimate when it ends, so that a wrong
estimate moves its person's next jobs and nobody else's. Two people who both wait differ by no more than their longest
jobs together.

Beside that the virtual time goes on with every second that is used, divided among those who wait (Demers, Keshav,
Shenker: "Analysis and Simulation of a Fair Queueing Algorithm", SIGCOMM 1989), at most among a crowd. So it passes
every tag in bounded time, and newcomers without end, who all had nothing yet, cannot starve anybody either. When
nothing is left to do, all is forgotten.

Trainings and what is drawn beside them are two lanes, each with turns of its own. Everything is in the database.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Move = Literal["front", "up", "down", "back"]

_LEAST_COST = 0.01
# A second that is used takes the virtual time on by at least its hundredth, however many people wait.
_CROWD = 100
# Below a millisecond a correction is not worth writing to every waiting job.
_LEAST_CHANGE = 0.001

_OPEN = """SELECT EXISTS (SELECT 1 FROM jobs WHERE state = 'waiting' AND training = :training)
    OR EXISTS (SELECT 1 FROM jobs WHERE state = 'running' AND training = :training)"""
# One look into the index for each person, however many jobs wait.
_PEOPLE = """SELECT count(*) FROM turns WHERE training = :training AND (owner = :owner OR EXISTS
    (SELECT 1 FROM jobs WHERE state = 'waiting' AND jobs.training = :training AND jobs.owner = turns.owner))"""
_NEXT = "SELECT id, tag FROM jobs WHERE state = 'waiting' AND training = ? ORDER BY tag, number LIMIT 1"
_PLACE = "SELECT count(*) FROM jobs WHERE state = 'waiting' AND training = ? AND (tag, number) <= (?, ?)"
_OWN = """SELECT number, tag, cost FROM jobs WHERE state = 'waiting' AND training = ? AND owner = ?
    ORDER BY tag, number"""
_SHIFT = """UPDATE jobs SET tag = tag + :change
    WHERE state = 'waiting' AND training = :training AND owner = :owner AND (tag, number) > (:tag, :number)"""


@dataclass(frozen=True)
class _Tagged:
    number: int
    tag: float
    cost: float


class Turns:
    """The tags in the table of jobs. Its methods are steps of the caller's transaction, under the caller's lock.

    `clock`: seconds that only grow. Of a job that was begun by an earlier process nobody knows what it took; it is
    charged what was estimated.
    """

    def __init__(self, database: sqlite3.Connection, clock: Callable[[], float]) -> None:
        self._db = database
        self._clock = clock
        self._begun: dict[str, float] = {}

    def comes(self, owner: str, training: bool, seconds: float) -> tuple[float, float]:
        """(tag, cost) of a new job of about so many seconds; asked before it is in the table."""
        if not self._db.execute(_OPEN, {"training": training}).fetchone()[0]:
            self._db.execute("DELETE FROM turns WHERE training = ?", (training,))
            self._set_time(training, 0.0)
        row = self._db.execute(
            "SELECT ends FROM turns WHERE training = ? AND owner = ?", (training, owner)
        ).fetchone()
        tag, cost = max(self._time(training), row[0] if row else 0.0), max(seconds, _LEAST_COST)
        self._db.execute(
            "INSERT OR REPLACE INTO turns (training, owner, ends) VALUES (?, ?, ?)", (training, owner, tag + cost)
        )
        return tag, cost

    def next(self, training: bool) -> str | None:
        """Id of the job whose turn it is."""
        row = self._db.execute(_NEXT, (training,)).fetchone()
        return row[0] if row else None

    def begins(self, job_id: str) -> None:
        """A waiting job is given to an engine."""
        training, tag = self._db.execute("SELECT training, tag FROM jobs WHERE id = ?", (job_id,)).fetchone()
        self._set_time(training, max(self._time(training), tag))
        self._begun[job_id] = self._clock()

    def waits_again(self, job_id: str) -> None:
        """A job was lost through no fault of its person's: it keeps its tag, and what was lost is not charged."""
        self._begun.pop(job_id, None)

    def leaves(self, job_id: str, used: float | None = None) -> None:
        """An open job ends, or is cancelled; asked while the table still says that it is open.

        `used`: the seconds it had of all engines together; None takes the time since it was begun, which is the same
        where one engine did it all.
        """
        row = self._db.execute(
            "SELECT number, owner, training, tag, cost, state FROM jobs WHERE id = ?", (job_id,)
        ).fetchone()
        begun = self._begun.pop(job_id, None)
        if row is None or row[5] not in ("waiting", "running"):
            return
        number, owner, training, tag, cost, state = row
        if state == "waiting":
            used = 0.0
        else:
            if used is None:
                used = cost if begun is None else max(self._clock() - begun, 0.0)
            people = self._db.execute(_PEOPLE, {"training": training, "owner": owner}).fetchone()[0]
            self._set_time(training, self._time(training) + used / min(max(people, 1), _CROWD))
        self._correct(owner, training, _Tagged(number, tag, cost), used - cost)

    def place(self, training: bool, tag: float, number: int) -> int:
        """How many waiting jobs come up to and with the one of that tag and number."""
        return self._db.execute(_PLACE, (training, tag, number)).fetchone()[0]

    def move(self, number: int, owner: str, training: bool, to: Move | int) -> bool:
        """Move a waiting job among its person's own (a place of 1 is the first); False when it does not wait.

        The person's turns stay where they are, only what is done in them changes: nobody else's order does.
        """
        own = [_Tagged(*row) for row in self._db.execute(_OWN, (training, owner))]
        at = next((place for place, job in enumerate(own) if job.number == number), None)
        if at is None:
            return False
        steps = {"front": 0, "up": at - 1, "down": at + 1, "back": len(own) - 1}
        wanted = min(max(to - 1 if isinstance(to, int) else steps[to], 0), len(own) - 1)
        order = [*own]
        order.insert(wanted, order.pop(at))
        tags = _tags(own, order)
        self._db.executemany(
            "UPDATE jobs SET tag = ? WHERE number = ?",
            [(tag, job.number) for tag, job in zip(tags, order, strict=True)],
        )
        return True

    def _correct(self, owner: str, training: bool, job: _Tagged, change: float) -> None:
        """What `job` took is not what it was estimated at: its person's later jobs come sooner or later."""
        if abs(change) < _LEAST_CHANGE:
            return
        values = {"change": change, "training": training, "owner": owner, "tag": job.tag, "number": job.number}
        self._db.execute(_SHIFT, values)
        self._db.execute(
            "UPDATE turns SET ends = ends + ? WHERE training = ? AND owner = ?", (change, training, owner)
        )

    def _time(self, training: bool) -> float:
        row = self._db.execute("SELECT now FROM clocks WHERE training = ?", (training,)).fetchone()
        return row[0] if row else 0.0

    def _set_time(self, training: bool, now: float) -> None:
        self._db.execute("INSERT OR REPLACE INTO clocks (training, now) VALUES (?, ?)", (training, now))


def _tags(before: list[_Tagged], after: list[_Tagged]) -> list[float]:
    """Tags for the order `after`, one after another as in `before`, whose gaps stay."""
    tags = [before[0].tag]
    for place in range(1, len(after)):
        gap = max(before[place].tag - before[place - 1].tag - before[place - 1].cost, 0.0)
        tags.append(tags[-1] + after[place - 1].cost + gap)
    return tags
