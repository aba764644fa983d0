"""Deaths and restarts, of the engine and of the whole server, seen from the App."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from modules.schema.errors import NotFound
from modules.schema.events import Failed, Finished, ImageSaved, Notice
from modules.service.app import App
from tests.service.helpers import ANN, BOB, FAKE, ROOT, ready, request, running, to_end, until

Start = Callable[..., App]


def test_kill_9_of_the_engine_fails_that_job_only(shared: App) -> None:
    job = shared.submit(request("slow", steps=100, batch_count=2), ANN)
    waiting = shared.submit(request(), BOB)
    running(shared, job.id)
    pid = shared.engine_pid
    assert pid is not None
    psutil.Process(pid).kill()
    (*_, end) = to_end(shared, job.id)
    assert isinstance(end, Failed)
    assert end.kind == "EngineLost"
    assert end.message.count(". ") == 0
    assert shared.job(job.id, ANN).state == "failed"
    assert isinstance(to_end(shared, waiting.id, BOB)[-1], Finished)
    assert shared.engine_pid not in (None, pid)


def test_pictures_done_before_the_engine_died_are_kept(shared: App) -> None:
    job = shared.submit(request("slow", steps=10, batch_count=50), ANN)
    until(lambda: len(shared.job(job.id, ANN).images) >= 2)
    psutil.Process(shared.engine_pid or 0).kill()
    events = to_end(shared, job.id)
    images = shared.job(job.id, ANN).images
    assert len(images) == sum(isinstance(event, ImageSaved) for event in events) >= 2
    assert all(shared.image_path(image.name).is_file() for image in images)


def test_a_lost_job_is_run_once_more_where_the_settings_say_so(start: Start) -> None:
    app = start(retry_lost_jobs=True)
    job = app.submit(request("slow", steps=10, batch_count=3), ANN)
    until(lambda: len(app.job(job.id, ANN).images) == 1)
    psutil.Process(app.engine_pid or 0).kill()
    events = to_end(app, job.id)
    assert isinstance(events[-1], Finished)
    assert any(isinstance(event, Notice) and "once more" in event.text for event in events)
    assert [image.index for image in app.job(job.id, ANN).images] == [0, 1, 2]
    poison = app.submit(request("die"), ANN)
    assert isinstance(to_end(app, poison.id)[-1], Failed)
    assert isinstance(to_end(app, app.submit(request(), ANN).id)[-1], Finished)


def test_an_engine_that_never_starts_is_given_up_with_a_sentence_and_tried_again(
    start: Start, tmp_path: Path
) -> None:
    flag = tmp_path / "flag"
    app = start(command=[*FAKE, "--crash"])
    until(lambda: app.engine_status().state == "stopped")
    status = app.engine_status()
    assert "no such device" in status.text
    assert "press Generate to try again" in status.text
    job = app.submit(request(), ANN)
    assert app.job(job.id, ANN).state == "waiting"
    until(lambda: app.engine_status().state == "starting")
    until(lambda: app.engine_status().state == "stopped")
    app.close()
    other = start(command=[*FAKE, "--once", str(flag)])
    assert isinstance(to_end(other, job.id)[-1], Finished)


def test_a_checkpoint_that_kills_the_engine_is_not_preloaded_for_ever(start: Start, tmp_path: Path) -> None:
    models = tmp_path / "models" / "Stable-diffusion"
    models.mkdir(parents=True)
    shutil.copy(ROOT / "models" / "Stable-diffusion" / "miniature.safetensors", models / "deadly.safetensors")
    app = start(ckpt="deadly")
    until(lambda: "ended unexpectedly" in app.engine_status().text)
    ready(app)
    time.sleep(0.3)
    assert app.engine_status().state == "ready"
    assert isinstance(to_end(app, app.submit(request(), ANN).id)[-1], Finished)


def test_waiting_jobs_survive_a_restart_and_the_running_one_is_interrupted(start: Start) -> None:
    app = start()
    job = app.submit(request("slow", steps=20, batch_count=20), ANN)
    waiting = app.submit(request(), BOB)
    until(lambda: len(app.job(job.id, ANN).images) >= 1)
    app.close()
    again = start()
    lost = again.job(job.id, ANN)
    assert lost.state == "interrupted"
    assert lost.images
    assert all(again.image_path(image.name).is_file() for image in lost.images)
    assert to_end(again, job.id)[-1].reason == "interrupted"  # type: ignore[union-attr]
    assert isinstance(to_end(again, waiting.id, BOB)[-1], Finished)


def test_kill_9_of_the_whole_server_loses_no_waiting_job(start: Start, tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from tests.service.helpers import ANN, BOB, make_app, request, until\n"
        f"app = make_app(Path({str(tmp_path)!r}))\n"
        "a = app.submit(request('slow', steps=10, batch_count=100), ANN); b = app.submit(request(), BOB)\n"
        "until(lambda: len(app.job(a.id, ANN).images) >= 2)\n"
        "last = list(app.follow(a.id, ANN, timeout=0))[-1][0]\n"
        "print(a.id, b.id, last, app.engine_pid, flush=True); time.sleep(60)"
    )
    server = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert server.stdout is not None
    first, second, last, engine = server.stdout.readline().split()
    server.kill()
    server.wait()
    server.stdout.close()
    app = start()
    assert app.job(first, ANN).state == "interrupted"
    assert len(app.job(first, ANN).images) >= 2
    beyond = [event for _, event in app.follow(first, ANN, after=int(last))]
    assert beyond[-1].reason == "interrupted"  # type: ignore[union-attr]
    assert isinstance(to_end(app, second, BOB)[-1], Finished)
    until(lambda: not psutil.pid_exists(int(engine)) or psutil.Process(int(engine)).status() == "zombie")


def test_a_broken_database_is_told_and_replaced(start: Start, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "jobs.sqlite").write_bytes(b"rubbish" * 1000)
    app = start()
    assert any("moved to jobs.broken" in notice for notice in app.notices)
    to_end(app, app.submit(request(), ANN).id)


def test_two_apps_on_one_folder_do_not_disturb_each_other(start: Start) -> None:
    app, other = start(), start()
    job = app.submit(request("slow", steps=20), ANN)
    with pytest.raises(NotFound):
        other.job(job.id, ANN)
    to_end(other, other.submit(request(), ANN).id)
    to_end(app, job.id)


def test_closing_ends_readers_and_the_engine(app: App) -> None:
    job = app.submit(request("slow", steps=1000), ANN)
    running(app, job.id)
    pid = app.engine_pid or 0
    ended = threading.Event()
    threading.Thread(target=lambda: (list(app.follow(job.id, ANN)), ended.set())).start()
    app.close()
    assert ended.wait(5)
    assert not psutil.pid_exists(pid)
