"""Settings that are changed while the program runs, their file, and what each person sets for themselves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from modules.catalog.settings_file import read_config, usable
from modules.schema.errors import BadRequest, NotFound
from modules.schema.knob import knobs
from modules.schema.settings import LIVE, NOT_IN_FILE, PERSONAL, SECTIONS, Settings
from modules.service.personal import MOST_PRESETS, Personal, Preset
from modules.service.settings import SettingsDesk, SettingView
from tests.service.helpers import ANN, BOB, make_app, request, to_end


class Told:
    """What the desk says of settings that count now."""

    def __init__(self, folder: Path, **given: object) -> None:
        self.path = folder / "config.json"
        stored, _ = usable(read_config(self.path)[0], self.path)
        self.settings = Settings.model_validate({**stored, **given})
        self.times = 0
        self.desk = SettingsDesk(self.settings, self.path, self.use)

    def use(self, settings: Settings) -> None:
        self.settings = settings
        self.times += 1

    def view(self, name: str) -> SettingView:
        return next(view for view in self.desk.views() if view.knob.name == name)

    def written(self) -> dict[str, object]:
        return json.loads(self.path.read_text(encoding="utf-8"))


def test_the_tables_name_settings_that_there_are() -> None:
    known = knobs(Settings)
    assert LIVE | set(PERSONAL) | NOT_IN_FILE <= known.keys()
    assert set(PERSONAL) <= LIVE
    assert {knob.section for knob in known.values()} == set(SECTIONS)


def test_a_change_is_kept_and_counts_at_once_or_after_a_restart(tmp_path: Path) -> None:
    told = Told(tmp_path)
    told.desk.change({"jpeg_quality": 55, "port": 7000})
    assert told.written() == {"jpeg_quality": 55, "port": 7000}
    assert (told.settings.jpeg_quality, told.settings.port) == (55, 7860)
    quality, port = told.view("jpeg_quality"), told.view("port")
    assert (quality.value, quality.is_changed, quality.waits) == (55, True, False)
    assert (port.value, port.in_force, port.waits) == (7000, 7860, True)
    after = Told(tmp_path)
    assert (after.settings.port, after.view("port").waits) == (7000, False)


def test_keys_of_others_in_the_file_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"sd_model_checkpoint": "theirs", "save_txt": true}', encoding="utf-8")
    told = Told(tmp_path)
    told.desk.change({"save_txt": None, "jpeg_quality": 90})
    assert told.written() == {"sd_model_checkpoint": "theirs", "jpeg_quality": 90}


def test_a_default_is_not_written(tmp_path: Path) -> None:
    told = Told(tmp_path)
    told.desk.change({"port": 7000})
    told.desk.change({"port": 7860})
    assert told.written() == {}
    assert told.desk.changed() == {}


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"jpeg_quality": 101}, ValidationError, "100"),
        ({"samples_format": "bmp"}, ValidationError, "png"),
        ({"nonsense": 1}, BadRequest, "no setting named 'nonsense'"),
        ({"data_dir": "/elsewhere"}, BadRequest, "no setting named"),
        ({"no_auth": True}, BadRequest, "no setting named"),
        ({"dataset_filename_word_regex": "("}, BadRequest, "no regular expression"),
    ],
)
def test_one_wrong_value_changes_nothing(
    tmp_path: Path, changes: dict[str, object], error: type[Exception], words: str
) -> None:
    told = Told(tmp_path)
    with pytest.raises(error, match=words):
        told.desk.change({"save_txt": True, **changes})
    assert not told.path.exists()
    assert told.times == 0


def test_what_the_command_line_says_is_not_changed(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"port": 7000}', encoding="utf-8")
    told = Told(tmp_path, port=8000)
    view = told.view("port")
    assert (view.value, view.given, view.waits) == (8000, True, False)
    with pytest.raises(BadRequest, match=r"Port was given at the start \(--port\)"):
        told.desk.change({"port": 9000})
    told.desk.change({"save_txt": True})
    told.desk.restore()
    assert told.written() == {"port": 7000}


def test_restoring_some_and_all(tmp_path: Path) -> None:
    told = Told(tmp_path)
    told.desk.change({"save_txt": True, "jpeg_quality": 55, "user_steps": 20})
    told.desk.restore(["save_txt"])
    assert told.desk.changed() == {"jpeg_quality": 55, "user_steps": 20}
    told.desk.restore()
    assert told.desk.changed() == {}
    assert (told.settings.jpeg_quality, told.settings.user_steps) == (80, 150)


def test_a_file_that_broke_meanwhile_is_moved_aside(tmp_path: Path) -> None:
    told = Told(tmp_path)
    told.path.write_text("{cut off", encoding="utf-8")
    told.desk.change({"save_txt": True})
    assert told.written() == {"save_txt": True}
    assert (tmp_path / "config.json.broken").read_text(encoding="utf-8") == "{cut off"
    assert "moved to config.json.broken" in told.desk.notices[0]


def test_the_running_program_follows(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    try:
        app.desk.change({"samples_format": "webp", "save_to_dirs": False, "save_txt": True, "user_steps": 7})
        job = app.submit(request(), ANN)
        to_end(app, job.id)
        name = app.job(job.id, ANN).images[0].name
        assert name.startswith("txt2img-images/0")
        assert name.endswith(".webp")
        assert app.image_path(name, ANN).with_suffix(".txt").is_file()
        bounds = app.limits.of("guest:somebody")
        assert bounds is not None
        assert bounds.steps == 7
    finally:
        app.close()


def test_previews_are_each_persons_own(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    try:
        app.personal.change_settings(ANN, {"previews_per_second": 5})
        assert (app.previews_of(ANN), app.previews_of(BOB)) == (5.0, 2.0)
        app.desk.change({"previews_per_second": 1})
        assert (app.previews_of(ANN), app.previews_of(BOB)) == (5.0, 1.0)
        app.personal.change_settings(ANN, {"previews": False})
        assert app.previews_of(ANN) == 0.0
        app.personal.change_settings(ANN, {"previews": True})
        app.desk.change({"previews": False})
        assert app.previews_of(ANN) == 0.0, "the owner has switched them off for everybody"
    finally:
        app.close()


def test_personal_settings(tmp_path: Path) -> None:
    personal = Personal(tmp_path)
    personal.change_settings(ANN, {"theme": "dark", "previews_per_second": 3})
    personal.change_settings(ANN, {"theme": None})
    assert Personal(tmp_path).of(ANN).settings == {"previews_per_second": 3.0}
    assert personal.setting(ANN, "theme", Settings(theme="light")) == "light"
    with pytest.raises(BadRequest, match="not a setting that each person has"):
        personal.change_settings(ANN, {"port": 1})
    with pytest.raises(ValidationError):
        personal.change_settings(ANN, {"theme": "pink"})
    assert personal.of(BOB).settings == {}


def test_form_defaults(tmp_path: Path) -> None:
    personal = Personal(tmp_path)
    personal.set_default(ANN, "txt2img", {"steps": 30, "styles": ["a"], "hires.scale": 1.5})
    personal.set_default(ANN, "img2img", {"steps": 12})
    assert personal.of(ANN).forms["txt2img"] == {"steps": 30, "styles": ["a"], "hires.scale": 1.5}
    personal.set_default(ANN, "txt2img", {})
    assert personal.of(ANN).forms == {"img2img": {"steps": 12}}
    with pytest.raises(BadRequest):
        personal.set_default(ANN, "txt2img", {"steps": {"a": 1}})


def test_presets(tmp_path: Path) -> None:
    personal = Personal(tmp_path)
    personal.save_preset(ANN, Preset("portrait", "txt2img", {"width": 512, "height": 768}))
    personal.save_preset(ANN, Preset("Fast", "txt2img", {"steps": 8}))
    personal.save_preset(ANN, Preset("portrait", "txt2img", {"width": 640}))
    assert [(one.name, one.values) for one in personal.of(ANN).presets] == [
        ("Fast", {"steps": 8}),
        ("portrait", {"width": 640}),
    ]
    assert personal.delete_preset(ANN, "Fast", "txt2img").values == {"steps": 8}
    with pytest.raises(NotFound):
        personal.delete_preset(ANN, "Fast", "txt2img")
    for wrong in (Preset(" ", "txt2img", {"steps": 1}), Preset("x", "txt2img", {}), Preset("a\nb", "f", {"s": 1})):
        with pytest.raises(BadRequest):
            personal.save_preset(ANN, wrong)


def test_there_is_an_end_to_presets(tmp_path: Path) -> None:
    personal = Personal(tmp_path)
    own = {"settings": {}, "forms": {}, "presets": [
        {"name": str(number), "form": "txt2img", "values": {"steps": 1}} for number in range(MOST_PRESETS)
    ]}  # fmt: skip
    personal.save_preset(ANN, Preset("0", "txt2img", {"steps": 2}))
    next(tmp_path.glob("*.json")).write_text(json.dumps(own), encoding="utf-8")
    personal.save_preset(ANN, Preset("0", "txt2img", {"steps": 2}))
    with pytest.raises(BadRequest, match="delete one"):
        personal.save_preset(ANN, Preset("new", "txt2img", {"steps": 2}))


@pytest.mark.parametrize("content", ["{", "[]", '{"settings": {"theme": "pink"}, "forms": {}, "presets": []}', "\0"])
def test_a_broken_file_of_a_person_costs_only_itself(tmp_path: Path, content: str) -> None:
    personal = Personal(tmp_path)
    personal.change_settings(ANN, {"theme": "dark"})
    next(tmp_path.glob("*.json")).write_text(content, encoding="utf-8")
    assert personal.of(ANN).settings == {}
    personal.change_settings(ANN, {"theme": "light"})
    assert personal.of(ANN).settings == {"theme": "light"}
