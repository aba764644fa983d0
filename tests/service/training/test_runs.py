"""Trainings over the whole life of an App, with an engine that only pretends: pausing, dying, going on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from modules.schema.errors import BadRequest, NotFound
from modules.schema.events import Failed, Finished, Notice, TrainFile
from modules.schema.training import TrainingRequest
from modules.service.app import App
from modules.service.training.runs import this_process
from tests.service.helpers import ANN, BOB, ROOT, request, to_end, until
from tests.service.training.helpers import at_step, run_of, training, vectors

Start = Callable[..., App]
Undisturbed = Callable[..., np.ndarray]


@pytest.fixture
def finished(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """What a training makes that nothing disturbs."""

    def undisturbed(name: str, **values: object) -> np.ndarray:
        folder = tmp_path_factory.mktemp("undisturbed")
        app = start(folder)
        assert to_end(app, app.submit(training(folder, name, **values), ANN).id)[-1].reason == "done"  # type: ignore[union-attr]
        return vectors(folder / "embeddings" / f"{name}.safetensors")

    return undisturbed


def test_a_training_from_the_order_to_the_word(app: App, tmp_path: Path) -> None:
    job = app.submit(training(tmp_path, "my_uncle"), ANN)
    assert isinstance(job.request, TrainingRequest)
    run = job.request.run
    assert run.endswith("-my_uncle")
    events = to_end(app, job.id)
    assert events[-1] == Finished("done", 0.5)
    assert [event.name for event in events if isinstance(event, TrainFile)][:2] == [
        "embeddings/my_uncle-10.safetensors",
        "images/my_uncle-10-0.png",
    ]
    detail = app.training.detail(run)
    assert (detail.summary.state, detail.summary.step, detail.summary.steps) == ("done", 20, 20)
    assert (detail.best_step, detail.request.seed) == (20, 7)
    assert {(file.kind, file.step) for file in detail.files} >= {("copy", 10), ("copy", 20), ("preview", 20)}
    assert len(app.training.history(run)) == 20
    assert app.training.history(run, after=15)[0][0] == 16
    assert app.embeddings.find("my_uncle").vectors == 2
    assert app.embeddings.find("my_uncle-20").name == f"training/{run}/my_uncle-20.safetensors"
    folder = tmp_path / "textual_inversion" / run[:10] / "my_uncle"
    assert {"request.json", "dataset.json", "run.json"} <= {path.name for path in folder.iterdir()}


def test_copies_can_be_called_by_name_while_the_training_runs(app: App, tmp_path: Path) -> None:
    job = app.submit(training(tmp_path, "slowword", steps=400), ANN)
    run = run_of(app, job.id)
    at_step(app, run, 12)
    drawn = app.submit(request("by slowword-10"), BOB)
    assert isinstance(to_end(app, drawn.id, BOB)[-1], Finished)
    named = app.job(drawn.id, BOB).model.named
    assert [Path(file.path).name for file in named] == ["slowword-10.safetensors"]
    assert app.training.summary(run).state == "running"
    app.training.stop(run)
    assert to_end(app, job.id)[-1].reason == "interrupted"  # type: ignore[union-attr]
    assert app.embeddings.find("slowword").path.parent == tmp_path / "embeddings"


def test_drawing_is_served_while_a_training_runs(app: App, tmp_path: Path, finished: Undisturbed) -> None:
    job = app.submit(training(tmp_path, "slow", steps=40), ANN)
    run = run_of(app, job.id)
    at_step(app, run, 2)
    for owner in (ANN, BOB):
        drawn = app.submit(request("a cat"), owner)
        assert isinstance(to_end(app, drawn.id, owner)[-1], Finished)
        assert app.job(drawn.id, owner).images
    assert app.training.summary(run).state == "running"
    assert to_end(app, job.id)[-1].reason == "done"  # type: ignore[union-attr]
    assert np.array_equal(vectors(tmp_path / "embeddings" / "slow.safetensors"), finished("slow", steps=40))


def test_pause_and_resume_give_what_an_undisturbed_run_gives(app: App, tmp_path: Path, finished: Undisturbed) -> None:
    job = app.submit(training(tmp_path, "slow", steps=30), ANN)
    run = run_of(app, job.id)
    at_step(app, run, 7)
    app.training.pause(run)
    assert to_end(app, job.id)[-1].reason == "paused"  # type: ignore[union-attr]
    assert app.job(job.id, ANN).state == "paused"
    assert app.training.summary(run).state == "paused"
    assert not (tmp_path / "embeddings" / "slow.safetensors").exists()
    again = app.training.resume(run, BOB)
    with pytest.raises(BadRequest, match="in the queue already"):
        app.training.resume(run, ANN)
    assert to_end(app, again.id, BOB)[-1].reason == "done"  # type: ignore[union-attr]
    assert [row[0] for row in app.training.history(run)] == list(range(1, 31))
    assert np.array_equal(vectors(tmp_path / "embeddings" / "slow.safetensors"), finished("slow", steps=30))


def test_more_steps_on_a_finished_run(app: App, tmp_path: Path, finished: Undisturbed) -> None:
    job = app.submit(training(tmp_path, "word"), ANN)
    run = run_of(app, job.id)
    to_end(app, job.id)
    with pytest.raises(BadRequest, match="has done its 20 steps"):
        app.training.resume(run, ANN)
    more = app.training.resume(run, ANN, steps=35)
    assert to_end(app, more.id)[-1].reason == "done"  # type: ignore[union-attr]
    assert app.training.summary(run).step == 35
    assert np.array_equal(vectors(tmp_path / "embeddings" / "word.safetensors"), finished("word", steps=35))


def test_two_runs_queue_and_a_waiting_one_can_be_paused(app: App, tmp_path: Path) -> None:
    first = app.submit(training(tmp_path, "slow one"), ANN)
    second = app.submit(training(tmp_path, "two"), BOB)
    third = app.submit(training(tmp_path, "three"), BOB)
    until(lambda: app.training.summary(run_of(app, first.id)).state == "running")
    assert [app.training.summary(run_of(app, j.id, BOB)).state for j in (second, third)] == ["waiting", "waiting"]
    assert app.job(third.id, BOB).position == 2
    app.training.pause(run_of(app, third.id, BOB))
    assert app.training.summary(run_of(app, third.id, BOB)).state == "paused"
    assert to_end(app, second.id, BOB)[-1].reason == "done"  # type: ignore[union-attr]
    assert app.job(first.id, ANN).state == "done"
    states = {summary.name: summary.state for summary in app.training.list()}
    assert states == {"slow one": "done", "two": "done", "three": "paused"}


def test_kill_9_of_the_engine_in_the_middle(app: App, tmp_path: Path, finished: Undisturbed) -> None:
    job = app.submit(training(tmp_path, "slow", steps=30), ANN)
    run = run_of(app, job.id)
    for step in (7, 16):
        at_step(app, run, step)
        pid = app.engine_pid
        assert pid is not None
        psutil.Process(pid).kill()
        until(lambda pid=pid: app.engine_pid not in (None, pid))
    events = to_end(app, job.id)
    assert events[-1] == Finished("done", 0.5)
    assert any(isinstance(event, Notice) and "last saved state" in event.text for event in events)
    assert np.array_equal(vectors(tmp_path / "embeddings" / "slow.safetensors"), finished("slow", steps=30))


def test_a_training_that_always_kills_the_engine_is_given_up(app: App, tmp_path: Path) -> None:
    job = app.submit(training(tmp_path, "stuck"), ANN)
    drawn = app.submit(request("a cat"), BOB)
    end = to_end(app, job.id)[-1]
    assert isinstance(end, Failed)
    assert end.kind == "EngineLost"
    assert "3 times" in end.message
    assert app.training.summary(run_of(app, job.id)).state == "failed"
    assert app.job(drawn.id, BOB).state in ("done", "failed")
    assert isinstance(to_end(app, app.submit(request("a cat"), BOB).id, BOB)[-1], Finished)


def test_one_death_is_forgiven_without_being_asked(app: App, tmp_path: Path) -> None:
    job = app.submit(training(tmp_path, "die once"), ANN)
    assert to_end(app, job.id)[-1].reason == "done"  # type: ignore[union-attr]


def test_a_failure_the_artist_can_mend_is_a_pause(app: App, tmp_path: Path) -> None:
    job = app.submit(training(tmp_path, "broken"), ANN)
    assert isinstance(to_end(app, job.id)[-1], Failed)
    summary = app.training.summary(run_of(app, job.id))
    assert (summary.state, summary.message) == ("paused", "There is no room on the disk: make some.")


def test_the_folder_goes_away_in_the_night(app: App, tmp_path: Path) -> None:
    first = app.submit(training(tmp_path, "slow", steps=10), ANN)
    job = app.submit(training(tmp_path, "word"), ANN)
    run = run_of(app, job.id)
    folder = tmp_path / "textual_inversion" / run[:10] / "word"
    shutil.move(folder, tmp_path / "elsewhere")
    to_end(app, first.id)
    end = to_end(app, job.id)[-1]
    assert isinstance(end, Failed)
    assert "may have been moved" in end.message
    shutil.move(tmp_path / "elsewhere", folder)
    assert app.training.summary(run).state == "paused"
    assert to_end(app, app.training.resume(run, ANN).id)[-1].reason == "done"  # type: ignore[union-attr]


def test_closing_the_program_pauses_and_the_next_start_goes_on(
    start: Start, tmp_path: Path, finished: Undisturbed
) -> None:
    app = start()
    job = app.submit(training(tmp_path, "slow", steps=40), ANN)
    run = run_of(app, job.id)
    at_step(app, run, 8)
    app.close()
    again = start()
    assert to_end(again, job.id)[-1].reason == "done"  # type: ignore[union-attr]
    assert again.training.summary(run).step == 40
    assert np.array_equal(vectors(tmp_path / "embeddings" / "slow.safetensors"), finished("slow", steps=40))


_KILLED = """
import sys, time
from pathlib import Path
from tests.service.helpers import ANN, make_app
from tests.service.training.helpers import at_step, run_of, training
folder = Path(sys.argv[1])
app = make_app(folder)
job = app.submit(training(folder, "slow", steps=40), ANN)
at_step(app, run_of(app, job.id), 8)
print(job.id, run_of(app, job.id), app.engine_pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("resumes", [True, False])
def test_kill_9_of_the_server_in_the_middle(start: Start, tmp_path: Path, resumes: bool) -> None:
    server = subprocess.Popen(
        [sys.executable, "-c", _KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert server.stdout is not None
    job_id, run, engine = server.stdout.readline().split()
    server.kill()
    server.wait()
    until(lambda: not psutil.pid_exists(int(engine)))
    app = start(resume_training=resumes)
    if not resumes:
        assert app.training.summary(run).state == "paused"
        assert app.job(job_id, ANN).state == "paused"
        job_id = app.training.resume(run, ANN).id
    assert to_end(app, job_id)[-1].reason == "done"  # type: ignore[union-attr]
    assert [row[0] for row in app.training.history(run)] == list(range(1, 41))


def test_stop_keeps_the_best_or_a_chosen_copy(app: App, tmp_path: Path) -> None:
    job = app.submit(training(tmp_path, "slow", steps=400), ANN)
    run = run_of(app, job.id)
    at_step(app, run, 22)
    app.training.stop(run, "best")
    assert app.training.summary(run).state == "interrupted"
    result = tmp_path / "embeddings" / "slow.safetensors"
    folder = tmp_path / "textual_inversion" / run[:10] / "slow"
    assert result.read_bytes() == (folder / "best.safetensors").read_bytes()
    assert app.training.keep(run, 10) == result
    assert result.read_bytes() == (folder / "embeddings" / "slow-10.safetensors").read_bytes()
    with pytest.raises(NotFound, match="there are those of steps 10, 20"):
        app.training.keep(run, 15)


def test_a_run_goes_to_the_trash(app: App, tmp_path: Path) -> None:
    job = app.submit(training(tmp_path, "slow"), ANN)
    run = run_of(app, job.id)
    with pytest.raises(BadRequest, match="pause or stop it first"):
        app.training.delete(run)
    to_end(app, job.id)
    trash = app.training.delete(run)
    assert trash == tmp_path / "textual_inversion" / "trash" / run
    assert (trash / "request.json").is_file()
    assert app.training.list() == []
    with pytest.raises(NotFound):
        app.training.detail(run)


def test_a_run_of_another_living_program_is_left_alone(app: App, tmp_path: Path) -> None:
    job = app.submit(training(tmp_path, "word"), ANN)
    run = run_of(app, job.id)
    to_end(app, job.id)
    found = app.training.runs.find(run)
    app.training.runs.mark(found, state="running", job="unknown")
    assert app.training.summary(run).state == "running"
    with pytest.raises(BadRequest, match="in another program"):
        app.training.pause(run)
    record = found.path("run.json")
    record.write_text(record.read_text().replace(str(this_process()[0]), "999999999"))
    assert app.training.summary(run).state == "interrupted"


def test_files_are_named_and_checked(app: App, tmp_path: Path) -> None:
    job = app.submit(training(tmp_path, "word"), ANN)
    run = run_of(app, job.id)
    to_end(app, job.id)
    folder = app.training.runs.find(run).folder
    assert app.training.file(run, "images/word-10-0.png") == folder / "images" / "word-10-0.png"
    os.symlink("/etc/hostname", folder / "images" / "word-11-0.png")
    outside = ("../word/request.json", "images/../run.json", "images/word-11-0.png", "/etc/passwd")
    for name in ("state.safetensors", "run.json", *outside, "images", ""):
        with pytest.raises(NotFound):
            app.training.file(run, name)
    for run_id in ("../x", "2026-01-01-..", "2026-01-01-../word", "x"):
        with pytest.raises(NotFound):
            app.training.file(run_id, "request.json")
