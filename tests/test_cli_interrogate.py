"""`interrogate` on the command line, with the real engine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from modules import cli
from modules.flags import interrogate_flags
from tests.captioners import make_tagger
from tests.sources import ROOT


def test_flags() -> None:
    words = ["a.png", "b", "--captioner", "clip", "--no-deepbooru-escape"]
    assert interrogate_flags().read(words) == {
        "pictures": ["a.png", "b"],
        "captioner": "clip",
        "deepbooru_escape": False,
    }


def test_without_a_model_it_is_a_sentence(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    assert cli.main(["interrogate", str(tmp_path / "a.png"), "--data-dir", str(tmp_path)], ROOT) == cli.REFUSED
    assert "models/BLIP" in capsys.readouterr().err.replace("\\", "/")


@pytest.mark.live
def test_a_line_a_picture(tmp_path: Path) -> None:
    make_tagger(tmp_path / "models" / "WD-tagger")
    (tmp_path / "in").mkdir()
    for name in ("red", "blue"):
        Image.new("RGB", (20, 10), name).save(tmp_path / "in" / f"{name}.png")
    command = [sys.executable, "-m", "modules.cli", "interrogate", str(tmp_path / "in"), "--captioner", "deepbooru"]
    result = subprocess.run(
        [*command, "--no-deepbooru-escape", "--data-dir", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    blue, red = (tmp_path / "in" / f"{name}.png" for name in ("blue", "red"))
    assert result.stdout.splitlines() == [
        f"{blue}: ^_^, a hero, blue sky (sky), solo",
        f"{red}: ^_^, a hero, red theme, solo",
    ]
