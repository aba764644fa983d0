"""Trainings over the real engine and the embedded model: disturbed and killed, with the same vectors bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from modules.schema.events import Failed, Finished, TrainFile
from modules.schema.settings import Settings
from modules.service.app import App
from modules.service.devices import engine_command
from tests.service.helpers import ANN, BOB, request, until
from tests.service.training.helpers import at_step, run_of, training, vectors

pytestmark = [pytest.mark.live, pytest.mark.engine]
Start = Callable[..., App]
_COMMAND = engine_command(Settings(device="cpu", threads=1))
_PLAIN = {"create_image_every": 0, "save_embedding_every": 0, "evaluate_every": 5, "evaluation_pictures": 2}


def _end(app: App, job_id: str, owner: str = ANN) -> Finished | Failed:
    event = [event for _, event in app.follow(job_id, owner, timeout=120)][-1]
    assert isinstance(event, Finished | Failed), event
    return event


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    folder = tmp_path_factory.mktemp("undisturbed")
    app = App.start(Settings(data_dir=str(folder)), Path(__file__).parents[3], command=_COMMAND)
    try:
        job = app.submit(training(folder, "my_uncle", **_PLAIN), ANN)
        assert _end(app, job.id) == Finished("done", seconds=pytest.approx(10, abs=200))
        return vectors(folder / "embeddings" / "my_uncle.safetensors")
    finally:
        app.close()


def test_a_killed_and_disturbed_run_gives_the_same_vectors(
    start: Start, tmp_path: Path, undisturbed: np.ndarray
) -> None:
    app = start(command=_COMMAND)
    job = app.submit(training(tmp_path, "my_uncle", **_PLAIN), ANN)
    run = run_of(app, job.id)
    at_step(app, run, 2)
    drawn = app.submit(request("a red square", width=128, height=128, steps=2), BOB)
    assert _end(app, drawn.id, BOB).reason == "done"  # type: ignore[union-attr]
    assert app.job(job.id, ANN).state == "running"
    at_step(app, run, 6)
    pid = app.engine_pid
    assert pid is not None
    psutil.Process(pid).kill()
    until(lambda: app.engine_pid not in (None, pid), 60)
    at_step(app, run, 3)
    app.training.pause(run)
    assert _end(app, job.id).reason == "paused"  # type: ignore[union-attr]
    app.close()
    again = start(command=_COMMAND)
    job = again.training.resume(run, ANN)
    assert _end(again, job.id).reason == "done"  # type: ignore[union-attr]
    assert np.array_equal(vectors(tmp_path / "embeddings" / "my_uncle.safetensors"), undisturbed)
    assert [row[0] for row in again.training.history(run)] == list(range(21))


def test_copies_previews_and_formats(start: Start, tmp_path: Path) -> None:
    app = start(command=_COMMAND)
    order = training(
        tmp_path, "my_uncle", steps=6, create_image_every=3, save_embedding_every=3, evaluate_every=3,
        evaluation_pictures=1, embedding_format="pt",
    )  # fmt: skip
    job = app.submit(order, ANN)
    events = [event for _, event in app.follow(job.id, ANN, timeout=120)]
    assert isinstance(events[-1], Finished), events[-1]
    run = run_of(app, job.id)
    assert {event.kind for event in events if isinstance(event, TrainFile)} == {"preview", "plain", "copy", "result"}
    listed = {file.name for file in app.training.detail(run).files}
    named = {event.name for event in events if isinstance(event, TrainFile) and event.kind != "result"}
    assert named <= listed
    assert (tmp_path / "embeddings" / "my_uncle.pt").is_file()
    assert app.embeddings.find("my_uncle").vectors == 2
    assert app.embeddings.find("my_uncle-3").vectors == 2
    kept = app.training.keep(run, 3)
    assert kept == tmp_path / "embeddings" / "my_uncle.pt"
    assert app.embeddings.find("my_uncle").step == 3
    detail = app.training.detail(run)
    assert detail.best is not None
    assert detail.best_step in (0, 3, 6)


def test_a_lora_is_found_while_it_learns(start: Start, tmp_path: Path) -> None:
    app = start(command=_COMMAND)
    order = training(
        tmp_path, "my_style", method="LoRA", steps=4, save_embedding_every=2, create_image_every=0,
        evaluate_every=0, lora_rank=2, learn_rate="1e-3",
    )  # fmt: skip
    job = app.submit(order, ANN)
    assert _end(app, job.id).reason == "done"  # type: ignore[union-attr]
    for name in ("my_style", "my_style-2"):
        assert app.networks.find("lora", name).problem is None
    drawn = app.submit(request("a square <lora:my_style-2:1>", width=128, height=128, steps=1), BOB)
    assert _end(app, drawn.id, BOB).reason == "done"  # type: ignore[union-attr]
    assert [file.name for file in app.job(drawn.id, BOB).model.named] == ["my_style-2"]
