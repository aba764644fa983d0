"""Settings over HTTP: the owner's, each person's own, defaults and presets, files of others; and A1111's names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from modules.catalog.settings_file import KNOBS
from modules.schema.settings import PERSONAL, Settings
from modules.service.app import App
from tests.service.helpers import make_app
from tests.web.conftest import Connect, body
from tests.web.visitors import at_home, server_of, visitor

ROUTE = "/api/v1/settings"


@pytest.fixture
def client(connect: Connect, app: App) -> Iterator[TestClient]:
    client = connect()
    client.get("/")
    yield client
    app.desk.restore()
    client.post("/sdapi/v1/options", json={"CLIP_stop_at_last_layers": 1, "eta_noise_seed_delta": 0})


def _named(answer: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for section in answer["sections"] for one in section["settings"] if one["name"] == name)


def test_every_setting_is_listed_with_its_declaration(client: TestClient) -> None:
    answer = client.get(ROUTE).json()
    listed = [one["name"] for section in answer["sections"] for one in section["settings"]]
    assert sorted(listed) == sorted(KNOBS)
    assert [one["name"] for one in answer["mine"]] == list(PERSONAL)
    quality = _named(answer, "jpeg_quality")
    assert (quality["minimum"], quality["maximum"], quality["default"], quality["kind"]) == (1, 100, 80, "int")
    assert _named(answer, "samples_format")["choices"] == ["png", "jpeg", "webp"]
    assert _named(answer, "data_dir" if "data_dir" in listed else "port")["live"] is False


def test_changing_and_restoring(client: TestClient, app: App) -> None:
    answer = client.patch(ROUTE, json={"values": {"jpeg_quality": 55, "port": 7000}}).json()
    assert (_named(answer, "jpeg_quality")["changed"], _named(answer, "jpeg_quality")["waits"]) == (True, False)
    assert (_named(answer, "port")["value"], _named(answer, "port")["waits"]) == (7000, True)
    assert app.settings.jpeg_quality == 55
    answer = client.post(f"{ROUTE}/restore", json={"names": ["port"]}).json()
    assert (_named(answer, "port")["waits"], _named(answer, "jpeg_quality")["value"]) == (False, 55)
    answer = client.post(f"{ROUTE}/restore", json={}).json()
    assert not [one for section in answer["sections"] for one in section["settings"] if one["changed"]]


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"jpeg_quality": 101}, "jpeg_quality", "Quality"),
        ({"jpeg_quality": "x"}, "jpeg_quality", "Quality"),
        ({"nonsense": 1}, "nonsense", "no setting"),
        ({"no_auth": True}, "no_auth", "no setting"),
        ({"cors_allow_origins_regex": "("}, "cors_allow_origins_regex", "regular expression"),
    ],
)
def test_a_wrong_value_is_a_sentence(client: TestClient, values: dict[str, Any], field: str, words: str) -> None:
    answer = client.patch(ROUTE, json={"values": {"save_txt": True, **values}})
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert words in answer.json()["detail"]
    assert _named(client.get(ROUTE).json(), "save_txt")["value"] is False


def test_each_person_has_their_own(connect: Connect) -> None:
    ann, bob = connect(), connect()
    ann.get("/")
    bob.get("/")
    answer = ann.patch(f"{ROUTE}/mine", json={"values": {"theme": "dark"}}).json()
    assert next(one for one in answer["mine"] if one["name"] == "theme")["changed"] is True
    assert ann.get(f"{ROUTE}/mine").json()["settings"]["theme"] == "dark"
    assert bob.get(f"{ROUTE}/mine").json()["settings"]["theme"] == "system"
    assert ann.patch(f"{ROUTE}/mine", json={"values": {"port": 1}}).status_code == 422
    assert ann.patch(f"{ROUTE}/mine", json={"values": {"theme": "pink"}}).status_code == 422
    ann.patch(f"{ROUTE}/mine", json={"values": {"theme": None}})
    assert ann.get(f"{ROUTE}/mine").json()["changed"] == []


def test_a_user_sees_and_changes_only_their_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    app = make_app(tmp_path_factory.mktemp("data"), server_name="0.0.0.0")
    try:
        server = server_of(app)
        guest = visitor(server)
        guest.get(app.people.link.path())
        answer = guest.get(ROUTE).json()
        assert (answer["sections"], answer["may_change"], answer["file"]) == ([], False, None)
        assert guest.patch(ROUTE, json={"values": {"save_txt": True}}).status_code == 403
        assert guest.post(f"{ROUTE}/restore", json={}).status_code == 403
        assert guest.patch(f"{ROUTE}/mine", json={"values": {"theme": "dark"}}).status_code == 200
        theirs = {"format": "webui-settings", "settings": {"save_txt": True}, "personal": {"theme": "light"}}
        report = guest.post(f"{ROUTE}/import", json=theirs).json()
        assert [one["key"] for one in report["taken"]] == ["theme (yours)"]
        assert "owner" in report["left"][0]["reason"]
        report = guest.post(f"{ROUTE}/import", json={"return_grid": False, "CLIP_stop_at_last_layers": 2}).json()
        assert [one["key"] for one in report["taken"]] == ["CLIP_stop_at_last_layers"]
        owner = at_home(server)
        assert _named(owner.get(ROUTE).json(), "save_txt")["value"] is False
        assert owner.get("/sdapi/v1/options").json()["CLIP_stop_at_last_layers"] == 1
        assert guest.get(f"{ROUTE}/export").json()["settings"] == {}
    finally:
        app.close()


def test_defaults_and_presets(client: TestClient) -> None:
    answer = client.put(f"{ROUTE}/forms?form=txt2img", json={"values": {"steps": 30}})
    assert answer.json()["forms"] == {"txt2img": {"steps": 30}}
    assert client.put(f"{ROUTE}/forms?form=txt2img", json={"values": {}}).json()["forms"] == {}
    assert client.put(f"{ROUTE}/forms?form=a/b", json={"values": {"steps": 30}}).status_code == 422
    assert client.put(f"{ROUTE}/forms?form=txt2img", json={"values": {"steps": {}}}).status_code == 422
    preset = {"name": "Portrait", "form": "txt2img", "values": {"width": 512, "height": 768}}
    assert client.put(f"{ROUTE}/presets", json=preset).json()["presets"] == [preset]
    assert client.put(f"{ROUTE}/presets", json={**preset, "values": {}}).status_code == 422
    assert client.delete(f"{ROUTE}/presets", params={"name": "Portrait", "form": "txt2img"}).json() == preset
    assert client.delete(f"{ROUTE}/presets", params={"name": "Portrait", "form": "txt2img"}).status_code == 404


def test_an_export_is_an_import(client: TestClient, connect: Connect) -> None:
    client.patch(ROUTE, json={"values": {"save_txt": True, "port": 7001}})
    client.patch(f"{ROUTE}/mine", json={"values": {"theme": "dark"}})
    client.put(f"{ROUTE}/forms?form=txt2img", json={"values": {"steps": 30}})
    client.put(f"{ROUTE}/presets", json={"name": "Wide", "form": "img2img", "values": {"width": 768}})
    answer = client.get(f"{ROUTE}/export")
    assert "attachment" in answer.headers["content-disposition"]
    file = answer.json()
    assert file["settings"] == {"save_txt": True, "port": 7001}
    client.post(f"{ROUTE}/restore", json={})
    other = connect()
    other.get("/")
    report = other.post(f"{ROUTE}/import", json=file).json()
    assert report["left"] == []
    again = other.get(f"{ROUTE}/export").json()
    assert again == file


def test_a1111s_config_is_taken_over_as_far_as_it_is_known(client: TestClient, app: App) -> None:
    config = {
        "samples_format": "jpg",
        "jpeg_quality": 70,
        "save_txt": "perhaps",
        "sd_model_checkpoint": "miniature",
        "CLIP_stop_at_last_layers": 2,
        "eta_noise_seed_delta": 31337,
        "img2img_fix_steps": True,
        "live_preview_refresh_period": 250,
        "upcast_attn": True,
        "outdir_samples": "/elsewhere",
        "some_extensions_option": [1, 2],
        "eta_ancestral": "much",
    }
    report = client.post(f"{ROUTE}/import", json=config).json()
    left = {one["key"]: one["reason"] for one in report["left"]}
    assert left.keys() == {"save_txt", "upcast_attn", "outdir_samples", "some_extensions_option", "eta_ancestral"}
    assert "Save a text" in left["save_txt"]
    assert (app.settings.samples_format, app.settings.jpeg_quality, app.settings.previews_per_second) == (
        "jpeg",
        70,
        4,
    )
    options = client.get("/sdapi/v1/options").json()
    assert (options["CLIP_stop_at_last_layers"], options["img2img_fix_steps"]) == (2, True)
    forms = client.get(f"{ROUTE}/mine").json()["forms"]
    assert forms["models"] == {"clip_skip": 2}
    assert forms["img2img"]["ensd"] == 31337
    assert forms["img2img"]["image.exact_steps"] is True


def test_a1111s_ui_config_becomes_the_forms_defaults(client: TestClient) -> None:
    config = {
        "txt2img/Prompt/value": "a boat",
        "txt2img/Prompt/visible": True,
        "txt2img/Width/value": 640,
        "txt2img/Height/value": 512,
        "txt2img/Width/maximum": 4096,
        "txt2img/Batch count/value": "many",
        "customscript/sampler.py/txt2img/Sampling method/value": "DPM++ 2M Exponential",
        "customscript/sampler.py/txt2img/Sampling steps/value": 28,
        "customscript/seed.py/img2img/Seed/value": 5,
        "img2img/Denoising strength/value": 0.6,
        "customscript/xyz_grid.py/txt2img/X type/value": "Steps",
        "extras/Resize/value": 2,
    }
    report = client.post(f"{ROUTE}/import", json=config).json()
    forms = client.get(f"{ROUTE}/mine").json()["forms"]
    assert forms["txt2img"] == {
        "prompt": "a boat",
        "width": 640,
        "sampler": "DPM++ 2M",
        "scheduler": "Exponential",
        "steps": 28,
    }
    assert forms["img2img"]["seed"] == 5
    assert 0.6 in forms["img2img"].values()
    left = {one["key"] for one in report["left"]}
    assert {"txt2img/Width/maximum", "txt2img/Batch count/value", "extras/Resize/value"} <= left


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"a": NaN}', b"\x00"])
def test_a_file_that_is_none_is_a_sentence(client: TestClient, content: bytes) -> None:
    answer = client.post(f"{ROUTE}/import", content=content)
    assert answer.status_code == 422
    assert answer.json()["detail"]


def test_a_strange_export_takes_nothing(client: TestClient) -> None:
    strange = {"format": "webui-settings", "settings": [1], "personal": {"port": 1}, "forms": {"../x": {"a": {}}},
               "presets": [5, {"name": "", "form": "x", "values": {"a": 1}}]}  # fmt: skip
    report = client.post(f"{ROUTE}/import", json=strange).json()
    assert report["taken"] == []
    assert report["left"]


def test_a1111s_option_names_change_settings(client: TestClient, app: App) -> None:
    route = "/sdapi/v1/options"
    assert client.post(route, json={"samples_format": "jpg", "sd_checkpoints_limit": 3}).status_code == 200
    assert app.settings.samples_format == "jpeg"
    assert app.settings.checkpoints_in_ram == Settings().checkpoints_in_ram, "it counts from the next start on"
    values = client.get(route).json()
    assert (values["samples_format"], values["sd_checkpoints_limit"]) == ("jpeg", 3)
    assert json.loads((app.folders.data / "config.json").read_text(encoding="utf-8"))["samples_format"] == "jpeg"
    client.post(route, json={"api_enable_requests": True})
    assert app.settings.api_enable_requests is False, "never over A1111's API"


def test_override_settings_of_the_whole_program(client: TestClient, app: App) -> None:
    def drawn(**overrides: Any) -> Any:
        return client.post("/sdapi/v1/txt2img", json=body(save_images=True, override_settings=overrides))

    assert drawn(samples_format="png", jpeg_quality=80).status_code == 200
    answer = drawn(samples_format="webp")
    assert (answer.status_code, answer.json()["field"]) == (422, "samples_format")
    assert app.settings.samples_format == "png"
    before = len(list(app.folders.outputs.rglob("*.png")))
    assert drawn(samples_save=False).status_code == 200
    assert len(list(app.folders.outputs.rglob("*.png"))) == before
