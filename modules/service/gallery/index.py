"""The rows of the gallery: pictures put in, found again, marked and taken out."""

from __future__ import annotations

import operator
import secrets
import sqlite3
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import PurePosixPath
from typing import Any

from modules.catalog.cache import Stamp
from modules.schema.errors import NotFound
from modules.service.gallery.database import GalleryDatabase
from modules.service.gallery.describe import KINDS, Described
from modules.service.gallery.query import Owners, Wanted, day_bounds, select

OUTPUTS = 0
"""The root of this program's own pictures; others are folders that are only read."""
THERE, TRASHED, UNREADABLE = range(3)

_COLUMNS = (
    "number, id, root, folder, file, bytes, mtime_ns, owner, state, kind, model, seed, width, height, "
    "prompt, negative, favourite, trashed"
)
_SECOND = 1_000_000
_MOST_NAMED = 500  # values in one statement


@dataclass(frozen=True)
class Picture:
    """A row: `number` is when it was made, in microseconds; `folder` and `file` are below the root."""

    number: int
    id: str
    root: int
    folder: str
    file: str
    stamp: Stamp
    owner: str
    state: int
    kind: str
    model: str
    seed: str
    width: int
    height: int
    prompt: str
    negative: str
    favourite: bool
    trashed: float | None

    @property
    def place(self) -> PurePosixPath:
        return PurePosixPath(self.folder, self.file)

    @property
    def day(self) -> date:
        return datetime.fromtimestamp(self.number / _SECOND).date()


@dataclass(frozen=True)
class Fresh:
    """A file to be put in; `made` as of `Picture.number`, `trashed` is when it was put into the trash."""

    root: int
    place: PurePosixPath
    stamp: Stamp
    made: int
    owner: str
    described: Described
    id: str | None = None
    favourite: bool = False
    trashed: float | None = None

    @property
    def state(self) -> int:
        if not self.described.width:
            return UNREADABLE
        return THERE if self.trashed is None else TRASHED


@dataclass(frozen=True)
class Outline:
    """All of what is wanted, in brief: `starts` are the numbers with which pages begin, `days` are newest first."""

    total: int
    starts: list[int]
    days: list[tuple[date, int]]


@dataclass(frozen=True)
class Choices:
    """What can be chosen among: models and kinds with their pictures, and how many there are of what else."""

    models: list[tuple[str, int]]
    kinds: list[tuple[str, int]]
    favourites: int
    trash: int


class Index:
    """Rows of a `GalleryDatabase`. Safe for threads; raises UserError where the index does not answer."""

    def __init__(self, database: GalleryDatabase) -> None:
        self._db = database

    # Asking

    def page(self, wanted: Wanted, *, before: int | None = None, limit: int) -> list[Picture]:
        """The newest pictures that were made before `before`."""
        sql, values = select(_COLUMNS, wanted, before=before, limit=limit)
        return [_picture(row) for row in self._db.read(sql, values)]

    def outline(self, wanted: Wanted, page: int) -> Outline:
        """All at a glance, with the first of every `page` pictures."""
        sql, values = select("number", wanted)
        numbers = [row[0] for row in self._db.read(sql, values)]
        return Outline(len(numbers), numbers[::page], _days(numbers))

    def choices(self, owners: Owners) -> Choices:
        trash = self.total(Wanted(owners, trash=True))
        return Choices(
            models=sorted(self._grouped("model", "by_model", owners).items(), key=lambda item: -item[1]),
            kinds=sorted(self._grouped("kind", "by_kind", owners).items(), key=lambda item: KINDS.index(item[0])),
            favourites=self.total(Wanted(owners, favourite=True)),
            trash=trash,
        )

    def find(self, picture_id: str, owners: Owners) -> Picture:
        """The picture of that id; raises NotFound, also for somebody else's."""
        found = self.find_all([picture_id], owners)
        if not found:
            raise NotFound("That picture is not in the gallery any more.")
        return found[0]

    def find_all(self, ids: Sequence[str], owners: Owners) -> list[Picture]:
        """The pictures of those ids that may be seen, in the order of the ids."""
        found: dict[str, Picture] = {}
        for some in _portions(ids):
            rows = self._db.read(f"SELECT {_COLUMNS} FROM pictures WHERE id IN ({_marks(some)})", some)
            found |= {picture.id: picture for picture in map(_picture, rows)}
        wanted = (found.get(one) for one in dict.fromkeys(ids))
        return [p for p in wanted if p and p.state != UNREADABLE and (owners is None or p.owner in owners)]

    def known(self, root: int, folder: str) -> dict[str, Stamp]:
        """Files of a folder that are in, as they were when they were read."""
        rows = self._db.read(
            "SELECT file, bytes, mtime_ns FROM pictures WHERE root = ? AND folder = ?", (root, folder)
        )
        return {file: Stamp(size, mtime_ns) for file, size, mtime_ns in rows}

    def newest(self, owners: Owners) -> int:
        """The number of the newest picture that may be seen; 0 for none."""
        sql, values = select("number", Wanted(owners), limit=1)
        return next((row[0] for row in self._db.read(sql, values)), 0)

    def folders(self, root: int) -> list[str]:
        return [row[0] for row in self._db.read("SELECT DISTINCT folder FROM pictures WHERE root = ?", (root,))]

    def count(self, root: int) -> int:
        """How many pictures of a root are in."""
        sql = "SELECT count(*) FROM pictures WHERE root = ? AND state <> ?"
        return self._db.read(sql, (root, UNREADABLE))[0][0]

    def others(self, owners: Sequence[str]) -> bool:
        """Whether there are pictures of anybody else."""
        sql = f"SELECT 1 FROM pictures WHERE state = 0 AND owner NOT IN ({_marks(owners)}) LIMIT 1"
        return bool(self._db.read(sql, owners))

    def long_trashed(self, until: float) -> list[Picture]:
        """What has been in the trash since before that time."""
        sql = f"SELECT {_COLUMNS} FROM pictures INDEXED BY by_trash WHERE state = 1 AND trashed < ?"
        return [_picture(row) for row in self._db.read(sql, (until,))]

    # Changing

    def put(self, files: Iterable[Fresh]) -> None:
        """Put files in, or what has become of them; who owns a picture and its favourite mark stay once known."""
        rows = list(files)
        self._db.write(lambda connection: [_put(connection, row) for row in rows])

    def mark(self, numbers: Sequence[int], *, favourite: bool) -> None:
        self._for_each("UPDATE pictures SET favourite = ? WHERE number = ?", [(favourite, n) for n in numbers])

    def move(self, picture: Picture, place: PurePosixPath, trashed: float | None) -> None:
        """The picture lies somewhere else below its root, in the trash or (None) out of it."""
        state = THERE if trashed is None else TRASHED
        values = (str(place.parent), place.name, state, trashed, picture.number)
        sql = "UPDATE pictures SET folder = ?, file = ?, state = ?, trashed = ? WHERE number = ?"
        self._db.write(lambda connection: connection.execute(sql, values))

    def remove(self, numbers: Sequence[int]) -> None:
        self._for_each("DELETE FROM pictures WHERE number = ?", [(number,) for number in numbers])

    def remove_files(self, root: int, folder: str, files: Iterable[str]) -> None:
        sql = "DELETE FROM pictures WHERE root = ? AND folder = ? AND file = ?"
        self._for_each(sql, [(root, folder, file) for file in files])

    def remove_root(self, root: int) -> None:
        """Some thousands at a time, so that others get their turn."""
        sql = "DELETE FROM pictures WHERE number IN (SELECT number FROM pictures WHERE root = ? LIMIT 2000)"
        while self._db.write(lambda connection: connection.execute(sql, (root,)).rowcount):
            pass

    def _for_each(self, sql: str, rows: list[tuple[Any, ...]]) -> None:
        if rows:
            self._db.write(lambda connection: connection.executemany(sql, rows))

    def total(self, wanted: Wanted) -> int:
        """How many there are of what is wanted."""
        sql, values = select("number", wanted)
        return self._db.read(f"SELECT count(*) FROM ({sql})", values)[0][0]

    def _grouped(self, column: str, index: str, owners: Owners) -> dict[str, int]:
        """How many there are of each value; one index walk an owner."""
        found: dict[str, int] = {}
        where = "" if owners is None else "owner = ? AND "
        table = "pictures" if owners is None else f"pictures INDEXED BY {index}"
        sql = f"SELECT {column}, count(*) FROM {table} WHERE {where}state = 0 GROUP BY {column}"
        for values in [()] if owners is None else [(owner,) for owner in owners]:
            for value, count in self._db.read(sql, values):
                found[value] = found.get(value, 0) + count
        return found


