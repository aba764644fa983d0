"""/api/v1: what the page's own scripts use."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from modules.service.app import App
from modules.web.api.forms import FORM_LIMIT, Forms
from tests.service.helpers import until
from tests.web.conftest import Connect


def order(client: TestClient, prompt: str = "", **values: Any) -> str:
    answer = client.post(
        "/api/v1/jobs", json={"prompt": prompt, "width": 64, "height": 64, "steps": 3, "seed": 5, **values}
    )
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def messages(client: TestClient, job: str, **options: Any) -> list[tuple[int, dict[str, Any]]]:
    """(number, data) of every message of a job's stream."""
    answer = client.get(f"/api/v1/jobs/{job}/events", **options)
    assert answer.headers["content-type"].startswith("text/event-stream")
    blocks = [block.split("\n") for block in answer.text.split("\n\n") if block.startswith("id: ")]
    return [(int(b[0].removeprefix("id: ")), json.loads(b[1].removeprefix("data: "))) for b in blocks]


def ended(client: TestClient, job: str) -> bool:
    return client.get(f"/api/v1/jobs/{job}").json()["state"] not in ("waiting", "running")


def test_a_job_from_order_to_picture(client: TestClient) -> None:
    job = order(client, "a boat", batch_count=2)
    told = messages(client, job)
    kinds = [data["event"] for _, data in told]
    assert kinds[-1] == "Finished"
    assert kinds.count("ImageSaved") == 2
    assert [number for number, _ in told] == sorted({number for number, _ in told})
    state = client.get(f"/api/v1/jobs/{job}").json()
    assert state["state"] == "done"
    assert [image["index"] for image in state["images"]] == [0, 1]
    for address in (f"images/{state['images'][0]['name']}", f"jobs/{job}/images/0"):
        answer = client.get(f"/api/v1/{address}")
        assert answer.headers["content-type"] == "image/png"
        assert answer.headers["cache-control"].startswith("private")
        assert Image.open(io.BytesIO(answer.content)).size == (64, 64)


def test_all_pictures_of_a_job_in_one_file(client: TestClient, connect: Connect) -> None:
    job = order(client, "a", batch_count=3, width=16, height=16, steps=1)
    until(lambda: ended(client, job))
    answer = client.get(f"/api/v1/jobs/{job}/zip")
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        pictures = [archive.read(name) for name in archive.namelist()]
    assert pictures == [client.get(f"/api/v1/jobs/{job}/images/{index}").content for index in range(3)]
    other = connect()
    other.get("/")
    assert other.get(f"/api/v1/jobs/{job}/zip").status_code == 404


def test_late_readers_are_told_the_same(client: TestClient) -> None:
    job = order(client)
    live = messages(client, job)
    late = messages(client, job)
    lasting = [item for item in live if item[1]["event"] not in ("Progress", "Preview")]
    assert [item for item in late if item[1]["event"] not in ("Progress", "Preview")] == lasting
    after = live[-2][0]
    assert messages(client, job, headers={"Last-Event-ID": str(after)}) == live[-1:]
    assert messages(client, job, params={"after": after}) == live[-1:]
    end = client.get(f"/api/v1/jobs/{job}/events", headers={"Last-Event-ID": str(live[-1][0])})
    assert end.status_code == 204  # a browser stops to reconnect


def test_previews_are_data_uris(client: TestClient) -> None:
    job = order(client, "slow", steps=20)
    previews = [data for _, data in messages(client, job) if data["event"] == "Preview"]
    assert previews
    assert previews[0]["data_uri"].startswith("data:image/jpeg;base64,")


def test_interrupt_skip_and_cancel(client: TestClient) -> None:
    running, waiting = order(client, "slow", steps=500, batch_count=3), order(client)
    until(lambda: client.get(f"/api/v1/jobs/{running}").json()["state"] == "running")
    queue = client.get("/api/v1/queue").json()
    assert [(item["id"], item["position"]) for item in queue["jobs"]] == [(running, 0), (waiting, 1)]
    assert queue["engine"]["state"] == "busy"
    assert client.post(f"/api/v1/jobs/{waiting}/cancel").json()["state"] == "cancelled"
    assert client.post(f"/api/v1/jobs/{running}/skip").status_code == 200
    until(lambda: len(client.get(f"/api/v1/jobs/{running}").json()["images"]) == 1)
    client.post(f"/api/v1/jobs/{running}/interrupt")
    until(lambda: ended(client, running))


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"steps": 0}, "steps", "Sampling steps (steps) is 0 but should be greater than or equal to 1."),
        ({"colour": 1}, "colour", "no parameter named 'colour'"),
        ({"sampler": "Eulr"}, "sampler", "Did you mean 'Euler'"),
        ({"checkpoint": "nowhere"}, "checkpoint", "no checkpoint named 'nowhere'"),
    ],
)
def test_a_wrong_order_is_one_sentence(client: TestClient, values: dict[str, Any], field: str, words: str) -> None:
    answer = client.post("/api/v1/jobs", json=values)
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert words in answer.json()["detail"]


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff"])
def test_a_body_that_is_no_object(client: TestClient, content: bytes) -> None:
    assert client.post("/api/v1/jobs", content=content).status_code == 422


def test_seeds_of_nineteen_digits_survive_as_text(client: TestClient) -> None:
    job = order(client, seed="9223372036854775000")
    assert client.get(f"/api/v1/jobs/{job}").json()["request"]["seed"] == 9223372036854775000


