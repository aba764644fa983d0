"""The curves of a run: its history file read piece by piece as it grows, thinned to what a page can draw."""

from __future__ import annotations

import math
import os
import threading
from array import array
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO

from modules.schema.json_object import parse_object

FILE, NOTICES = "history.jsonl", "notices.jsonl"
COLUMNS = ("step", "loss", "smooth", "rate", "norm", "evaluation")
_KEPT = 4

Row = list[float | int | None]


class History:
    """One run's history in memory: six numbers a step; NaN stands for what a step does not have.

    The file only grows, except when a run goes on from an earlier state: then the last line read is not where it was,
    and everything is read again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self._offset = 0
        self._tail = b""
        self._numbers = array("d")

    def rows(self, after: int = 0, points: int = 1000) -> list[Row]:
        """At most about `points` steps above `after` (0: all): evenly spaced, the newest, and those with an
        evaluation."""
        with self._lock:
            self._read_on()
            return _thinned(self._numbers, self._first_above(after), max(points, 2))

    def last(self) -> Row | None:
        """The newest step."""
        with self._lock:
            self._read_on()
            count = len(self._numbers) // len(COLUMNS)
            return _row(self._numbers, count - 1) if count else None

    def _first_above(self, after: int) -> int:
        if not after:
            return 0  # with what was evaluated before the first step
        width, low, high = len(COLUMNS), 0, len(self._numbers) // len(COLUMNS)
        while low < high:
            middle = (low + high) // 2
            if self._numbers[middle * width] <= after:
                low = middle + 1
            else:
                high = middle
        return low

    def _read_on(self) -> None:
        try:
            with self._path.open("rb") as file:
                if not self._goes_on(file):
                    self._forget()
                file.seek(self._offset)
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    self._take(line)
        except OSError:
            self._forget()

    def _goes_on(self, file: BinaryIO) -> bool:
        """Whether what was read is still there: the last line read must stand where it stood."""
        if os.fstat(file.fileno()).st_size < self._offset:
            return False
        file.seek(self._offset - len(self._tail))
        return file.read(len(self._tail)) == self._tail

    def _take(self, line: bytes) -> None:
        self._offset += len(line)
        self._tail = line
        values = parse_object(line)
        if values is not None and isinstance(values.get("step"), int):
            self._numbers.extend(_number(values.get(name)) for name in COLUMNS)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _row(numbers: array[float], index: int) -> Row:
    width = len(COLUMNS)
    step, *others = numbers[index * width : (index + 1) * width]
    return [int(step), *(value if math.isfinite(value) else None for value in others)]


def _thinned(numbers: array[float], first: int, points: int) -> list[Row]:
    width = len(COLUMNS)
    count = len(numbers) // width
    stride = max(math.ceil((count - first) / points), 1)
    evaluation = width - 1
    return [
        _row(numbers, index)
        for index in range(first, count)
        if (index - first) % stride == 0 or index == count - 1 or not math.isnan(numbers[index * width + evaluation])
    ]


class Histories:
    """Histories of the runs that were asked for last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[Path, History] = OrderedDict()

    def of(self, folder: Path) -> History:
        with self._lock:
            history = self._kept.setdefault(folder, History(folder / FILE))
            self._kept.move_to_end(folder)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return history


def read_notices(folder: Path) -> list[dict[str, Any]]:
    """What the run has told so far: {step, text, level}, oldest first."""
    try:
        lines = (folder / NOTICES).read_bytes().splitlines()
    except OSError:
        return []
    return [value for line in lines if (value := parse_object(line)) is not None]
