"""The embedded model truly learns a style that it never saw, in about half a minute."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors import safe_open

from modules.engine.loading.store import Store
from tests.engine.training.runs import make_job, pictures, reason, train

WORD = {"learn_rate": "0.02"}
LORA = {"method": "LoRA", "learn_rate": "0.003"}


@pytest.mark.engine
@pytest.mark.parametrize(("values", "left"), [(WORD, 0.92), (LORA, 0.75)], ids=["word", "LoRA"])
def test_the_evaluation_loss_falls(values: dict[str, object], left: float, tmp_path: Path, store: Store) -> None:
    """`left`: the most that may be left of the loss; measured 0.87 for a word, and for a LoRA less than 0.75."""
    job = make_job(tmp_path, pictures(128), steps=40, evaluate_every=20, evaluation_pictures=16, precision="auto",
                   init_text="drawing", **values)  # fmt: skip
    assert reason(list(train(job, store))) == "done"
    with safe_open(Path(job.files["run"]) / "state.safetensors", "pt") as file:
        course = json.loads(file.metadata()["state"])
    losses = [loss for _, loss in course["evaluations"]]
    assert losses[-1] < left * losses[0]
    assert course["best"] == min(losses)
