from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from modules.service.app import App
from tests.service.helpers import make_app


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., App]]:
    """Starts Apps on one data folder and closes those that are still open at the end."""
    apps: list[App] = []

    def starter(folder: Path = tmp_path, **values: Any) -> App:
        apps.append(make_app(folder, **values))
        return apps[-1]

    yield starter
    for app in apps:
        app.close()


@pytest.fixture
def app(start: Callable[..., App]) -> App:
    return start()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """One App for all tests of a module that leave it working."""
    app = make_app(tmp_path_factory.mktemp("data"))
    yield app
    app.close()
