from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from modules.schema.errors import ModelFileError, NotFound, SetupError, UnknownName, UserError
from modules.schema.events import Event, Failed, Finished, ImageDone, ImageSaved, Notice, Preview, Progress
from modules.service.app import App
from tests.asyncs import run
from tests.service.helpers import ANN, BOB, ROOT, make_app, request, running, to_end, until

Start = Callable[..., App]


def kinds(events: list[Event]) -> list[str]:
    """Types of the events that every reader sees."""
    return [type(event).__name__ for event in events if not isinstance(event, Progress | Preview)]


def test_from_request_to_pictures_on_disk(shared: App) -> None:
    job = shared.submit(request("a cat", batch_count=3), ANN)
    events = to_end(shared, job.id)
    assert kinds(events) == ["ImageSaved"] * 3 + ["Finished"]
    assert not any(isinstance(event, ImageDone) for event in events)
    done = shared.job(job.id, ANN)
    assert (done.state, done.position) == ("done", None)
    assert [image.index for image in done.images] == [0, 1, 2]
    for image in done.images:
        path = shared.image_path(image.name)
        assert path.is_relative_to(shared.folders.outputs)
        assert Image.open(path).getpixel((0, 0)) == (image.index,) * 3
        assert f"Seed: {5 + image.index}" in image.infotext
        assert "Model: miniature" in image.infotext
        assert "Model hash: " in image.infotext
        assert Image.open(path).text["parameters"] == image.infotext  # type: ignore[attr-defined]
    assert shared.image_bytes(job.id, 1, ANN) == shared.image_path(done.images[1].name).read_bytes()
    with pytest.raises(NotFound):
        shared.image_bytes(job.id, 3, ANN)


def test_bad_requests_are_refused_at_once_and_leave_no_job(shared: App) -> None:
    with pytest.raises(UnknownName):
        shared.submit(request(checkpoint="nothing like it"), "carl")
    assert shared.recent("carl") == []


def test_a_rounded_size_is_told(shared: App) -> None:
    job = shared.submit(request(width=21), ANN)
    assert job.request.width == 24
    assert any(isinstance(event, Notice) and "24x16" in event.text for event in to_end(shared, job.id))


def test_early_late_and_async_readers_see_the_same(shared: App) -> None:
    job = shared.submit(request("slow", batch_count=2), ANN)
    seen: list[list[Event]] = [[], []]
    early = threading.Thread(target=lambda: seen[0].extend(to_end(shared, job.id)))
    early.start()
    running(shared, job.id)

    async def read() -> None:
        seen[1] = [event async for _, event in shared.async_follow(job.id, ANN)]

    run(read())
    early.join(5)
    late = to_end(shared, job.id)
    assert kinds(seen[0]) == kinds(seen[1]) == kinds(late) == ["ImageSaved", "ImageSaved", "Finished"]
    assert any(isinstance(event, Preview) for event in seen[0])
    assert not any(isinstance(event, Preview) for event in late)


def test_a_reader_goes_on_from_a_number(shared: App) -> None:
    job = shared.submit(request(batch_count=3), ANN)
    numbered = list(shared.follow(job.id, ANN, timeout=20))
    first = next(number for number, event in numbered if isinstance(event, ImageSaved))
    assert kinds([event for _, event in shared.follow(job.id, ANN, after=first)]) == ["ImageSaved"] * 2 + ["Finished"]


def test_owners_are_kept_apart(shared: App) -> None:
    job = shared.submit(request("slow", steps=100), ANN)
    running(shared, job.id)
    for call in (
        lambda: shared.job(job.id, BOB),
        lambda: shared.interrupt(job.id, BOB),
        lambda: shared.skip(job.id, BOB),
        lambda: shared.cancel(job.id, BOB),
        lambda: shared.follow(job.id, BOB),
        lambda: shared.async_follow(job.id, BOB),
        lambda: shared.progress(job.id, BOB),
        lambda: shared.image_bytes(job.id, 0, BOB),
        lambda: shared.forget(job.id, BOB),
    ):
        with pytest.raises(NotFound):
            call()
    assert job.id not in [other.id for other in shared.recent(BOB)]
    assert shared.job(job.id, ANN).state == "running"
    shared.interrupt(job.id, ANN)
    to_end(shared, job.id)
    (image,) = shared.job(job.id, ANN).images
    assert shared.image_path(image.name, ANN).is_file()
    for call in (lambda: shared.image_path(image.name, BOB), lambda: shared.image_data(image.name, BOB)):
        with pytest.raises(NotFound):
            call()