@pytest.mark.parametrize(
    "name", ["../cache/jobs.sqlite", "%2e%2e/cache/jobs.sqlite", "/etc/passwd", "nothing.png", ""]
)
def test_no_way_out_of_the_outputs_folder(client: TestClient, name: str) -> None:
    assert client.get(f"/api/v1/images/{name}").status_code == 404


def test_pictures_of_others_are_not_found(connect: Connect) -> None:
    ann, bob = connect(), connect()
    for browser in (ann, bob):
        browser.get("/")
    job = order(ann)
    until(lambda: ended(ann, job))
    name = ann.get(f"/api/v1/jobs/{job}").json()["images"][0]["name"]
    assert ann.get(f"/api/v1/images/{name}").status_code == 200
    assert bob.get(f"/api/v1/images/{name}").status_code == 404
    assert bob.get(f"/api/v1/jobs/{job}/images/0").status_code == 404


def test_the_form_is_kept_for_each(connect: Connect, app: App) -> None:
    ann, bob = connect(), connect()
    for browser in (ann, bob):
        browser.get("/")
    assert ann.get("/api/v1/form").json() == {}
    assert ann.post("/api/v1/form", json={"values": {"prompt": "Füße"}}).status_code == 200
    assert ann.get("/api/v1/form").json() == {"values": {"prompt": "Füße"}}
    assert bob.get("/api/v1/form").json() == {}
    again = Forms(app.folders.state / "forms")
    assert again.load(ann.cookies["owner"], "txt2img") == {"values": {"prompt": "Füße"}}
    assert not any(ann.cookies["owner"] in path.name for path in (app.folders.state / "forms").iterdir())


def test_a_form_has_a_limit(client: TestClient) -> None:
    assert client.post("/api/v1/form", json={"a": "x" * FORM_LIMIT}).status_code == 413

    def endless() -> Any:
        for _ in range(100):
            yield b"x" * 10_000

    assert client.post("/api/v1/form", content=endless()).status_code == 413


def test_tokens(client: TestClient) -> None:
    assert client.post("/api/v1/tokens", json={"text": "a red boat"}).json() == {
        "used": 3,
        "limit": 75,
        "borders": [],
        "fills": [3],
        "problems": [],
    }
    long = client.post("/api/v1/tokens", json={"text": "boat " * 80}).json()
    assert (long["used"], long["limit"], len(long["borders"])) == (80, 150, 1)
    plain = client.post("/api/v1/tokens", json={"text": "(boat:1.2)", "emphasis": "None"}).json()
    assert plain["used"] > 1


def test_checkpoints(client: TestClient, app: App) -> None:
    (app.folders.checkpoints[0] / "half.safetensors").write_bytes(b"broken")
    answer = client.post("/api/v1/checkpoints/refresh").json()
    assert answer == client.get("/api/v1/checkpoints").json()
    by_name = {entry["name"]: entry for entry in answer["checkpoints"]}
    assert by_name["miniature.safetensors"]["native_size"] == [128, 128]
    assert by_name["half.safetensors"]["problem"]
    assert answer["vaes"][:2] == ["Automatic", "None"]
    assert client.post("/api/v1/checkpoint", json={"name": "miniature"}).json()["selected"] == answer["selected"]
    assert client.post("/api/v1/checkpoint", json={"name": "half"}).status_code == 500
    assert client.post("/api/v1/checkpoint", json={"name": "nowhere"}).status_code == 422


def test_status(client: TestClient) -> None:
    until(lambda: client.get("/api/v1/status").json()["page"] == "ready")
    answer = client.get("/api/v1/status").json()
    assert answer["checkpoint"].startswith("miniature")
    assert answer["engine"]["state"] in ("starting", "loading", "ready")
    assert answer["notices"] == []


def test_png_info_brings_the_request_back(client: TestClient) -> None:
    job = order(client, "a boat\nNegative prompt: a trap")
    until(lambda: ended(client, job))
    data = client.get(f"/api/v1/jobs/{job}/images/0").content
    for answer in (
        client.post("/api/v1/png-info", content=data),
        client.post("/api/v1/png-info", files={"file": ("x.png", data, "image/png")}),
    ):
        reading = answer.json()
        assert reading["text"].startswith("a boat\nNegative prompt: a trap")
        assert reading["request"] == client.get(f"/api/v1/jobs/{job}").json()["request"]


def test_png_info_of_a_picture_without_text(client: TestClient) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG")
    answer = client.post("/api/v1/png-info", content=buffer.getvalue())
    assert answer.status_code == 200
    assert (answer.json()["text"], answer.json()["request"]) == ("", None)


@pytest.mark.parametrize("data", [b"", b"no picture at all", b"\x89PNG\r\n\x1a\n" + b"\0" * 30])
def test_png_info_of_something_else_is_one_sentence(client: TestClient, data: bytes) -> None:
    answer = client.post("/api/v1/png-info", content=data)
    assert answer.status_code == 422
    assert answer.json()["detail"].endswith(".")


def test_a_pasted_text(client: TestClient) -> None:
    text = "a cat\nNegative prompt: blur\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x768"
    reading = client.post("/api/v1/infotext", json={"text": text}).json()
    assert (reading["request"]["prompt"], reading["request"]["height"]) == ("a cat", 768)
    assert client.post("/api/v1/infotext", json={"text": "only words"}).status_code == 422


def test_the_folder_is_named_to_those_elsewhere(client: TestClient, app: App) -> None:
    answer = client.post("/api/v1/open-folder", json={})  # the test client is no loopback address
    assert (answer.status_code, answer.json()["detail"]) == (409, str(app.folders.outputs))
    assert client.post("/api/v1/open-folder", json={"name": "../x"}).status_code == 404
