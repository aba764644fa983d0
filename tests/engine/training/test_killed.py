"""A real engine process, killed in the middle of a training, and the same bits afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from modules.engine.loading.store import Store
from modules.schema.engine import Command, write_frame
from modules.schema.events import TrainStep
from tests.engine.test_main import read_event, spawn
from tests.engine.training.runs import learned, make_job, pictures, reason, train


@pytest.mark.engine
def test_kill_9_of_the_engine_changes_no_bit(tiny: Path, tmp_path: Path, store: Store) -> None:
    whole, killed = (
        make_job(tmp_path / name, pictures(count=4), checkpoint=tiny, steps=80, save_embedding_every=5)
        for name in ("whole", "killed")
    )
    process = spawn("--device", "cpu")
    assert process.stdin is not None
    write_frame(process.stdin, Command(name="run", job=killed).model_dump_json().encode())
    while (said := read_event(process)) is not None:
        if isinstance(said[1], TrainStep) and said[1].step > 12:
            break
    process.kill()
    process.wait()
    assert said is not None
    assert reason(list(train(killed, store))) == "done"
    assert reason(list(train(whole, store))) == "done"
    for name, tensor in learned(whole).items():
        assert torch.equal(tensor, learned(killed)[name]), name
