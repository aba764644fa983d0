"""What counts as right: facts that were asked for against facts that a judge has read, and shares of such.

Facts are dictionaries of attribute to value; an attribute that is not asked for is not in the dictionary. Of two
different things the first is the left or the upper one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Facts = Mapping[str, str]

COUNTS = ("one", "two", "three")
PAIRS = ("beside", "stacked")
PARTS = ("kind", "colour")

MAIN_COLOUR, MAIN_KIND, STYLE, BOTH, RELATION, COUNT, ALL = (
    "main colour", "main kind", "named style", "two things, both right", "relation", "count", "everything right",
)  # fmt: skip
UNNAMED_STYLE = "flat"  # what a picture is when no style is named


@dataclass(frozen=True)
class Share:
    """`right` of `of` pictures."""

    right: int
    of: int

    @property
    def percent(self) -> float:
        """0..100; NaN where nothing was asked."""
        return 100 * self.right / self.of if self.of else float("nan")

    def __str__(self) -> str:
        return f"{self.percent:5.1f}" if self.of else "    -"


def attribute_marks(asked: Facts, read: Facts) -> dict[str, bool]:
    """Whether each attribute that is asked for was read so."""
    return {name: read[name] == value for name, value in asked.items()}


def combined_marks(asked: Facts, read: Facts) -> dict[str, bool]:
    """The marks that people mean, as far as they apply.

    main colour, main kind: of the first thing, wherever in a pair it stands. named style: other than flat.
    two things, both right: kind and colour of both, in either order. relation: beside or stacked as asked, and the
    things recognisably in the asked order (more of kind1, colour1, kind2, colour2 agree that way than the other way).
    count: one, two or three of a thing. everything right: all attributes that were asked for.
    """
    pair = asked["layout"] in PAIRS
    turned = {**read, **{f"{part}{a}": read[f"{part}{b}"] for part in PARTS for a, b in ((1, 2), (2, 1))}}
    straight_hits, turned_hits = (_hits(asked, facts) for facts in (read, turned))
    seen = turned if pair and read["layout"] in PAIRS and turned_hits > straight_hits else read
    marks = {
        mark: seen[name] == asked[name]
        for mark, name in ((MAIN_COLOUR, "colour1"), (MAIN_KIND, "kind1"))
        if name in asked
    }
    if asked.get("style", UNNAMED_STYLE) != UNNAMED_STYLE:
        marks[STYLE] = read["style"] == asked["style"]
    if pair:
        both_there = read["layout"] in PAIRS
        marks[BOTH] = both_there and all(seen[name] == asked[name] for name in _thing_names(asked))
        marks[RELATION] = read["layout"] == asked["layout"] and straight_hits > turned_hits
    elif asked["layout"] in COUNTS:
        marks[COUNT] = read["layout"] == asked["layout"]
    marks[ALL] = all(attribute_marks(asked, read).values())
    return marks


def _thing_names(asked: Facts) -> list[str]:
    return [f"{part}{place}" for place in (1, 2) for part in PARTS if f"{part}{place}" in asked]


def _hits(asked: Facts, read: Facts) -> int:
    return sum(read[name] == asked[name] for name in _thing_names(asked))


def tally(marks: Iterable[Mapping[str, bool]]) -> dict[str, Share]:
    """For each mark, how many of the pictures it applies to have it right; in order of first appearance."""
    right: dict[str, int] = {}
    of: dict[str, int] = {}
    for picture in marks:
        for name, good in picture.items():
            right[name] = right.get(name, 0) + good
            of[name] = of.get(name, 0) + 1
    return {name: Share(right[name], of[name]) for name in of}
