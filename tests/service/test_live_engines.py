"""Two real engine processes with the embedded checkpoint draw what one draws, to the last bit; one is killed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from modules.schema.events import Finished, ImageSaved
from modules.schema.orders import AnyOrder
from modules.schema.scripts import ScriptRequest
from modules.schema.settings import Settings
from modules.service.app import App
from tests.service.helpers import ANN, ROOT, request, until

pytestmark = pytest.mark.engine

_PATIENCE = 240.0
_BASE = request("a red circle", sampler="DPM++ SDE", width=64, height=64, subseed=4)
BATCH = _BASE.replace(steps=5, batch_count=5, batch_size=2)
GRID = ScriptRequest(
    script="x/y/z plot",
    base=_BASE,
    options={"x_type": "Steps", "x_values": "2,6", "y_type": "CFG Scale", "y_values": "3,7", "z_type": "Seed",
             "z_values": "5,6"},
)  # fmt: skip


def pictures(app: App, order: AnyOrder, meanwhile: Callable[[str], None] = lambda job_id: None) -> list[Any]:
    """Everything of a job's pictures; `meanwhile` is called when it has been put into the queue."""
    job = app.submit(order, ANN)
    meanwhile(job.id)
    events = [event for _, event in app.follow(job.id, ANN, timeout=_PATIENCE)]
    assert isinstance(events[-1], Finished), events[-1:]
    images = [event for event in events if isinstance(event, ImageSaved)]
    return [(i.index, i.name, i.infotext, i.sheet, app.image_path(i.name, ANN).read_bytes()) for i in images]


@pytest.fixture
def run(tmp_path: Path) -> Callable[[str], App]:
    def started(gpus: str) -> App:
        settings = Settings(data_dir=str(tmp_path / (gpus or "one")), device="cpu", gpus=gpus, threads=1)
        app = App.start(settings, ROOT)
        until(lambda: all(view.state == "ready" for view in app.engines.views), _PATIENCE)
        return app

    return started


def test_two_engines_one_of_them_killed_draw_the_pictures_of_one(run: Callable[[str], App]) -> None:
    app = run("cpu,cpu")

    def kill(job_id: str) -> None:
        until(lambda: sum(view.state == "busy" for view in app.engines.views) == 2, _PATIENCE)
        until(lambda: len(app.job(job_id, ANN).images) >= 2, _PATIENCE)
        psutil.Process(app.engines.pids[0]).kill()

    try:
        first = pictures(app, _BASE.replace(steps=2))
        batch = pictures(app, BATCH, kill)
        until(lambda: all(view.state == "ready" for view in app.engines.views), _PATIENCE)
        grid = pictures(app, GRID)
    finally:
        app.close()
    one = run("")
    try:
        assert pictures(one, _BASE.replace(steps=2)) == first
        assert pictures(one, BATCH) == batch
        assert pictures(one, GRID) == grid
    finally:
        one.close()
    assert len(batch) == 10
    assert [picture[3] for picture in grid] == [False] * 8 + [True]
