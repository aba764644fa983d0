"""A1111's grammar of rates that change."""

from __future__ import annotations

import pytest

from modules.schema.errors import BadRequest
from modules.schema.learning_rate import parse_rates, rate_at


@pytest.mark.parametrize(
    ("text", "steps", "current", "expected"),
    [
        ("0.005", 1000, 0, [(0.005, 1000)]),
        ("0.005:100, 1e-3:1000, 1e-5", 100_000, 0, [(0.005, 100), (0.001, 1000), (1e-5, 100_000)]),
        ("5e-3:200, 1e-3:500", 1000, 0, [(0.005, 200), (0.001, 500)]),
        ("5e-3:200, 1e-3:500", 300, 0, [(0.005, 200), (0.001, 300)]),
        ("5e-3:200, 1e-3:500, 1e-5", 1000, 350, [(0.001, 500), (1e-5, 1000)]),
        ("1e-3:-1", 500, 0, [(0.001, 500)]),
        ("1e-3:10,,2e-3", 20, 0, [(0.001, 10), (0.002, 20)]),
        ("0.01,0.02:50", 100, 0, [(0.01, 100)]),
        ("1e-3:5:7", 10, 0, [(0.001, 10)]),
    ],
)
def test_rates_are_read_as_a1111_reads_them(text, steps, current, expected):
    assert [(one.rate, one.last) for one in parse_rates(text, steps, current)] == expected


@pytest.mark.parametrize(("text", "current"), [("abc", 0), ("", 0), ("1e-3:100", 100), ("0.1:x", 0), ("nan", 0)])
def test_what_is_no_rate_is_told_in_a_sentence(text, current):
    with pytest.raises(BadRequest) as told:
        parse_rates(text, 1000, current)
    assert told.value.field == "learn_rate"


def test_a_list_that_is_over_ends_the_training():
    segments = parse_rates("5e-3:200, 1e-3:500", 1000)
    assert [rate_at(segments, step) for step in (1, 200, 201, 500, 501)] == [0.005, 0.005, 0.001, 0.001, None]