def _put(connection: sqlite3.Connection, row: Fresh) -> None:
    place = (row.root, str(row.place.parent), row.place.name)
    made = row.described
    facts = (
        *(row.stamp.size, row.stamp.mtime_ns, row.state, row.trashed),
        *(made.kind, made.model, made.seed, made.width, made.height, made.prompt, made.negative, made.parameters),
    )
    changed = connection.execute(
        "UPDATE pictures SET bytes = ?, mtime_ns = ?, state = ?, trashed = ?, kind = ?, model = ?, seed = ?, "
        "width = ?, height = ?, prompt = ?, negative = ?, parameters = ?, owner = iif(owner = '', ?, owner), "
        "favourite = max(favourite, ?) WHERE root = ? AND folder = ? AND file = ?",
        (*facts, row.owner, row.favourite, *place),
    ).rowcount
    if not changed:
        number = _free_number(connection, row.made)
        connection.execute(
            "INSERT INTO pictures (number, id, owner, favourite, root, folder, file, bytes, mtime_ns, state, "
            "trashed, kind, model, seed, width, height, prompt, negative, parameters) "
            f"VALUES ({_marks([None] * 19)})",
            (number, row.id or secrets.token_hex(16), row.owner, row.favourite, *place, *facts),
        )


def _free_number(connection: sqlite3.Connection, made: int) -> int:
    """`made`, or behind those that were made in the same second where another has it."""
    while connection.execute("SELECT 1 FROM pictures WHERE number = ?", (made,)).fetchone():
        sql = "SELECT max(number) + 1 FROM pictures WHERE number >= ? AND number < ?"
        made = connection.execute(sql, (made, made + _SECOND)).fetchone()[0]
    return made


def _picture(row: tuple[Any, ...]) -> Picture:
    number, picture_id, root, folder, file, size, mtime_ns, *rest = row
    *others, favourite, trashed = rest
    return Picture(number, picture_id, root, folder, file, Stamp(size, mtime_ns), *others, bool(favourite), trashed)


def _days(numbers: list[int]) -> list[tuple[date, int]]:
    """The days of numbers in falling order, with how many there are of each."""
    days: list[tuple[date, int]] = []
    position = 0
    while position < len(numbers):
        day = datetime.fromtimestamp(numbers[position] / _SECOND).date()
        # Numbers fall: the day ends where they are below its beginning.
        end = bisect_right(numbers, -day_bounds(day)[0], lo=position, key=operator.neg)
        end = max(end, position + 1)  # a clock that was set back must not hold this up
        days.append((day, end - position))
        position = end
    return days


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))


def _portions(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[start : start + _MOST_NAMED] for start in range(0, len(ids), _MOST_NAMED))
