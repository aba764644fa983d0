"""Scripts as jobs: one job, many orders to the engine, and a grid at the end."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from modules.schema.errors import BadRequest, UnknownName
from modules.schema.events import Finished, ImageSaved, Progress
from modules.schema.request import GenerationRequest
from modules.schema.scripts import ScriptRequest
from modules.service.app import App
from tests.service.helpers import ANN, make_app, request, running, to_end, until


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    app = make_app(tmp_path_factory.mktemp("data"))
    yield app
    app.close()


def _plot(base: GenerationRequest | None = None, **options: Any) -> ScriptRequest:
    values = {"x_type": "Steps", "x_values": "2,3", "y_type": "Seed", "y_values": "7,9", **options}
    return ScriptRequest(script="x/y/z plot", base=base or request("a"), options=values)


def _images(events: list[Any]) -> list[ImageSaved]:
    return [event for event in events if isinstance(event, ImageSaved)]


def test_cells_come_one_by_one_and_the_grid_last(app: App) -> None:
    job = app.submit(_plot(request("a", batch_size=2)), ANN)
    assert (job.request.image_count, job.state) == (8, "waiting")
    events = to_end(app, job.id)
    images = _images(events)
    assert [image.index for image in images] == list(range(9))
    assert [image.sheet for image in images] == [False] * 8 + [True]
    assert [("Steps: 2," in i.infotext, "Seed: 7," in i.infotext) for i in images[:8:2]] == [
        (True, True), (False, True), (True, False), (False, False)]  # fmt: skip
    assert "/xyz_grid-0000.png" in images[-1].name
    assert images[-1].name.startswith("txt2img-grids/")
    assert 'Script: X/Y/Z plot, X Type: Steps, X Values: "2,3", Y Type: Seed, Y Values: "7,9"' in images[-1].infotext
    with Image.open(app.image_path(images[-1].name, ANN)) as grid:
        assert grid.width > 2 * 16
    fractions = [event.fraction for event in events if isinstance(event, Progress)]
    assert fractions == sorted(fractions)
    assert isinstance(events[-1], Finished)
    assert app.job(job.id, ANN).state == "done"


def test_progress_is_that_of_the_whole(app: App) -> None:
    job = app.submit(_plot(request("slow", steps=3)), ANN)
    until(lambda: (app.progress(job.id, ANN)[0] or Progress(0, 0, 0, 0)).image == 2)
    now, preview = app.progress(job.id, ANN)
    assert now is not None
    assert now.images == 4
    assert preview is None or preview.image <= 2
    to_end(app, job.id)


def test_an_interrupt_ends_all_of_it_and_keeps_a_grid(app: App) -> None:
    job = app.submit(_plot(request("slow")), ANN)
    running(app, job.id)
    app.interrupt(job.id, ANN)
    events = to_end(app, job.id)
    assert app.job(job.id, ANN).state == "interrupted"
    assert len([image for image in _images(events) if not image.sheet]) == 1


def test_skip_goes_on_with_the_next_cell(app: App) -> None:
    job = app.submit(_plot(request("slow")), ANN)
    running(app, job.id)
    app.skip(job.id, ANN)
    assert len(_images(to_end(app, job.id))) == 5
    assert app.job(job.id, ANN).state == "done"


def test_a_mistake_in_the_last_cell_is_told_at_once(app: App) -> None:
    with pytest.raises(UnknownName, match="sampler named 'Eulr'"):
        app.submit(_plot(x_type="Sampler", x_values="Euler a, Eulr"), ANN)
    with pytest.raises(UnknownName, match="checkpoint named"):
        app.submit(_plot(x_type="Checkpoint name", x_values="miniature, nothere"), ANN)
    with pytest.raises(BadRequest, match="no values"):
        app.submit(_plot(x_values=""), ANN)


def test_prompts_of_different_sizes(app: App) -> None:
    order = ScriptRequest(
        script="prompts from file or textbox", base=request(), options={"text": "a\n--prompt b --batch_size 3\nc"}
    )
    job = app.submit(order, ANN)
    images = _images(to_end(app, job.id))
    assert [image.index for image in images] == [0, 1, 2, 3, 4]
    assert not any(image.sheet for image in images)
    assert images[2].infotext.startswith("b\n")


def test_a_lost_plot_goes_on_where_it_was(tmp_path: Path) -> None:
    """The engine dies in the third cell: with retry on, the first two are not drawn again."""
    app = make_app(tmp_path, retry_lost_jobs=True)
    try:
        plot = _plot(request("word"), x_type="Prompt S/R", x_values="word, other, die", y_type="Nothing")
        job = app.submit(plot, ANN)
        images = _images(to_end(app, job.id))
        assert [image.index for image in images if not image.sheet] == [0, 1]
        assert app.job(job.id, ANN).state == "failed"
        assert len(list((tmp_path / "outputs" / "txt2img-images").rglob("*.png"))) == 2
    finally:
        app.close()


def test_rows_of_before_there_were_kinds_stay_readable(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    try:
        job = app.submit(request("old"), ANN)
        to_end(app, job.id)
    finally:
        app.close()
    with sqlite3.connect(tmp_path / "cache" / "jobs.sqlite") as db:
        stored = json.loads(db.execute("SELECT request FROM jobs").fetchone()[0])
    assert "kind" not in stored
