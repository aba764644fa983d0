"""The examples do what they say, against a whole server."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.sources import ROOT
from tests.web.test_live import address

__all__ = ["address"]

pytestmark = pytest.mark.live

EXAMPLES = ROOT / "examples"


def run(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "no_proxy": "*", **variables}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)


def test_python(address: str, tmp_path: Path) -> None:  # noqa: F811
    file = tmp_path / "boat.png"
    options = ("--address", address, "--steps", "2", "--size", "64")
    done = run(sys.executable, str(EXAMPLES / "draw.py"), "a boat", str(file), *options)
    assert (done.returncode, done.stdout) == (0, f"{file}\n"), done.stderr
    assert "step 2 of 2" in done.stderr
    assert Image.open(file).size == (64, 64)
    wrong = run(sys.executable, str(EXAMPLES / "draw.py"), "a boat", str(file), "--address", address, "--size", "1")
    assert wrong.returncode == 1
    assert "Width" in wrong.stderr


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("sh")), reason="there is no curl or no shell here")
def test_curl(address: str, tmp_path: Path) -> None:  # noqa: F811
    file = tmp_path / "boat.png"
    prompt = 'a "boat" \\ here'
    done = run("sh", str(EXAMPLES / "draw.sh"), prompt, str(file), address, STEPS="2", SIZE="64")
    assert (done.returncode, done.stdout) == (0, f"{file}\n"), done.stderr
    picture = Image.open(file)
    assert picture.size == (64, 64)
    assert picture.info["parameters"].startswith(prompt)
