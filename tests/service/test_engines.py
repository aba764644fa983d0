"""Several engines: which one a job goes to, and that many draw what one would have drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

from modules.schema.events import Failed, Finished, ImageSaved, Notice, Progress
from modules.schema.orders import AnyOrder
from modules.schema.scripts import ScriptRequest
from modules.service.app import App
from tests.service.helpers import ANN, BOB, FAKE, make_app, request, running, to_end, until
from tests.service.training.helpers import at_step, run_of, training

Start = Callable[..., App]
TWO, THREE = "cpu,cpu", "cpu,cpu,cpu"


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    app = make_app(tmp_path_factory.mktemp("two"), gpus=TWO)
    all_ready(app)
    yield app
    app.close()


def all_ready(app: App) -> None:
    until(lambda: all(engine.state == "ready" for engine in app.engines.views))


def busy(app: App) -> int:
    return sum(engine.state == "busy" for engine in app.engines.views)


def drawn(app: App, order: AnyOrder) -> list[tuple[Any, ...]]:
    """What the readers of a job get of its pictures, and what is in their files."""
    events = to_end(app, app.submit(order, ANN).id)
    assert isinstance(events[-1], Finished)
    images = [event for event in events if isinstance(event, ImageSaved)]
    found = []
    for image in images:
        with Image.open(app.image_path(image.name, ANN)) as picture:
            found.append((image.index, image.name, image.infotext, image.sheet, picture.text, picture.tobytes()))  # type: ignore[attr-defined]
    return found


def plot(**values: Any) -> ScriptRequest:
    options = {"x_type": "Steps", "x_values": "2,9,4", "y_type": "Seed", "y_values": "7,9,11", **values}
    base = request("slow seeded", batch_count=2, seed=3, subseed=4)
    return ScriptRequest(script="x/y/z plot", base=base, options=options)


@pytest.mark.parametrize(
    "order",
    [
        pytest.param(request("slow seeded", batch_count=9, batch_size=2, steps=2, subseed=4), id="a batch"),
        pytest.param(plot(), id="a grid"),
        pytest.param(
            ScriptRequest(script="prompts from file or textbox", base=request("seeded", batch_count=3, subseed=4),
                          options={"text": "slow seeded\nseeded\nslow seeded"}), id="prompts"),
    ],
)  # fmt: skip
def test_three_engines_draw_what_one_draws(start: Start, tmp_path: Path, order: AnyOrder) -> None:
    one = start(tmp_path / "one")
    several = start(tmp_path / "three", gpus=THREE)
    all_ready(several)
    for app in (one, several):
        drawn(app, request())  # now the checkpoint's hash is known, which its title tells
    assert drawn(several, order) == drawn(one, order)
    assert several.engine_status().device == "3 engines"


def test_what_comes_before_is_seen_by_what_begins_with_it(start: Start, tmp_path: Path) -> None:
    """Loopback: every part begins with a picture of the part before it."""
    one, several = start(tmp_path / "one"), start(tmp_path / "two", gpus=TWO)
    picture = Image.new("RGB", (16, 16), "red")
    orders = []
    for app in (one, several):
        name = app.inputs.add_picture(picture)
        base = request("seeded", batch_count=4, subseed=4).model_dump() | {"image": {"picture": name}}
        orders.append(ScriptRequest.model_validate({"script": "loopback", "base": base, "options": {"loops": 3}}))
    assert drawn(several, orders[1]) == drawn(one, orders[0])


def test_two_jobs_run_at_the_same_time(two: App) -> None:
    first, second = (two.submit(request("slow", steps=40), owner) for owner in (ANN, BOB))
    running(two, first.id)
    running(two, second.id, BOB)
    assert [item.position for item in two.queue()] == [0, 0]
    assert two.engine_status().state == "busy"
    assert two.engine_status().text == "Engine 1 (cpu) is drawing, engine 2 (cpu) is drawing."
    two.interrupt(first.id, ANN)
    two.interrupt(second.id, BOB)
    to_end(two, first.id)
    to_end(two, second.id, BOB)


def test_who_waits_comes_before_more_of_what_runs(two: App) -> None:
    large = two.submit(request("slow", steps=10, batch_count=30), ANN)
    until(lambda: busy(two) == 2)
    small = two.submit(request(), BOB)
    to_end(two, small.id, BOB)
    assert two.job(large.id, ANN).state == "running"
    until(lambda: busy(two) == 2)
    two.interrupt(large.id, ANN)
    to_end(two, large.id)


def test_interrupt_and_skip_reach_every_engine(two: App) -> None:
    job = two.submit(request("slow seeded", steps=100, batch_count=4), ANN)
    until(lambda: busy(two) == 2)
    two.skip(job.id, ANN)
    until(lambda: [image.partial for image in two.job(job.id, ANN).images] == [True, True])
    until(lambda: busy(two) == 2)
    two.interrupt(job.id, ANN)
    assert to_end(two, job.id)[-1].reason == "interrupted"  # type: ignore[union-attr]
    assert [image.index for image in two.job(job.id, ANN).images] == [0, 1, 2, 3]
    assert two.job(job.id, ANN).state == "interrupted"


def test_progress_and_previews_are_those_of_the_whole(two: App) -> None:
    job = two.submit(request("slow", steps=5, batch_count=12), ANN)
    fractions: list[float] = []
    images: set[int] = set()
    for _, event in two.follow(job.id, ANN, timeout=20):
        now = two.progress(job.id, ANN)[0]
        if now is not None:
            fractions.append(now.fraction)
            images.add(now.image)
            assert now.images == 12
        if isinstance(event, Finished):
            break
    assert fractions == sorted(fractions)
    assert len(images) > 2


def test_an_engine_that_dies_loses_only_its_piece(start: Start, tmp_path: Path) -> None:
    app = start(tmp_path / "two", gpus=TWO)
    all_ready(app)
    order = request("slow seeded", steps=10, batch_count=10, batch_size=2)
    job = app.submit(order, ANN)
    until(lambda: busy(app) == 2)
    until(lambda: len(app.job(job.id, ANN).images) >= 2)
    psutil.Process(app.engine_pid or 0).kill()
    events = to_end(app, job.id)
    assert isinstance(events[-1], Finished)
    assert [image.index for image in app.job(job.id, ANN).images] == list(range(20))
    notices = [event.text for event in events if isinstance(event, Notice)]
    assert notices == [
        "An engine process ended in the middle of this job; another one draws what it had not finished."
    ]
    names = [image.name.split("/")[-1] for image in app.job(job.id, ANN).images]
    assert names == [f"{number:05}-{number + 5}.png" for number in range(20)]
    all_ready(app)


def test_killed_again_and_again_nothing_is_lost_or_there_twice(start: Start) -> None:
    app = start(gpus=THREE)
    all_ready(app)
    jobs = [app.submit(request("slow seeded", steps=4, batch_count=8), owner) for owner in (ANN, BOB, ANN)]
    for turn in range(4):
        until(lambda: busy(app) == 3 or not any(job.state == "running" for job in app.recent(ANN)))
        pids = app.engines.pids
        psutil.Process(pids[turn % len(pids)]).kill()
    for job in jobs:
        end = to_end(app, job.id, job.owner)[-1]
        images = [image.index for image in app.job(job.id, job.owner).images]
        assert images == sorted(set(images))
        assert isinstance(end, Failed) or images == list(range(8))


def test_a_job_that_ends_every_engine_fails_and_the_others_go_on(two: App) -> None:
    poison = two.submit(request("die", batch_count=3), ANN)
    other = two.submit(request("slow", steps=20), BOB)
    end = to_end(two, poison.id)[-1]
    assert isinstance(end, Failed)
    assert end.kind == "EngineLost"
    assert isinstance(to_end(two, other.id, BOB)[-1], Finished)
    all_ready(two)


def test_a_failure_of_one_piece_is_the_job_s(two: App) -> None:
    job = two.submit(request("oom", batch_count=6), ANN)
    events = to_end(two, job.id)
    assert [type(event) for event in events] == [Failed]
    until(lambda: busy(two) == 0)
    assert isinstance(to_end(two, two.submit(request(), ANN).id)[-1], Finished)


def test_drawing_keeps_away_from_a_training_and_slips_in_where_all_else_is_busy(start: Start, tmp_path: Path) -> None:
    app = start(tmp_path / "data", gpus=TWO)
    all_ready(app)
    learning = app.submit(training(tmp_path, "slow thing", steps=400), ANN)
    at_step(app, run_of(app, learning.id), 1)
    large = app.submit(request("slow", steps=30, batch_count=4), ANN)
    running(app, large.id)
    assert "is training, " in f"{app.engine_status().text[:-1]}, "
    assert "drawing" in app.engine_status().text
    assert "training and drawing" not in app.engine_status().text
    small = app.submit(request("slow", steps=10), BOB)
    until(lambda: "is training and drawing" in app.engine_status().text)
    to_end(app, small.id, BOB)
    assert app.job(large.id, ANN).state == "running"
    app.interrupt(large.id, ANN)
    to_end(app, large.id)
    app.interrupt(learning.id, ANN)
    assert to_end(app, learning.id)[-1].reason == "interrupted"  # type: ignore[union-attr]


def test_a_training_goes_on_elsewhere_when_its_engine_dies(start: Start, tmp_path: Path) -> None:
    app = start(tmp_path / "data", gpus=TWO)
    all_ready(app)
    job = app.submit(training(tmp_path, "thing die", steps=30), ANN)
    assert isinstance(to_end(app, job.id)[-1], Finished)
    assert app.job(job.id, ANN).state == "done"


def test_one_engine_that_never_starts_does_not_hold_up_the_others(start: Start, tmp_path: Path) -> None:
    app = start(gpus=TWO, command=[*FAKE, "--alone", str(tmp_path / "flag")])
    until(lambda: sorted(engine.state for engine in app.engines.views) == ["ready", "stopped"])
    assert app.engine_status().state == "ready"
    assert "has stopped" in app.engine_status().text
    order = request("seeded", batch_count=6)
    events = to_end(app, app.submit(order, ANN).id)
    assert isinstance(events[-1], Finished)
    assert sum(isinstance(event, ImageSaved) for event in events) == 6


def test_what_is_drawn_out_of_turn_is_kept_at_the_end_of_the_program(start: Start) -> None:
    app = start(gpus=TWO)
    all_ready(app)
    # The first piece takes long, the later ones none at all.
    base = request("seeded")
    order = ScriptRequest(
        script="prompts from file or textbox", base=base, options={"text": "slow --steps 150\nb\nc\nd"}
    )
    job = app.submit(order, ANN)
    running(app, job.id)
    until(lambda: (app.progress(job.id, ANN)[0] or Progress(0, 0, 0, 0)).fraction >= 0.75)
    app.close()
    again = start()
    assert again.job(job.id, ANN).state == "interrupted"
    assert [image.index for image in again.job(job.id, ANN).images] == [1, 2, 3]


def test_each_engine_says_what_it_does(two: App) -> None:
    all_ready(two)
    views = two.engines.views
    assert [view.name for view in views] == ["engine 1 (cpu)", "engine 2 (cpu)"]
    assert [view.text for view in views] == ["Engine 1 (cpu) is ready.", "Engine 2 (cpu) is ready."]
    assert len(set(two.engines.pids)) == 2
    logs = {path.name for path in two.folders.state.glob("engine*.log")}
    assert logs <= {"engine.log", "engine-2.log"}


def test_the_next_piece_leaves_an_engine_that_trains_for_one_that_does_not(start: Start, tmp_path: Path) -> None:
    app = start(tmp_path / "data", gpus=TWO)
    all_ready(app)
    first = app.submit(request("slow", steps=60), BOB)
    running(app, first.id, BOB)
    learning = app.submit(training(tmp_path, "slow thing", steps=2000), ANN)
    at_step(app, run_of(app, learning.id), 1)
    large = app.submit(request("slow", steps=8, batch_count=60), ANN)
    until(lambda: "is training and drawing" in app.engine_status().text)
    app.interrupt(first.id, BOB)
    until(lambda: "is training and drawing" not in app.engine_status().text)
    assert app.job(large.id, ANN).state == "running"
    app.interrupt(large.id, ANN)
    assert isinstance(to_end(app, large.id)[-1], Finished)
    app.interrupt(learning.id, ANN)
    to_end(app, learning.id)