def test_interrupt_keeps_what_is_done(shared: App) -> None:
    job = shared.submit(request("slow", steps=200, batch_count=3), ANN)
    running(shared, job.id)
    shared.interrupt(job.id, ANN)
    events = to_end(shared, job.id)
    assert events[-1].reason == "interrupted"  # type: ignore[union-attr]
    (image,) = shared.job(job.id, ANN).images
    assert image.partial
    assert shared.job(job.id, ANN).state == "interrupted"
    shared.interrupt(job.id, ANN)


def test_skip_goes_on_with_the_next_picture(shared: App) -> None:
    job = shared.submit(request("slow", steps=30, batch_count=2), ANN)
    running(shared, job.id)
    shared.skip(job.id, ANN)
    to_end(shared, job.id)
    assert [image.partial for image in shared.job(job.id, ANN).images] == [True, False]


def test_a_waiting_job_is_cancelled_and_the_queue_moves_up(shared: App) -> None:
    first = shared.submit(request("slow", steps=60), ANN)
    second, third = shared.submit(request(), BOB), shared.submit(request(), ANN)
    running(shared, first.id)
    assert [item.position for item in shared.queue()] == [0, 1, 2]
    shared.interrupt(second.id, BOB)
    assert shared.job(second.id, BOB).state == "cancelled"
    assert to_end(shared, second.id, BOB) == [Finished("cancelled")]
    assert shared.job(third.id, ANN).position == 1
    shared.interrupt(first.id, ANN)
    to_end(shared, third.id)
    assert shared.job(third.id, ANN).state == "done"


def test_jobs_run_in_the_order_of_their_coming(shared: App) -> None:
    ids = [shared.submit(request(), owner).id for owner in (ANN, BOB, ANN, BOB)]
    for job_id, owner in zip(ids, (ANN, BOB, ANN, BOB), strict=True):
        to_end(shared, job_id, owner)
    started = [shared.job(i, o).started or 0 for i, o in zip(ids, (ANN, BOB, ANN, BOB), strict=True)]
    assert started == sorted(started)
    assert [job.id for job in shared.recent(ANN, 2)] == [ids[2], ids[0]]


def test_failures_are_sentences_and_the_queue_goes_on(shared: App) -> None:
    ids = [shared.submit(request(prompt), ANN).id for prompt in ("oom", "bug", "fine")]
    ends = [to_end(shared, job_id)[-1] for job_id in ids]
    assert isinstance(ends[0], Failed)
    assert ends[0].kind == "OutOfMemory"
    assert isinstance(ends[1], Failed)
    assert ends[1].log_id == "1234"
    assert isinstance(ends[2], Finished)
    failed = shared.job(ids[0], ANN)
    assert (failed.state, failed.message) == ("failed", ends[0].message)


def test_the_selected_checkpoint_is_preloaded(app: App) -> None:
    until(lambda: app.engine_status().checkpoint.endswith("miniature.safetensors"))


def test_a_picture_that_cannot_be_saved_is_not_lost(app: App) -> None:
    shutil.rmtree(app.folders.outputs)
    app.folders.outputs.write_text("a file where the folder should be")
    job = app.submit(request("a cat", batch_count=2), ANN)
    events = to_end(app, job.id)
    assert kinds(events) == ["Notice", "ImageSaved", "ImageSaved", "Finished"]
    image = app.job(job.id, ANN).images[0]
    data = app.image_bytes(job.id, 0, ANN)
    assert Image.open(io.BytesIO(data)).size == (16, 16)
    assert app.image_path(image.name, ANN).read_bytes() == data


