"""A store with a tiny model of random weights, for all that does not need to learn something."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from modules.engine.loading.store import Store
from tests.tiny import NATIVE_64, write_tiny_sd1


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint."""
    return write_tiny_sd1(tmp_path_factory.mktemp("tiny") / "tiny.safetensors", metadata=NATIVE_64)


@pytest.fixture(scope="session")
def store() -> Store:
    return Store(2, torch.device("cpu"))
