"""Tiny checkpoints shared by the loading tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.tiny import write_tiny_sd1


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small are slower with more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """fp32 safetensors of seed 0, without metadata."""
    return write_tiny_sd1(tmp_path_factory.mktemp("tiny") / "tiny.safetensors")


@pytest.fixture(scope="session")
def words() -> torch.Tensor:
    """Encoded words [2,77,64]."""
    return torch.randn(2, 77, 64, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="session")
def latents() -> torch.Tensor:
    """[2,4,8,8]"""
    return torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(2))
