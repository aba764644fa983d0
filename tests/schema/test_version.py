"""One version number, in two files."""

from __future__ import annotations

import tomllib
from pathlib import Path

from modules.version import VERSION


def test_pyproject_has_the_same_version() -> None:
    pyproject = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert pyproject["project"]["version"] == VERSION
