"""Lists of values as they are typed for an axis: one CSV line (or several), with ranges for numbers.

`1-5`, `1-5(+2)`, `10-5(-3)`, `1-10[5]` (that many, evenly spaced), for decimals the same.
"""

from __future__ import annotations

import csv
import io
import re

from modules.schema.errors import BadRequest

_MOST = 10_000
_INT = r"[+-]?\d+"
_FLOAT = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)"


def _pattern(number: str) -> re.Pattern[str]:
    return re.compile(
        rf"({number})\s*-\s*({number})\s*(?:\(\s*([+-]\s*{number.removeprefix('[+-]?')})\s*\)|\[\s*(\d+)\s*\])?"
    )


_INT_RANGE, _FLOAT_RANGE = _pattern(_INT), _pattern(_FLOAT)


def split_values(text: str) -> list[str]:
    """The values of a CSV text; quotes protect commas, spaces around values go, lines go on."""
    rows = csv.reader(io.StringIO(text.strip()), skipinitialspace=True)
    try:
        return [value.strip() for row in rows for value in row]
    except csv.Error as error:
        raise BadRequest(f"The values cannot be read ({error}): {text[:60]!r}.") from None


def int_values(text: str) -> list[int]:
    """Whole numbers; a range without a sign in its step is refused. Raises BadRequest."""
    return [number for value in split_values(text) if value for number in _ints(value)]


def float_values(text: str) -> list[float]:
    """Numbers; raises BadRequest."""
    return [number for value in split_values(text) if value for number in _floats(value)]


def _ints(value: str) -> list[int]:
    match = _INT_RANGE.fullmatch(value)
    if match is None:
        try:
            return [int(value)]
        except ValueError:
            raise _unreadable(value, "whole number") from None
    first, last = int(match[1]), int(match[2])
    if match[4]:
        return [int(number) for number in _spaced(first, last, _count(match[4]))]
    step = int((match[3] or "1").replace(" ", ""))
    if step == 0:
        raise _unreadable(value, "whole number")
    numbers = range(first, last + 1, step)
    _count(len(numbers))
    return list(numbers)


def _floats(value: str) -> list[float]:
    match = _FLOAT_RANGE.fullmatch(value)
    if match is None:
        try:
            return [float(value)]
        except ValueError:
            raise _unreadable(value, "number") from None
    first, last = float(match[1]), float(match[2])
    if match[4]:
        return _spaced(first, last, _count(match[4]))
    step = float((match[3] or "1").replace(" ", ""))
    if step == 0:
        raise _unreadable(value, "number")
    count = _count(max(0, int((last - first) / step + 1e-9) + 1) if (last - first) / step >= -1e-9 else 0)
    return [round(first + index * step, 10) for index in range(count)]


def _spaced(first: float, last: float, count: int) -> list[float]:
    if count == 1:
        return [first]
    return [round(first + (last - first) * index / (count - 1), 10) for index in range(count)]


def _count(number: str | int) -> int:
    if int(number) > _MOST:
        raise BadRequest(f"A range of {number} values is too long; {_MOST} are possible.")
    return int(number)


def _unreadable(value: str, what: str) -> BadRequest:
    return BadRequest(f"{value!r} is no {what} and no range: write 1-5, 1-5(+2), 10-5(-1) or 1-10[5].")
