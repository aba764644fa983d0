"""Ranges as people type them on an axis (the vectors of A1111's behaviour)."""

from __future__ import annotations

import pytest

from modules.schema.errors import BadRequest
from modules.service.scripts.ranges import float_values, int_values, split_values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1-5", [1, 2, 3, 4, 5]),
        ("1-5(+2)", [1, 3, 5]),
        ("1-6 (+2)", [1, 3, 5]),
        ("10-5(-3)", [10, 7]),
        ("10-5 (-5)", [10]),
        ("1-10[5]", [1, 3, 5, 7, 10]),
        ("1-10 [4]", [1, 4, 7, 10]),
        ("1,2, 7-9", [1, 2, 7, 8, 9]),
        ("1\n2\n5-6", [1, 2, 5, 6]),
        ("-3--1", [-3, -2, -1]),
        ("5-1", []),
        ("-1", [-1]),
        ("7-9[1]", [7]),
        ("", []),
    ],
)
def test_whole_numbers(text: str, expected: list[int]) -> None:
    assert int_values(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0-1(+0.25)", [0, 0.25, 0.5, 0.75, 1]),
        ("1-2(+0.5)", [1, 1.5, 2]),
        ("1-2(+0.1)", [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9, 2.0]),
        ("0.5-1.5", [0.5, 1.5]),
        ("0-1[5]", [0, 0.25, 0.5, 0.75, 1]),
        ("0.1-0.7[4]", [0.1, 0.3, 0.5, 0.7]),
        ("3-1(-1)", [3, 2, 1]),
        ("7, .5", [7, 0.5]),
        ("2-1", []),
    ],
)
def test_numbers(text: str, expected: list[float]) -> None:
    assert float_values(text) == expected


def test_text() -> None:
    assert split_values('"red, ripe", green') == ["red, ripe", "green"]
    assert split_values('a, ""\n b') == ["a", "", "b"]


@pytest.mark.parametrize("text", ["1-5(2)", "x", "1.5", "1-5(+0)", "1-5[", "1-99999999"])
def test_what_makes_no_sense_is_told(text: str) -> None:
    with pytest.raises(BadRequest):
        int_values(text)
