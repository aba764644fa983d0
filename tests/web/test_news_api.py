"""Over HTTP: the test of the webhook, the owner's sound, the example to train with, the first steps."""

from __future__ import annotations

import socket
from contextlib import closing
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from modules.schema.errors import NotFound
from modules.service.app import App
from modules.service.examples import example_set
from tests.service.helpers import make_app
from tests.web.conftest import Connect
from tests.web.visitors import ANN, BOB, logged_in, server_of, with_accounts

TEST = "/api/v1/settings/webhook/test"


@pytest.fixture
def client(connect: Connect, app: App) -> TestClient:
    client = connect()
    client.get("/")
    return client


def test_a_webhook_that_cannot_be_reached_is_a_sentence_without_its_secret(client: TestClient, app: App) -> None:
    assert client.post(TEST).json()["field"] == "webhook_url"
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    refused = client.patch("/api/v1/settings", json={"values": {"webhook_url": "ftp://a/b"}})
    assert (refused.status_code, refused.json()["field"]) == (422, "webhook_url")
    assert "http:// or https://" in refused.json()["detail"]
    client.patch("/api/v1/settings", json={"values": {"webhook_url": f"http://127.0.0.1:{port}/secret"}})
    answer = client.post(TEST)
    app.desk.restore(["webhook_url"])
    assert (answer.status_code, answer.json()["error"]) == (502, "NotSent")
    assert answer.json()["detail"] == (
        f"http://127.0.0.1:{port} refuses the connection: is the program there running?"
    )


def test_reports_for_others_do_not_show_the_webhook(client: TestClient, app: App) -> None:
    app.desk.change({"webhook_url": "http://127.0.0.1:9/secret"})
    told = client.get("/internal/sysinfo").text
    app.desk.restore(["webhook_url"])
    assert "secret" not in told and "webhook_events" in told


def test_the_owners_sound_takes_the_place_of_the_notes(client: TestClient, app: App) -> None:
    assert client.get("/api/v1/sound").status_code == 204
    file = app.folders.data / "notification.mp3"
    file.write_bytes(b"ID3 a sound")
    answer = client.get("/api/v1/sound")
    file.unlink()
    assert (answer.content, answer.headers["content-type"]) == (b"ID3 a sound", "audio/mpeg")


def test_the_example_is_made_once_and_can_be_opened(client: TestClient, app: App) -> None:
    name = client.post("/api/v1/examples/dataset").json()["name"]
    assert client.post("/api/v1/examples/dataset").json()["name"] == name == "uncle_aharon"
    shown = client.get(f"/api/v1/datasets/{name}").json()
    assert len(shown["pictures"]) == 24
    assert all(picture["caption"] for picture in shown["pictures"])
    assert Path(shown["path"]).parent == app.folders.data / "datasets"


def test_each_person_gets_an_example_of_their_own(tmp_path: Path) -> None:
    app = make_app(tmp_path, server_name="0.0.0.0")
    try:
        with_accounts(app)
        server = server_of(app)
        bob, ann = logged_in(server, BOB), logged_in(server, ANN)
        assert bob.post("/api/v1/examples/dataset").json()["name"] == "uncle_aharon"
        assert len(bob.get("/api/v1/datasets/uncle_aharon").json()["pictures"]) == 24
        assert ann.post("/api/v1/examples/dataset").json()["name"] == "uncle_aharon 2"
        assert bob.post("/api/v1/examples/dataset").json()["name"] == "uncle_aharon"
        assert bob.post(TEST).status_code == 403
        assert bob.patch("/api/v1/settings", json={"values": {"webhook_url": "http://a/"}}).status_code == 403
        assert ann.post(TEST).status_code == 422
    finally:
        app.close()


def test_without_the_documentation_the_example_is_a_sentence(app: App, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="come with the program's documentation"):
        example_set(app.datasets, "", tmp_path)


def test_first_steps_are_each_persons_own_and_are_remembered(connect: Connect) -> None:
    ann, bob = connect(), connect()
    for person in (ann, bob):
        person.get("/")
    assert ann.get("/api/v1/settings/mine").json()["settings"]["first_steps"] is True
    ann.patch("/api/v1/settings/mine", json={"values": {"first_steps": False}})
    assert ann.get("/api/v1/settings/mine").json()["settings"]["first_steps"] is False
    assert bob.get("/api/v1/settings/mine").json()["settings"]["first_steps"] is True
