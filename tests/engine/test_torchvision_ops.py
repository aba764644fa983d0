"""torchvision, transformers and spandrel import beside whatever PyTorch is installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from modules.engine import torchvision_ops
from tests.sources import ROOT


@pytest.mark.parametrize("package", ["torchvision", "spandrel", "transformers.models.clip.modeling_clip"])
def test_a_process_of_its_own_imports(package: str) -> None:
    script = f"import modules.engine.loading, {package}; import torchvision.transforms.functional"
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_nothing_is_declared_without_torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchvision_ops.importlib.util, "find_spec", lambda name: None)
    assert torchvision_ops.declare_missing_ops.__wrapped__() is None


def test_a_file_that_is_no_library_counts_as_missing(tmp_path: Path) -> None:
    (tmp_path / "_C.so").write_bytes(b"not a library")
    assert not torchvision_ops._loads(tmp_path)
    assert not torchvision_ops._loads(tmp_path / "nowhere")
