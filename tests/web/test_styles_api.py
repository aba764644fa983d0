"""Saved prompts over HTTP: our own routes and A1111's."""

from __future__ import annotations

import json

import pytest
from starlette.testclient import TestClient

from modules.service.app import App
from tests.web.conftest import body

PHOTO = {"name": "photo", "prompt": "photo of {prompt}", "negative_prompt": "blurry"}
OIL = {"name": "oil / canvas", "prompt": "oil painting", "negative_prompt": ""}


@pytest.fixture(autouse=True)
def two_styles(client: TestClient, app: App) -> None:
    app.styles.path.unlink(missing_ok=True)
    for style in (PHOTO, OIL):
        assert client.put("/api/v1/styles", json=style).status_code == 200


def test_they_are_listed_in_both_apis(client: TestClient) -> None:
    assert client.get("/api/v1/styles").json() == [PHOTO, OIL]
    assert client.get("/sdapi/v1/prompt-styles").json() == [PHOTO, OIL]


def test_saving_replaces(client: TestClient) -> None:
    newer = {**PHOTO, "prompt": "{prompt}, photo"}
    assert client.put("/api/v1/styles", json=newer).json() == [newer, OIL]


def test_deleting_has_a_way_back(client: TestClient) -> None:
    removed = client.delete("/api/v1/styles", params={"name": "photo"}).json()
    assert removed == {**PHOTO, "position": 0}
    assert client.get("/api/v1/styles").json() == [OIL]
    assert client.put("/api/v1/styles", json=removed).json() == [PHOTO, OIL]


def test_what_cannot_be_done_is_said(client: TestClient) -> None:
    answer = client.delete("/api/v1/styles", params={"name": "foto"})
    assert (answer.status_code, "Did you mean 'photo'" in answer.json()["detail"]) == (422, True)
    assert client.put("/api/v1/styles", json={"name": "#x"}).status_code == 422
    assert client.put("/api/v1/styles", json={"name": " "}).status_code == 422


def test_styles_of_an_a1111_request_are_run(client: TestClient, app: App) -> None:
    answer = client.post("/sdapi/v1/txt2img", json=body("a cat", styles=["photo", "oil / canvas"]))
    assert answer.status_code == 200
    assert app.recent("api", 1)[0].request.prompt == "photo of a cat, oil painting"
    info = json.loads(answer.json()["info"])
    assert info["prompt"] == "photo of a cat, oil painting"
    assert info["styles"] == ["photo", "oil / canvas"]
    assert info["infotexts"][0].startswith("photo of a cat, oil painting\nNegative prompt: blurry\n")


def test_styles_are_found_in_a_pasted_text(client: TestClient, app: App) -> None:
    text = "photo of a cat, oil painting\nNegative prompt: blurry\nSteps: 3, Sampler: Euler, CFG scale: 7, Seed: 1"
    read = client.post("/api/v1/infotext", json={"text": text}).json()
    assert sorted(read["request"]["styles"]) == ["oil / canvas", "photo"]
    assert (read["request"]["prompt"], read["request"]["negative_prompt"]) == ("a cat", "")
    assert read["prompts"] == {"prompt": "photo of a cat, oil painting", "negative_prompt": "blurry"}
    job = client.post("/api/v1/jobs", json={**read["request"], "width": 64, "height": 64}).json()
    assert job["request"]["prompt"] == "photo of a cat, oil painting", "and give the same again"
    hires = client.post("/api/v1/infotext", json={"text": f"{text}, Hires upscale: 2, Hires prompt: dog"}).json()
    assert hires["request"]["styles"] == [], "a prompt of its own without the styles stays without them"
    app.styles.path.write_bytes(b'"' + b"x" * 200_000)
    broken = client.post("/api/v1/infotext", json={"text": text}).json()
    assert broken["request"]["prompt"] == "photo of a cat, oil painting"


def test_tokens_of_the_whole_language(client: TestClient) -> None:
    text = "# words\ncat AND " + "[cat:dog:5] " * 80 + "[x:y"
    count = client.post("/api/v1/tokens", json={"text": text}).json()
    assert (count["limit"], len(count["borders"]), len(count["fills"])) == (150, 1, 2)
    assert text[count["borders"][0] :].startswith(("cat", "dog"))
    assert "[x:y" in count["problems"][0]
    assert client.post("/api/v1/tokens", json={"text": "cat AND cat", "negative": True}).json()["used"] == 3
