"""What users may ask for, and how much; owners may everything."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from modules.schema.captioning import CaptionRequest
from modules.schema.errors import BadRequest, NotAllowed, NotFound, TooMuch, UserError
from modules.schema.extras import ExtrasRequest
from modules.schema.merge import MergeRequest
from modules.schema.parts import Hires
from modules.schema.scripts import ScriptRequest
from modules.schema.training import TrainingRequest
from modules.service.app import App
from tests.service.helpers import make_app, request, to_end, until

GUEST = "guest:abcdefgh"
BOB, ANN = "person:bob", "person:ann"
LIMITS = {"user_queue": 4, "user_size": 512, "user_steps": 30, "user_batch": 2, "user_pictures": 12}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    app = make_app(tmp_path_factory.mktemp("data"), **LIMITS)
    app.people.accounts.add("ann", "correct horse battery", "owner")
    app.people.accounts.add("bob", "correct horse battery", "user")
    yield app
    app.close()


@pytest.fixture
def guest(app: App, request: pytest.FixtureRequest) -> Iterator[str]:
    """Somebody new for each test, whose jobs are gone after it."""
    owner = f"guest:{abs(hash(request.node.name)):x}"
    yield owner
    for job in app.recent(owner, 100):
        if job.is_open:
            app.interrupt(job.id, owner)
    until(lambda: not any(job.is_open for job in app.recent(owner, 100)))


def script(**options: Any) -> ScriptRequest:
    return ScriptRequest(script="X/Y/Z plot", base=request(), options=options)


@pytest.mark.parametrize(
    ("order", "field", "words"),
    [
        (request(steps=31), "steps", "30 steps, and this would be 31"),
        (request(width=520, height=64), "width", "512 pixels wide or high, and this would be 520x64"),
        (request(width=64, height=1024), "height", "64x1024"),
        (request(batch_size=3), "batch_size", "batch size is 3"),
        (request(width=400, height=400, hires=Hires(scale=2)), "hires.scale", "800x800"),
        (request(width=400, height=400, hires=Hires(scale=1, steps=90)), "steps", "90"),
        (script(x_type="Steps", x_values="5, 200"), "steps", "200"),
    ],
)
def test_more_than_a_user_may_is_one_clear_sentence(app: App, order: Any, field: str, words: str) -> None:
    with pytest.raises(BadRequest) as refused:
        app.submit(order, GUEST)
    assert refused.value.field == field
    assert words in str(refused.value)
    assert str(refused.value).endswith(".")
    assert "\n" not in str(refused.value)
    assert app.recent(GUEST) == []


def test_the_owner_and_the_command_line_have_no_limits(app: App) -> None:
    for owner in (ANN, "command line", "api", "a" * 32):
        assert app.limits.of(owner) is None
        job = app.submit(request(steps=31, batch_size=3, width=520, height=520), owner)
        app.interrupt(job.id, owner)


def test_an_account_may_have_limits_of_its_own(app: App) -> None:
    app.people.accounts.set_limits("bob", {"steps": 60, "size": 0})
    try:
        bounds = app.limits.of(BOB)
        assert bounds is not None
        assert (bounds.steps, bounds.size, bounds.batch) == (60, 0, 2)
        app.interrupt(app.submit(request(steps=60, width=1024, height=1024), BOB).id, BOB)
        with pytest.raises(BadRequest, match="60 steps"):
            app.submit(request(steps=61), BOB)
    finally:
        app.people.accounts.set_limits("bob", {"steps": None, "size": None})
    assert app.limits.of(BOB) == app.limits.of(GUEST)


def test_somebody_without_an_account_any_more_orders_nothing(app: App) -> None:
    with pytest.raises(NotAllowed):
        app.submit(request(), "person:carl")


def test_the_queue_of_one_person_is_full_for_that_person(app: App, guest: str) -> None:
    for number in range(4):
        app.submit(request(f"slow {number}", steps=30), guest)
    with pytest.raises(TooMuch, match="no more than 4"):
        app.submit(request(), guest)
    other = app.submit(request(), "guest:other")
    app.interrupt(other.id, "guest:other")
    app.interrupt(app.recent(guest)[0].id, guest)
    app.submit(request(), guest)


def test_a_queue_is_not_overfilled_by_many_at_once(app: App, guest: str) -> None:
    refused: list[UserError] = []

    def order() -> None:
        try:
            app.submit(request("slow", steps=30), guest)
        except TooMuch as error:
            refused.append(error)

    threads = [threading.Thread(target=order) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(app.recent(guest, 50)) == 4
    assert len(refused) == 8


def test_the_days_pictures_are_those_that_were_drawn_or_wait(app: App, guest: str) -> None:
    with pytest.raises(TooMuch, match="12 pictures a day, 0 of today's are drawn or ordered, and this would be 13"):
        app.submit(request(batch_count=13), guest)
    first = app.submit(request(batch_count=7), guest)
    with pytest.raises(TooMuch, match="7 of today's"):
        app.submit(request(batch_count=6), guest)
    to_end(app, first.id, guest)
    app.forget(first.id, guest)  # what is deleted was drawn all the same
    told = app.limits.told(guest)
    assert told is not None
    assert told["drawn"] == 7
    waiting = app.submit(request("slow", batch_count=5), guest)
    with pytest.raises(TooMuch, match="12 of today's"):
        app.submit(request(), guest)
    app.interrupt(waiting.id, guest)
    until(lambda: not app.job(waiting.id, guest).is_open)
    app.submit(request(), guest)  # what was not drawn is not counted


def test_another_day_begins_anew(app: App, guest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    to_end(app, app.submit(request(), guest).id, guest)

    class Tomorrow:
        @staticmethod
        def today() -> Any:
            return type("Day", (), {"isoformat": staticmethod(lambda: "2999-01-01")})

    assert app.limits.told(guest)["drawn"] == 1  # type: ignore[index]
    monkeypatch.setattr("modules.service.limits.date", Tomorrow)
    assert app.limits.told(guest)["drawn"] == 0  # type: ignore[index]


def test_enlarging_has_the_same_limit_of_size(app: App, guest: str) -> None:
    file = io.BytesIO()
    Image.new("RGB", (200, 100)).save(file, "PNG")
    name = app.inputs.add(file.getvalue())
    with pytest.raises(BadRequest, match="800x400"):
        app.submit(ExtrasRequest(pictures=(name,), names=("a",), texts=("",), upscaler_1="Lanczos", scale=4), guest)
    app.submit(ExtrasRequest(pictures=(name,), names=("a",), texts=("",), upscaler_1="Lanczos", scale=2), guest)


@pytest.mark.parametrize("name", ["SD upscale", "Loopback", "Outpainting mk2", "Poor man's outpainting"])
def test_scripts_that_go_step_by_step_are_looked_at_too(app: App, guest: str, name: str) -> None:
    file = io.BytesIO()
    Image.new("RGB", (128, 128)).save(file, "PNG")
    base = request(width=128, height=128, image={"picture": app.inputs.add(file.getvalue())})
    app.submit(ScriptRequest(script=name, base=base, options={}), guest)
    with pytest.raises(BadRequest, match="30 steps"):
        app.submit(ScriptRequest(script=name, base=base.replace(steps=31), options={}), guest)
    if name == "SD upscale":
        with pytest.raises(BadRequest, match="768x768"):
            app.submit(ScriptRequest(script=name, base=base, options={"scale": 6.0}), guest)


def test_models_are_merged_by_the_owner(app: App, guest: str) -> None:
    with pytest.raises(NotAllowed, match="owner of this machine"):
        app.submit(MergeRequest(checkpoint_a="miniature", checkpoint_b="miniature", name="x"), guest)


def test_users_train_on_their_own_data_sets(app: App, guest: str, tmp_path: Path) -> None:
    folders = app.datasets.folders
    (tmp_path / "secret").mkdir()
    Image.new("RGB", (64, 64)).save(tmp_path / "secret" / "a.png")
    opened = folders.add_path(str(tmp_path / "secret"))
    folders.create("of ann", ANN)
    mine = folders.create(f"set {guest[6:12]}", guest)
    for data_root in (str(tmp_path / "secret"), opened, "of ann", "", "../x", str(folders.root / mine)):
        with pytest.raises(NotAllowed, match="make a data set"):
            app.submit(TrainingRequest(name="word", data_root=data_root), guest)
        with pytest.raises(NotAllowed):
            app.submit(CaptionRequest(data_set=data_root, pictures=("0" * 16,)), guest)
    with pytest.raises(NotAllowed, match="replace a file"):
        app.submit(TrainingRequest(name="word", data_root=mine, overwrite_old=True), guest)
    with pytest.raises(NotAllowed, match="where runs are kept"):
        app.submit(TrainingRequest(name="word", data_root=mine, log_directory="models"), guest)
    with pytest.raises(BadRequest, match="20000 steps"):
        app.submit(TrainingRequest(name="word", data_root=mine, steps=20001), guest)
    with pytest.raises(BadRequest, match="30 steps"):
        app.submit(TrainingRequest(name="word", data_root=mine, preview=request(steps=31)), guest)
    with pytest.raises(NotFound, match="no training run"):
        app.submit(TrainingRequest(name="word", data_root=mine, run="2026-01-01-other"), guest)


def test_who_owns_the_machine(app: App) -> None:
    assert app.limits.rules(ANN)
    assert app.limits.rules("command line")
    assert not app.limits.rules(BOB)
    assert not app.limits.rules(GUEST)
    assert not app.limits.rules("person:nobody")
