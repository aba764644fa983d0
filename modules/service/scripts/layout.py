"""Where the cells of a script belong on a grid: what a page needs to show them as they finish."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class Layout:
    """Titles of the columns, rows and grids (at least one of each), and each cell's place (x, y, z)."""

    columns: tuple[str, ...]
    rows: tuple[str, ...]
    grids: tuple[str, ...]
    places: tuple[tuple[int, int, int], ...]


@runtime_checkable
class HasLayout(Protocol):
    """A script whose cells make a grid."""

    @property
    def layout(self) -> Layout: ...


def layout_of(program: object) -> Layout | None:
    """The script's layout, or None where its pictures are only a row."""
    return program.layout if isinstance(program, HasLayout) else None
