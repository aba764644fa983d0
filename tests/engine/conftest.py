"""Fixtures for the engine's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from modules.engine.loading.model import LoadedModel
from modules.engine.loading.placement import pick_device
from modules.engine.loading.store import Store
from modules.schema.engine import ModelRef
from tests.engine.pictures import MINIATURE, Drawer, drawer


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    """Tiny tensors on several threads spend their time waiting for each other, the more so on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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
