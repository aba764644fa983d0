"""Fixtures for all tests."""

from __future__ import annotations

import pytest

from tests import chromium


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Path of the browser that browser tests drive; they are skipped where there is none."""
    path = chromium.find()
    if path is None:
        pytest.skip("no Chromium, Chrome or Edge on this machine; install one or name it in the variable CHROMIUM")
    return path
