"""`python webui.py train` over an engine that only pretends: finishing, pausing by Ctrl+C, going on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from modules import cli
from modules.flags import train_flags
from modules.schema.events import TrainStep
from modules.schema.training import TrainingRequest
from modules.training_command import step_text
from tests.service.training.helpers import data_set, vectors
from tests.sources import ROOT


def _start(folder: Path, *words: str) -> subprocess.Popen[str]:
    """The command in a program folder whose engine is the one that pretends."""
    program = folder / "program"
    (program / "modules" / "engine").mkdir(parents=True, exist_ok=True)
    (program / "modules" / "__init__.py").touch()
    (program / "modules" / "engine" / "main.py").write_text("from tests.service.fake_engine import main\n\nmain()\n")
    for name in ("modules/schema", "models"):
        if not (program / name).exists():
            (program / name).symlink_to(ROOT / name)
    code = (
        "import sys; from pathlib import Path; from modules import cli; "
        f"sys.exit(cli.main(sys.argv[1:], Path({str(program)!r})))"
    )
    command = [sys.executable, "-c", code, "train", "--data", str(folder / "pictures"), *words]
    return subprocess.Popen(
        [*command, "--data-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def _ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, errors = process.communicate(timeout=60)
    return process.returncode, out, errors


def test_flags() -> None:
    given = train_flags().read(
        ["--data", "x", "--name", "y", "--preview-steps", "4", "--checkpoint", "z", "--flip", "--learn-rate", "0.1"]
    )
    assert given == {
        "data_root": "x", "name": "y", "preview.steps": 4, "preview.checkpoint": "z", "flip": True,
        "learn_rate": "0.1",
    }  # fmt: skip
    flags = set(train_flags().spellings())
    assert {f"--{name.replace('_', '-')}" for name in TrainingRequest.model_fields} - flags == {
        "--kind", "--preview", "--run", "--start",
    }  # fmt: skip


def test_a_training_to_its_end(tmp_path: Path) -> None:
    data_set(tmp_path)
    code, out, errors = _ended(_start(tmp_path, "--name", "word", "--steps", "12"))
    assert code == 0, errors
    assert out.strip() == str(tmp_path / "embeddings" / "word.safetensors")
    assert "step 12 of 12" in errors
    code, _, errors = _ended(_start(tmp_path, "--name", "word", "--steps", "12"))
    assert code == cli.REFUSED
    assert "is done, at step 12" in errors
    code, _, errors = _ended(_start(tmp_path, "--name", "word", "--steps", "20"))
    assert code == 0, errors
    assert "Going on with the run" in errors


def test_ctrl_c_pauses_and_the_same_command_goes_on(tmp_path: Path) -> None:
    data_set(tmp_path)
    words = ("--name", "slow", "--steps", "60", "--seed", "7", "--num-vectors-per-token", "2")
    process = _start(tmp_path, *words)
    assert process.stderr is not None
    for line in process.stderr:
        if "step" in line:
            break
    process.send_signal(signal.SIGINT)
    code, _, errors = _ended(process)
    assert code == cli.INTERRUPTED
    assert "is paused at step" in errors
    code, _, errors = _ended(_start(tmp_path, *words, "--learn-rate", "0.1"))
    assert code == cli.REFUSED
    assert "was begun with --learn-rate 0.005" in errors
    code, out, errors = _ended(_start(tmp_path, *words))
    assert code == 0, errors
    assert "Going on with the run" in errors
    paused = vectors(Path(out.strip()))
    code, out, _ = _ended(_start(tmp_path, *words, "--new", "--overwrite-old"))
    assert code == 0
    assert np.array_equal(paused, vectors(Path(out.strip())))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--name", "x"], "data"),
        (["--name", "x", "--steps", "0"], "--steps cannot be 0"),
        (["--name", "x", "--preset", "Nonsense"], "invalid choice"),
        (["--name", "x", "--nonsense"], "no option named '--nonsense'"),
    ],
)
def test_mistakes_are_a_sentence(
    words: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["train", *words, "--data-dir", str(tmp_path)], ROOT) == cli.REFUSED
    assert sentence in capsys.readouterr().err


def test_the_line_beside_the_bar() -> None:
    now = TrainStep("r", 5, 10, smooth=0.1, evaluation=0.2, best=0.15, best_step=4, seconds_left=30)
    assert step_text(now) == "step 5 of 10, loss 0.1000, evaluation 0.2000 (best 0.1500 at 4), 30 s left"
    assert step_text(TrainStep("r", 0, 10, state="preparing")) == "preparing the pictures"
    assert step_text(TrainStep("r", 1, 10, seconds_left=7200)).endswith("2.0 h left")
    assert step_text(TrainStep("r", 1, 10, seconds_left=600)).endswith("10 min left")
