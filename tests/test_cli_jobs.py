"""`extras` and `merge` on the command line, with the real engine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open

from modules import cli
from modules.flags import extras_flags, merge_flags
from modules.schema.errors import BadRequest
from modules.service.inputs import natural, pictures_at
from tests.engine.postprocess.upscaler_files import make_esrgan
from tests.sources import ROOT


def _run(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "modules.cli", *words, "--data-dir", str(folder)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def test_flags() -> None:
    assert merge_flags().read(["a", "b", "--multiplier", "0.5", "--keep-ema"]) == {
        "checkpoints": ["a", "b"],
        "multiplier": 0.5,
        "keep_ema": True,
    }
    assert extras_flags().read(["a.png", "--upscaler-1", "Lanczos"])["upscaler_1"] == "Lanczos"


def test_too_many_checkpoints(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert cli.main(["merge", "a", "b", "c", "d", "--data-dir", str(tmp_path)], ROOT) == cli.REFUSED
    assert "4 checkpoints were named" in capsys.readouterr().err


def test_folders_of_pictures(tmp_path: Path) -> None:
    for name in ("b10.png", "b2.jpg", "sub/a.webp", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert [path.name for path in pictures_at(tmp_path)] == ["b2.jpg", "b10.png", "a.webp"]
    assert pictures_at(tmp_path / "notes.txt") == [tmp_path / "notes.txt"]
    with pytest.raises(BadRequest, match="no file or folder"):
        pictures_at(tmp_path / "nowhere")
    assert sorted(["a10", "a9", "B1"], key=natural) == ["a9", "a10", "B1"]


@pytest.mark.live
def test_a_folder_is_enlarged_by_a_model(tmp_path: Path) -> None:
    make_esrgan(tmp_path / "models" / "ESRGAN" / "double.pth")
    (tmp_path / "in").mkdir()
    source = Image.fromarray(np.random.default_rng(3).integers(0, 256, (10, 14, 3), dtype=np.uint8))
    source.save(tmp_path / "in" / "one.png")
    Image.new("RGB", (6, 6), "red").save(tmp_path / "in" / "two.png")
    result = _run("extras", str(tmp_path / "in"), "--upscaler-1", "double", "--scale", "2", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    first, second = (Path(line) for line in result.stdout.splitlines())
    assert first.name == "00000-one.png"
    assert second.name == "00001-two.png"
    with Image.open(first) as picture:
        assert picture.convert("RGB").tobytes() == source.resize((28, 20), Image.Resampling.NEAREST).tobytes()
        assert picture.info["postprocessing"] == "Postprocess upscale by: 2, Postprocess upscaler: double"


@pytest.mark.live
def test_a_merge_makes_a_checkpoint(tmp_path: Path) -> None:
    words = ("merge", "miniature", "miniature", "--multiplier", "0.5", "--precision", "fp16", "--name", "both")
    result = _run(*words, folder=tmp_path)
    assert result.returncode == 0, result.stderr
    path = Path(result.stdout.strip())
    assert path == tmp_path / "models" / "Stable-diffusion" / "both.safetensors"
    own = ROOT / "models" / "Stable-diffusion" / "miniature.safetensors"
    with safe_open(path, "np") as merged, safe_open(own, "np") as before:
        assert set(merged.keys()) == {name for name in before.keys() if not name.startswith("model_ema.")}  # noqa: SIM118
        name = "model.diffusion_model.out.2.weight"
        np.testing.assert_array_equal(merged.get_tensor(name), before.get_tensor(name).astype(np.float16))
    again = _run(*words, folder=tmp_path)
    assert again.returncode == cli.REFUSED
    assert again.stderr.strip().startswith("There is a both.safetensors already")
