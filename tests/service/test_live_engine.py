"""The real engine process with the embedded checkpoint, killed in the middle of a job."""

from __future__ import annotations

from collections.abc import Callable

import psutil
import pytest

from modules.schema.events import Failed, Finished, ImageSaved
from modules.schema.settings import Settings
from modules.service.app import App
from modules.service.devices import engine_command
from tests.service.helpers import ANN, BOB, request, to_end, until

pytestmark = pytest.mark.engine


def test_kill_9_in_the_middle_of_a_job_and_the_next_one_is_drawn(start: Callable[..., App]) -> None:
    app = start(command=engine_command(Settings(device="cpu", threads=1)))
    lost = app.submit(request("a red circle", steps=1000, width=64, height=64), ANN)
    waiting = app.submit(request("a blue square", steps=2, width=64, height=64), BOB)
    until(lambda: (app.progress(lost.id, ANN)[0] or request()).__dict__.get("step", 0) >= 2, 90)
    pid = app.engine_pid
    assert pid is not None
    psutil.Process(pid).kill()
    (*_, end) = list(event for _, event in app.follow(lost.id, ANN, timeout=30))
    assert isinstance(end, Failed)
    assert end.kind == "EngineLost"
    assert app.count_tokens("the page lives").used == 3
    events = [event for _, event in app.follow(waiting.id, BOB, timeout=90)]
    assert isinstance(events[-1], Finished)
    (image,) = [event for event in events if isinstance(event, ImageSaved)]
    assert app.image_path(image.name, BOB).is_file()
    assert "Model: miniature" in image.infotext
    assert app.engine_pid not in (None, pid)
    interrupted = app.submit(request("a hill", steps=1000, width=64, height=64), ANN)
    until(lambda: app.progress(interrupted.id, ANN)[0] is not None, 60)
    app.interrupt(interrupted.id, ANN)
    assert to_end(app, interrupted.id)[-1].reason == "interrupted"  # type: ignore[union-attr]
