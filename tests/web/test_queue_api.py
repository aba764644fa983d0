"""/api/v1, the queue: who sees what of it, and who may do what to it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from PIL import Image
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from modules.service.app import App
from modules.service.line import Line
from modules.web import errors
from modules.web.api.queue import router, title
from tests.service.helpers import request, until
from tests.web.conftest import ADDRESS, Connect, body


@pytest.fixture
def ann(connect: Connect, app: App) -> Iterator[TestClient]:
    """Somebody at a browser; afterwards the queue is empty and goes on."""
    client = connect()
    client.get("/")
    yield client
    for item in app.queue():
        app.line.cancel(item.number)
    app.line.resume()
    until(lambda: not app.queue())


@pytest.fixture
def bob(connect: Connect) -> TestClient:
    client = connect()
    client.get("/")
    return client


@pytest.fixture
def paused(app: App) -> Line:
    app.line.pause()
    return app.line


def order(client: TestClient, prompt: str = "", **values: Any) -> str:
    answer = client.post("/api/v1/jobs", json=body(prompt, **values))
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def queue(client: TestClient, **options: Any) -> dict[str, Any]:
    return client.get("/api/v1/queue", params=options).json()


def mine(client: TestClient) -> list[str]:
    return [job["id"] for job in queue(client)["jobs"] if job["mine"]]


def test_own_jobs_have_content_others_are_somebodys(paused: Line, ann: TestClient, bob: TestClient) -> None:
    own, other = order(ann, "my secret boat", batch_count=3), order(bob, "his own")
    answer = bob.get("/api/v1/queue")
    assert "secret" not in answer.text
    assert own not in answer.text
    first, second = answer.json()["jobs"]
    assert (first["id"], first["mine"], first["state"], first["position"]) == (None, False, "waiting", 1)
    assert "title" not in first
    assert (second["id"], second["title"], second["position"]) == (other, "his own", 2)
    told = queue(ann)["jobs"][0]
    content = [told[name] for name in ("title", "pictures", "kind", "thumbnail")]
    assert content == ["my secret boat", 3, "generation", None]
    assert (answer.json()["waiting"], answer.json()["left_out"]) == (2, 0)
    assert (queue(ann)["newest"], answer.json()["newest"]) == ([own, "waiting"], [other, "waiting"])
    for verb in ("cancel", "interrupt", "move", "repeat"):
        assert bob.post(f"/api/v1/jobs/{own}/{verb}", json={"to": "front"}).status_code == 404


def test_a_long_queue_is_told_in_part_and_ones_own_whole(paused: Line, ann: TestClient, bob: TestClient) -> None:
    for _ in range(4):
        order(ann)
    own = [order(bob), order(bob)]
    answer = queue(bob, limit=1)
    assert [job["id"] for job in answer["jobs"]] == [None, *own]
    assert [job["position"] for job in answer["jobs"]] == [1, 2, 4]
    assert (answer["waiting"], answer["left_out"]) == (6, 3)


def test_moving_ones_own(paused: Line, ann: TestClient) -> None:
    first, second, third = (order(ann, name) for name in "abc")
    answer = ann.post(f"/api/v1/jobs/{third}/move", json={"to": "front"}).json()
    assert (answer["id"], answer["position"]) == (third, 1)
    assert mine(ann) == [third, first, second]
    ann.post(f"/api/v1/jobs/{third}/move", json={"to": "down"})
    assert mine(ann) == [first, third, second]
    ann.post(f"/api/v1/jobs/{second}/move", json={"to": "up"})
    ann.post(f"/api/v1/jobs/{first}/move", json={"to": 3})
    assert mine(ann) == [second, third, first]
    for wrong in ("sideways", 0, -1, None, 1.5):
        assert ann.post(f"/api/v1/jobs/{first}/move", json={"to": wrong}).status_code == 422
    ann.post(f"/api/v1/jobs/{first}/cancel")
    refused = ann.post(f"/api/v1/jobs/{first}/move", json={"to": "front"})
    assert (refused.status_code, refused.json()["field"]) == (422, "to")


def test_repeating(paused: Line, ann: TestClient) -> None:
    job = order(ann, "a boat", seed=41)
    for sent, same in ((None, True), ({"seed": "same"}, True), ({"seed": "new"}, False)):
        answer = ann.post(f"/api/v1/jobs/{job}/repeat", json=sent)
        assert answer.status_code == 201
        again = answer.json()
        assert again["id"] != job
        assert again["request"]["prompt"] == "a boat"
        assert (again["request"]["seed"] == 41) is same
    assert len(mine(ann)) == 4


def test_the_owner_of_the_machine_pauses_and_cancels(ann: TestClient, bob: TestClient, app: App) -> None:
    since = ann.post("/api/v1/queue/pause").json()["paused"]
    assert since > 0
    job = order(bob, "waits")
    answer = queue(ann)
    assert (answer["paused"], answer["rules"], answer["jobs"][0]["seconds"]) == (since, True, None)
    assert bob.get(f"/api/v1/jobs/{job}").json()["state"] == "waiting"
    number = answer["jobs"][0]["number"]
    assert ann.post(f"/api/v1/queue/{number}/cancel").status_code == 200
    assert bob.get(f"/api/v1/jobs/{job}").json()["state"] == "cancelled"
    assert ann.post(f"/api/v1/queue/{10**9}/cancel").status_code == 404
    assert ann.post(f"/api/v1/queue/{10**30}/cancel").status_code == 422
    assert ann.post("/api/v1/queue/resume").json()["paused"] is None
    job = order(bob)
    until(lambda: bob.get(f"/api/v1/jobs/{job}").json()["state"] == "done")


@pytest.fixture
def as_user(app: App) -> TestClient:
    """Somebody who does not own the machine."""
    server = FastAPI()
    errors.install(server)
    server.state.app = app
    server.include_router(router)

    async def with_role(scope: Scope, receive: Receive, send: Send) -> None:
        await server({**scope, "state": {"owner": "person:carl", "role": "user"}}, receive, send)

    return TestClient(with_role, base_url=ADDRESS)


def test_who_does_not_own_the_machine_may_neither_pause_nor_cancel_others(
    paused: Line, ann: TestClient, as_user: TestClient, app: App
) -> None:
    order(ann)
    (item,) = app.queue()
    answer = queue(as_user)
    assert answer["rules"] is False
    assert "number" not in answer["jobs"][0]
    for path in ("pause", "resume", f"{item.number}/cancel"):
        assert as_user.post(f"/api/v1/queue/{path}").status_code == 403
    assert app.line.paused
    assert len(app.queue()) == 1


def test_a_small_picture_of_a_job(ann: TestClient, bob: TestClient) -> None:
    job = order(ann, width=512, height=256)
    until(lambda: ann.get(f"/api/v1/jobs/{job}").json()["state"] == "done")
    answer = ann.get(f"/api/v1/jobs/{job}/thumbnail")
    assert answer.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(answer.content)).size == (128, 64)
    assert bob.get(f"/api/v1/jobs/{job}/thumbnail").status_code == 404


def test_a_job_without_a_picture_shows_the_one_it_begins_with(paused: Line, ann: TestClient) -> None:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "#c02030").save(file, "PNG")
    picture = ann.post("/api/v1/inputs", files={"file": ("a.png", file.getvalue())}).json()["picture"]
    job, plain = order(ann, image={"picture": picture}), order(ann)
    told = queue(ann)["jobs"]
    assert [item["thumbnail"] for item in told] == [f"jobs/{job}/thumbnail?of=0", None]
    red = Image.open(io.BytesIO(ann.get(f"/api/v1/{told[0]['thumbnail']}").content)).getpixel((32, 32))
    assert red[0] > 180 > 60 > red[1]
    assert ann.get(f"/api/v1/jobs/{plain}/thumbnail").status_code == 404


def test_a1111_tells_the_fair_place(paused: Line, ann: TestClient, bob: TestClient) -> None:
    for _ in range(3):
        order(ann)
    own = [order(bob), order(bob)]
    told = bob.get("/sdapi/v1/progress").json()
    assert (told["textinfo"], told["current_task"]) == ("In queue: 2/5", own[0])
    bob.post(f"/api/v1/jobs/{own[1]}/move", json={"to": "front"})
    assert bob.get("/sdapi/v1/progress").json()["current_task"] == own[1]
    assert bob.get("/internal/pending-tasks").json() == {"size": 2, "tasks": [own[1], own[0]]}
    task = bob.post("/internal/progress", json={"id_task": own[0]}).json()
    assert (task["queued"], task["textinfo"]) == (True, "In queue: 4/5")


def test_titles_are_one_short_line() -> None:
    assert title(request("a\nboat,   red")) == "a boat, red"
    long = title(request("word " * 1000))
    assert len(long) <= 161
    assert long.endswith("word…")
