"""Fixtures for the engine's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from modules.engine.loading.model import LoadedModel
from modules.engine.loading.placement import pick_device
from modules.engine.loading.store import Store
from modules.schema.engine import ModelRef
from tests.engine.pictures import MINIATURE, Drawer, drawer
from tests.threads import one_thread_of_torch


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    with one_thread_of_torch():
        yield


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    """The embedded model."""
    return Store(capacity=1, device=pick_device("cpu")).get(ModelRef(checkpoint=str(MINIATURE)), "fp32")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where input pictures lie."""
    return tmp_path_factory.mktemp("inputs")


@pytest.fixture(scope="module")
def draw(model: LoadedModel, folder: Path) -> Drawer:
    """Draws requests on the embedded model."""
    return drawer(model, folder)
