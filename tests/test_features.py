"""The table of features is honest in form: every test that it names is there, every row says a state."""

from __future__ import annotations

import re

import pytest

from tests.sources import ROOT

PAGE = (ROOT / "docs" / "features.md").read_text(encoding="utf-8")
STATES = {"here", "otherwise", "part", "missing"}


def _rows() -> list[list[str]]:
    lines = [line for line in PAGE.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [row for row in cells if row[0] not in ("Feature", "---")]


def test_every_row_says_a_state_and_what_is_here_has_a_test() -> None:
    rows = _rows()
    assert len(rows) > 100
    assert not [row for row in rows if len(row) != 4 or row[1] not in STATES]
    assert not [row[0] for row in rows if row[1] != "missing" and "::" not in row[3]]


@pytest.mark.parametrize("named", sorted(set(re.findall(r"`([\w/]+\.py::\w+)`", PAGE))))
def test_a_named_test_is_there(named: str) -> None:
    file, _, name = named.partition("::")
    assert f"def {name}(" in (ROOT / "tests" / file).read_text(encoding="utf-8")
