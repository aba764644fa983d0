"""What counts as right."""

from __future__ import annotations

import math

import pytest

from tools.miniature.scoring import (
    ALL,
    BOTH,
    COUNT,
    MAIN_COLOUR,
    MAIN_KIND,
    RELATION,
    STYLE,
    Share,
    attribute_marks,
    combined_marks,
    tally,
)

PAIR = {"layout": "beside", "kind1": "cat", "colour1": "red", "kind2": "star", "colour2": "blue", "style": "mosaic"}
TURNED = {**PAIR, "kind1": "star", "colour1": "blue", "kind2": "cat", "colour2": "red"}


def test_a_perfect_pair() -> None:
    assert attribute_marks(PAIR, PAIR) == dict.fromkeys(PAIR, True)
    marks = combined_marks(PAIR, PAIR)
    assert marks == dict.fromkeys((MAIN_COLOUR, MAIN_KIND, STYLE, BOTH, RELATION, ALL), True)


def test_a_turned_pair_has_both_things_but_not_the_relation() -> None:
    marks = combined_marks(PAIR, TURNED)
    assert marks == {MAIN_COLOUR: True, MAIN_KIND: True, STYLE: True, BOTH: True, RELATION: False, ALL: False}


@pytest.mark.parametrize(
    ("read", "both", "relation"),
    [
        ({"layout": "stacked"}, True, False),  # the things are right, their relation is not
        ({"colour1": "green"}, False, True),  # the relation can be told by the rest
        ({"colour1": "blue", "colour2": "red"}, False, False),  # colours exchanged: neither way is nearer
        ({"layout": "one"}, False, False),  # a second thing is not there, whatever is read of it
    ],
)
def test_pairs_that_are_partly_right(read: dict[str, str], both: bool, relation: bool) -> None:
    marks = combined_marks(PAIR, {**PAIR, **read})
    assert (marks[BOTH], marks[RELATION]) == (both, relation)


def test_things_without_colour_are_told_by_their_kinds() -> None:
    asked = {name: value for name, value in PAIR.items() if not name.startswith("colour")}
    marks = combined_marks(asked, {**TURNED, "colour1": "pink"})
    assert marks[BOTH]
    assert not marks[RELATION]
    assert MAIN_COLOUR not in marks


@pytest.mark.parametrize("count", ["one", "two", "three"])
def test_counts(count: str) -> None:
    asked = {"layout": count, "kind1": "fish", "colour1": "red", "style": "flat"}
    marks = combined_marks(asked, {**PAIR, "layout": "two", "kind1": "fish", "style": "flat"})
    assert marks[COUNT] == marks[ALL] == (count == "two")
    assert {BOTH, RELATION, STYLE}.isdisjoint(marks)


def test_a_background_alone_has_no_count() -> None:
    asked = {"layout": "none", "background": "sea"}
    assert combined_marks(asked, {**PAIR, **asked}) == {ALL: True}


def test_tally_counts_only_what_applies() -> None:
    shares = tally([{"a": True}, {"a": False, "b": True}, {"a": True}])
    assert shares == {"a": Share(2, 3), "b": Share(1, 1)}
    assert shares["b"].percent == 100
    assert str(shares["a"]) == " 66.7"
    assert math.isnan(Share(0, 0).percent)
    assert str(Share(0, 0)).strip() == "-"