def test_a_picture_is_held_in_memory_when_no_folder_takes_it(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise UserError("The disk is full: make room.")

    monkeypatch.setattr("modules.service.outputs.Outputs.save", refuse)
    job = app.submit(request("a cat"), ANN)
    events = to_end(app, job.id)
    assert kinds(events) == ["Notice", "ImageSaved", "Finished"]
    assert Image.open(io.BytesIO(app.image_bytes(job.id, 0, ANN))).size == (16, 16)
    (image,) = app.job(job.id, ANN).images
    assert app.image_data(image.name, ANN) == app.image_bytes(job.id, 0, ANN)


def test_pictures_that_are_not_to_be_saved_are_temporary(shared: App) -> None:
    before = list(shared.folders.outputs.rglob("*.png"))
    job = shared.submit(request(), ANN, save=False)
    to_end(shared, job.id)
    assert list(shared.folders.outputs.rglob("*.png")) == before
    data = shared.image_bytes(job.id, 0, ANN)
    assert Image.open(io.BytesIO(data)).text["parameters"]  # type: ignore[attr-defined]
    (image,) = shared.job(job.id, ANN).images
    path = shared.image_path(image.name, ANN)
    assert path.is_relative_to(shared.folders.state)
    shared.forget(job.id, ANN)
    assert not path.exists()
    with pytest.raises(NotFound):
        shared.job(job.id, ANN)


def test_leftover_temporary_pictures_go_at_the_next_start(start: Start, tmp_path: Path) -> None:
    app = start()
    kept = app.submit(request(), ANN, save=False)
    to_end(app, kept.id)
    orphan = tmp_path / "cache" / "temporary-jobs" / "temporary" / "nobody"
    orphan.mkdir(parents=True)
    app.close()
    again = start()
    assert not orphan.exists()
    assert again.image_bytes(kept.id, 0, ANN)


def test_estimates_are_honest_and_learned(app: App) -> None:
    job = app.submit(request("slow", steps=10), ANN)
    assert all(item.seconds is None for item in app.queue() if item.position)
    to_end(app, job.id)
    first = app.submit(request("slow", steps=60), ANN)
    second = app.submit(request("slow", steps=20), ANN)
    running(app, first.id)
    times = {item.job_id: item.seconds for item in app.queue()}
    assert times[first.id] == 1.0  # what the running job itself says
    assert times[second.id] == pytest.approx(1.0 + 20 * 0.05, rel=0.5)
    app.interrupt(first.id, ANN)
    app.interrupt(second.id, ANN)


def test_a_name_finds_the_job(shared: App) -> None:
    job = shared.submit(request(), ANN, name="task(abc)")
    assert shared.job("task(abc)", ANN).id == job.id
    to_end(shared, "task(abc)")


def test_selecting_a_checkpoint_lasts(start: Start, tmp_path: Path) -> None:
    models = tmp_path / "models" / "Stable-diffusion"
    models.mkdir(parents=True)
    shutil.copy(ROOT / "models" / "Stable-diffusion" / "miniature.safetensors", models / "other.safetensors")
    (models / "broken.safetensors").write_bytes(b"no")
    app = start()
    assert app.selected_checkpoint.startswith("miniature")
    app.select_checkpoint("other")
    with pytest.raises(UnknownName):
        app.select_checkpoint("nothing like it")
    with pytest.raises(ModelFileError):
        app.select_checkpoint("broken.safetensors")
    job = app.submit(request(), ANN)
    assert job.request.checkpoint.startswith("other")
    until(lambda: app.engine_status().checkpoint.endswith("other.safetensors"))
    app.close()
    assert start().selected_checkpoint.startswith("other")


def test_a_data_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="--data-dir"):
        make_app(tmp_path / "file")


@pytest.mark.parametrize("name", ["../cache/jobs.sqlite", "/etc/passwd", "a/../../x.png", "", "nothing.png"])
def test_paths_outside_the_outputs_are_not_pictures(shared: App, name: str) -> None:
    with pytest.raises(NotFound):
        shared.image_path(name)


def test_tokens_are_counted(shared: App) -> None:
    assert shared.count_tokens("a cat").used == 2


def test_the_web_process_does_not_import_torch() -> None:
    code = (
        "import sys, modules.service.app\n"
        "sys.exit(bool({'torch', 'transformers', 'diffusers', 'gradio', 'fastapi'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=os.environ.copy(), check=False).returncode == 0
