"""What is kept of a run to look at: losses in a CSV file, and pictures at intervals."""

from __future__ import annotations

import csv
import logging
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from tools.miniature.optimise import Flat

log = logging.getLogger(__name__)

_EVERY = 20  # steps a line


class Journal:
    """Writes one line for every 20 steps (means), logs it, and calls `picture(flat, path)` every few saves."""

    def __init__(
        self, folder: Path, stage: str, picture: Callable[[Flat, Path], str] | None = None, apart: float = 300.0
    ) -> None:
        self.folder, self.stage, self.picture, self.apart = folder, stage, picture, apart
        self._sums: dict[str, list[float]] = {}
        self._pictured = time.monotonic()
        folder.mkdir(parents=True, exist_ok=True)

    def logged(self, row: Mapping[str, float]) -> None:
        for name, value in row.items():
            self._sums.setdefault(name, []).append(value)
        if int(row["step"]) % _EVERY == 0:
            self._write(row)

    def _write(self, row: Mapping[str, float]) -> None:
        means = {name: self._mean(values) for name, values in self._sums.items()}
        line = {**means, **{name: row[name] for name in ("step", "seconds", "fraction")}}
        self._sums.clear()
        path = self.folder / f"{self.stage}.csv"
        fresh = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            if fresh:
                writer.writerow(line)
            writer.writerow([f"{value:.6g}" for value in line.values()])
        log.info("%s: %s", self.stage, " ".join(f"{name} {value:.5g}" for name, value in line.items()))

    @staticmethod
    def _mean(values: list[float]) -> float:
        known = [value for value in values if math.isfinite(value)]
        return sum(known) / len(known) if known else math.nan

    def saved(self, flat: Flat, step: int, fraction: float, final: bool) -> None:
        now = time.monotonic()
        if self.picture is None or not (final or now - self._pictured >= self.apart):
            return
        self._pictured = now
        said = self.picture(flat, self.folder / f"{self.stage}-{step:06d}.png")
        log.info("%s step %d: %s", self.stage, step, said)


def save_grid(path: Path, rows: list[np.ndarray]) -> None:
    """Each row [N,H,W,3] beside one another, the rows below one another."""
    grid = np.concatenate([np.concatenate(list(row), axis=1) for row in rows])
    Image.fromarray(grid).save(path)
