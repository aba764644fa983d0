"""Which pictures are asked for, as SQL that walks an index from the newest on, and never sorts what it finds."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

LONGEST_SEARCH = 1000
_MOST_WORDS = 32
_MICROSECONDS = 1_000_000

Owners = tuple[str, ...] | None
"""Whose pictures may be seen; None is everybody's."""


@dataclass(frozen=True)
class Wanted:
    """What is looked for; all of it must hold. `kind` and `model` None, and `day` None: any."""

    owners: Owners
    search: str = ""
    day: date | None = None
    model: str | None = None
    kind: str | None = None
    favourite: bool = False
    trash: bool = False


def full_text(search: str) -> str | None:
    """What somebody typed as an FTS5 query: each word is the beginning of one in the picture, "quoted words" follow
    each other. Nothing typed has a meaning of its own; None where there is no word in it."""
    phrases: list[str] = []
    for number, part in enumerate(search[:LONGEST_SEARCH].replace("\0", " ").split('"')):
        if number % 2:
            phrases += [f'"{part}"'] if _has_word(part) else []
        else:
            phrases += [f'"{word}"*' for word in part.split() if _has_word(word)]
    return " ".join(phrases[:_MOST_WORDS]) or None


def _has_word(text: str) -> bool:
    """Whether the tokenizer finds anything in it: letters, digits and private characters."""
    return any(unicodedata.category(c)[0] in "LN" or unicodedata.category(c) == "Co" for c in text)


def day_bounds(day: date) -> tuple[int, int]:
    """The numbers from the first on, to before the second, that are of that day, in this machine's time."""
    begin = datetime(day.year, day.month, day.day)
    end = begin + timedelta(days=1)
    return int(begin.timestamp()) * _MICROSECONDS, int(end.timestamp()) * _MICROSECONDS


def select(columns: str, wanted: Wanted, *, before: int | None = None, limit: int = -1) -> tuple[str, list[Any]]:
    """A query and its values: pictures numbered below `before`, newest first, at most `limit` (-1: all).

    Words are looked up in the full text, whose rows come in the order of their numbers too. Without words each owner
    has an index walk of its own, and SQLite merges them.
    """
    words = full_text(wanted.search)
    if words is not None:
        # Named by its table: by pictures.number, which is the same, SQLite would sort.
        sql, values = _by_words(columns, wanted, words, before)
        return f"{sql} ORDER BY words.rowid DESC LIMIT ?", [*values, limit]
    if wanted.owners is None:
        sql, values = _walk(columns, "pictures NOT INDEXED", wanted, before)
    else:
        table = f"pictures INDEXED BY {_index(wanted)}"
        parts = [_walk(columns, table, wanted, before, owner) for owner in wanted.owners]
        sql = " UNION ALL ".join(part for part, _ in parts)
        values = [value for _, some in parts for value in some]
    return f"{sql} ORDER BY number DESC LIMIT ?", [*values, limit]


def _index(wanted: Wanted) -> str:
    if wanted.favourite:
        return "by_favourite"
    if wanted.model is not None:
        return "by_model"
    return "by_kind" if wanted.kind is not None else "by_owner"


def _walk(
    columns: str, table: str, wanted: Wanted, before: int | None, owner: str | None = None
) -> tuple[str, list[Any]]:
    conditions, values = _conditions(wanted)
    if owner is not None:
        conditions.insert(0, "owner = ?")
        values.insert(0, owner)
    more, further = _range("number", wanted, before)
    return f"SELECT {columns} FROM {table} WHERE {' AND '.join([*conditions, *more])}", [*values, *further]


def _by_words(columns: str, wanted: Wanted, words: str, before: int | None) -> tuple[str, list[Any]]:
    conditions, values = _conditions(wanted, "pictures.")
    if wanted.owners is not None:
        conditions.append(f"owner IN ({', '.join('?' * len(wanted.owners))})")
        values += wanted.owners
    more, further = _range("words.rowid", wanted, before)
    named = ", ".join(f"pictures.{column.strip()}" for column in columns.split(","))
    sql = (
        f"SELECT {named} FROM words CROSS JOIN pictures ON pictures.number = words.rowid "
        f"WHERE words MATCH ? AND {' AND '.join([*more, *conditions])}"
    )
    return sql, [words, *further, *values]


def _conditions(wanted: Wanted, table: str = "") -> tuple[list[str], list[Any]]:
    """State and favourite are literals: the partial indexes are used for those only."""
    conditions, values = [f"state = {int(wanted.trash)}"], []
    if wanted.favourite:
        conditions.append("favourite = 1")
    for column in ("kind", "model"):
        value = getattr(wanted, column)
        if value is not None:
            conditions.append(f"{table}{column} = ?")
            values.append(value)
    return conditions, values


def _range(column: str, wanted: Wanted, before: int | None) -> tuple[list[str], list[Any]]:
    conditions: list[str] = []
    values: list[Any] = []
    if wanted.day is not None:
        begin, end = day_bounds(wanted.day)
        before = end if before is None else min(before, end)
        conditions.append(f"{column} >= ?")
        values.append(begin)
    if before is not None:
        conditions.append(f"{column} < ?")
        values.append(before)
    return conditions, values
