"""A1111's interrogate, and our own: what is asked for, what is answered, and what is refused."""

from __future__ import annotations

import base64
import io
import shutil
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from modules.schema.captioning import CAPTIONERS, CaptionerFacts
from modules.service.app import App
from tests.faults.test_files import png as grey_png
from tests.service.helpers import until
from tests.service.test_captioning import put_blip, put_tagger
from tests.web.conftest import Connect


def png(size: tuple[int, int] = (8, 6)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "red").save(file, "PNG")
    return file.getvalue()


IMAGE = base64.b64encode(png()).decode()
BOMB = base64.b64encode(grey_png(30_000, 30_000, pixels=zlib.compress(b"\0" * 100))).decode()


@pytest.fixture
def models(app: App) -> Iterator[None]:
    """Both captioners' files are there."""
    folders = app.folders.models / "BLIP", app.folders.models / "WD-tagger"
    put_blip(folders[0])
    put_tagger(folders[1])
    yield
    for folder in folders:
        shutil.rmtree(folder)


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize(("model", "words"), [("clip", "BLIP 0.35"), ("deepdanbooru", "WD tagger 0.35")])
@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,"])
def test_as_in_a1111(client: TestClient, model: str, words: str, prefix: str) -> None:
    answer = client.post("/sdapi/v1/interrogate", json={"image": prefix + IMAGE, "model": model})
    assert (answer.status_code, answer.json()) == (200, {"caption": words})


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({}, 404, "Image not found"),
        ({"image": IMAGE, "model": "other"}, 404, "Model not found"),
        ({"image": IMAGE}, 409, "models/BLIP"),
        ({"image": IMAGE, "model": "deepdanbooru"}, 409, "models/WD-tagger"),
    ],
)
def test_what_cannot_be_done_is_said(client: TestClient, body: dict[str, Any], status: int, words: str) -> None:
    answer = client.post("/sdapi/v1/interrogate", json=body)
    assert (answer.status_code, words in answer.json()["detail"].replace("\\", "/")) == (status, True)
    assert answer.json()["error"] == ("NoCaptioner" if status == 409 else "HTTPException")


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize("image", ["%%%", base64.b64encode(b"no picture").decode(), "http://127.0.0.1/x.png", BOMB])
@pytest.mark.parametrize("route", ["/sdapi/v1/interrogate", "/api/v1/interrogate"])
def test_hostile_pictures(client: TestClient, route: str, image: str) -> None:
    assert client.post(route, json={"image": image}).status_code == 422


@pytest.mark.usefixtures("models")
def test_our_own_is_a_job(client: TestClient) -> None:
    body = {"image": IMAGE, "captioner": "tagger", "interrogate_deepbooru_score_threshold": 0.5}
    answer = client.post("/api/v1/interrogate", json=body)
    job = answer.json()
    asked = job["request"]["kind"], job["request"]["captioner"]
    assert (answer.status_code, asked) == (201, ("interrogate", "WD tagger"))
    address = f"/api/v1/jobs/{job['id']}"
    until(lambda: client.get(address).json()["state"] == "done")
    told = [{"index": 0, "captioner": "WD tagger", "text": "WD tagger 0.5"}]
    assert client.get(f"{address}/captions").json() == told
    assert "WD tagger 0.5" in client.get(f"{address}/events").text
    picture = client.post("/api/v1/inputs", files={"file": png()}).json()["picture"]
    assert client.post("/api/v1/interrogate", json={"picture": picture}).status_code == 201
    order = {"kind": "interrogate", "pictures": [picture, picture], "captioner": "clip"}
    assert client.post("/api/v1/jobs", json=order).status_code == 201


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 422, "image"),
        ({"picture": "x"}, 422, "picture"),
        ({"picture": "a" * 64}, 404, None),
        ({"image": IMAGE, "captioner": "nobody"}, 422, "captioner"),
        ({"image": IMAGE, "data_set": "x"}, 422, "data_set"),
        ({"image": IMAGE, "deepbooru_sort_alpha": "much"}, 422, "deepbooru_sort_alpha"),
    ],
)
def test_our_own_names_the_field(client: TestClient, body: dict[str, Any], status: int, field: str | None) -> None:
    answer = client.post("/api/v1/interrogate", json=body)
    assert (answer.status_code, answer.json().get("field")) == (status, field)


@pytest.mark.usefixtures("models")
def test_a_failed_job_is_told(client: TestClient, app: App) -> None:
    client.post("/sdapi/v1/options", json={"deepbooru_filter_tags": "bug"})
    answer = client.post("/sdapi/v1/interrogate", json={"image": IMAGE})
    client.post("/sdapi/v1/options", json={"deepbooru_filter_tags": ""})
    assert (answer.status_code, "went wrong" in answer.json()["detail"]) == (500, True)
    assert app.settings.deepbooru_filter_tags == ""


@pytest.mark.usefixtures("models")
def test_a1111s_options_say_how_they_speak(client: TestClient) -> None:
    client.post("/sdapi/v1/options", json={"interrogate_deepbooru_score_threshold": 0.7})
    answer = client.post("/sdapi/v1/interrogate", json={"image": IMAGE, "model": "deepdanbooru"})
    assert client.get("/sdapi/v1/options").json()["interrogate_deepbooru_score_threshold"] == 0.7
    client.post("/sdapi/v1/options", json={"interrogate_deepbooru_score_threshold": 0.35})
    assert answer.json() == {"caption": "WD tagger 0.7"}


def test_who_there_is(client: TestClient, models: None) -> None:
    CAPTIONERS.add(facts := CaptionerFacts("Sizes"))
    listed = client.get("/api/v1/captioners").json()
    CAPTIONERS.remove(facts)
    kinds = {"BLIP": "sentence", "WD tagger": "tags", "Sizes": ""}
    assert listed == [{"name": name, "kind": kind, "problem": ""} for name, kind in kinds.items()]


def test_who_there_is_without_files(client: TestClient) -> None:
    listed = client.get("/api/v1/captioners").json()
    assert [one["name"] for one in listed] == ["BLIP", "WD tagger"]
    assert all("put its files" in one["problem"] for one in listed)


@pytest.mark.usefixtures("models")
def test_another_persons_words_are_theirs(connect: Connect) -> None:
    ann, bob = connect(), connect()
    for browser in (ann, bob):
        browser.get("/")
    job = ann.post("/api/v1/interrogate", json={"image": IMAGE}).json()["id"]
    until(lambda: ann.get(f"/api/v1/jobs/{job}").json()["state"] == "done")
    assert ann.get(f"/api/v1/jobs/{job}/captions").status_code == 200
    assert bob.get(f"/api/v1/jobs/{job}/captions").status_code == 404
