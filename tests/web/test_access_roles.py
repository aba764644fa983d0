"""What somebody sees of others, and where secrets are not."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from PIL import Image
from starlette.responses import Response
from starlette.testclient import TestClient

from modules.service.app import App
from modules.web.access import Access
from modules.web.guard import Guard
from tests.service.helpers import make_app, until
from tests.web.visitors import (
    ANN,
    BOB,
    PASSWORD,
    THERE,
    at_home,
    logged_in,
    picture,
    server_of,
    visitor,
    with_accounts,
)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    app = make_app(tmp_path_factory.mktemp("roles"), server_name="0.0.0.0", user_steps=30)
    with_accounts(app)
    app.people.accounts.add("carl", PASSWORD, "user")
    yield app
    app.close()


@pytest.fixture(scope="module")
def server(app: App) -> FastAPI:
    return server_of(app)


@pytest.fixture(scope="module")
def ann(server: FastAPI) -> TestClient:
    return logged_in(server, ANN)


@pytest.fixture(scope="module")
def bob(server: FastAPI) -> TestClient:
    return logged_in(server, BOB)


@pytest.fixture(scope="module")
def carl(server: FastAPI) -> TestClient:
    return logged_in(server, "carl")


def order(client: TestClient, prompt: str = "") -> str:
    answer = client.post("/api/v1/jobs", json=picture(prompt))
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def test_a_person_is_the_same_on_every_device(server: FastAPI, bob: TestClient) -> None:
    job = order(bob)
    phone = logged_in(server, "BOB")
    assert phone.get(f"/api/v1/jobs/{job}").status_code == 200
    bob.post("/api/v1/form", json={"values": {"prompt": "half a sen"}})
    assert phone.get("/api/v1/form").json()["values"]["prompt"] == "half a sen"


def test_nobody_sees_or_stops_anothers_job(bob: TestClient, carl: TestClient) -> None:
    job = order(bob, "slow secret words")
    for path in ("", "/events", "/images/0", "/zip"):
        assert carl.get(f"/api/v1/jobs/{job}{path}").status_code == 404
    for action in ("interrupt", "skip", "cancel"):
        assert carl.post(f"/api/v1/jobs/{job}/{action}").status_code == 404
    carl.post("/sdapi/v1/interrupt")
    assert "secret words" not in carl.get("/api/v1/queue").text
    assert bob.get(f"/api/v1/jobs/{job}").json()["state"] in ("waiting", "running", "done")
    bob.post(f"/api/v1/jobs/{job}/interrupt")


def test_pictures_are_their_owners(app: App, bob: TestClient, carl: TestClient, ann: TestClient) -> None:
    job = order(bob)
    until(lambda: bob.get(f"/api/v1/jobs/{job}").json()["state"] == "done")
    name = bob.get(f"/api/v1/jobs/{job}").json()["images"][0]["name"]
    assert bob.get(f"/api/v1/images/{name}").status_code == 200
    assert carl.get(f"/api/v1/images/{name}").status_code == 404


def test_limits_are_told_and_kept(bob: TestClient, ann: TestClient) -> None:
    assert bob.get("/api/v1/access").json()["limits"]["steps"] == 30
    assert ann.get("/api/v1/access").json()["limits"] is None
    refused = bob.post("/api/v1/jobs", json={**picture(), "steps": 31})
    assert (refused.status_code, refused.json()["field"]) == (422, "steps")
    assert bob.post("/sdapi/v1/txt2img", json={**picture(), "steps": 31}).status_code == 422
    assert bob.post("/api/v1/jobs", json={"kind": "merge", "checkpoint_a": "miniature"}).status_code == 403
    assert ann.post("/api/v1/jobs", json={**picture(), "steps": 31}).status_code == 201


def test_data_sets_are_their_makers(bob: TestClient, carl: TestClient, ann: TestClient, app: App) -> None:
    assert bob.post("/api/v1/datasets", json={"name": "bobs"}).status_code == 201
    assert [one["name"] for one in bob.get("/api/v1/datasets").json()] == ["bobs"]
    assert carl.get("/api/v1/datasets").json() == []
    assert carl.get("/api/v1/datasets/bobs").status_code == 404
    assert carl.post("/api/v1/datasets/bobs/edit", json={"action": "add", "text": "x"}).status_code == 404
    assert carl.put("/api/v1/datasets/bobs/captions", json={}).status_code == 404
    assert carl.post("/api/v1/datasets", json={"name": "bobs"}).status_code == 422
    assert bob.post("/api/v1/datasets", json={"path": str(app.folders.data)}).status_code == 403
    assert ann.post("/api/v1/datasets", json={"path": str(app.folders.outputs)}).status_code == 201
    assert [one["name"] for one in bob.get("/api/v1/datasets").json()] == ["bobs"]
    assert len(ann.get("/api/v1/datasets").json()) == 2
    file = io.BytesIO()
    Image.new("RGB", (64, 64)).save(file, "PNG")
    files = {"files": ("a.png", file.getvalue(), "image/png")}
    assert bob.post("/api/v1/datasets/bobs/pictures", files=files).json()["added"] == 1
    assert carl.post("/api/v1/datasets/bobs/pictures", files=files).status_code == 404


def test_training_folders_of_the_machine_are_its_owners(bob: TestClient, app: App) -> None:
    body = {"name": "word", "data_root": str(app.folders.outputs)}
    assert bob.post("/api/v1/training", json=body).status_code == 403
    assert bob.post("/api/v1/training/check", json=body).status_code == 403
    assert bob.post("/api/v1/jobs", json={"kind": "training", **body}).status_code == 403
    made = bob.post("/sdapi/v1/create/embedding", json={"name": "x", "overwrite_old": True})
    assert made.status_code == 403


# Secrets


def test_flags_and_sysinfo_name_no_secret(app: App, ann: TestClient) -> None:
    secrets = [app.people.link.code, PASSWORD, app.people.accounts.make_token(ANN), *dict(ann.cookies).values()]
    secrets += [account.password for account in app.people.accounts.all()]
    paths = ("/sdapi/v1/cmd-flags", "/sdapi/v1/options", "/internal/sysinfo", "/api/v1/status", "/openapi.json",
             "/api/v1/access", "/api/v1/access/share", "/config")  # fmt: skip
    for path in paths:
        text = ann.get(path).text
        assert not [secret for secret in secrets if secret in text], path


def test_pictures_name_nobody(app: App, bob: TestClient) -> None:
    job = order(bob)
    until(lambda: bob.get(f"/api/v1/jobs/{job}").json()["state"] == "done")
    data = bob.get(f"/api/v1/jobs/{job}/images/0").content
    assert b"bob" not in data
    assert b"person:" not in data
    assert next(iter(dict(bob.cookies).values())).encode() not in data


def test_logs_hold_no_secret(app: App, server: FastAPI, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = visitor(server, "192.168.1.90")
    client.post("/login", data={"name": BOB, "password": "a wrong password"})
    client.get(app.people.link.path())
    client.get("/sdapi/v1/options", headers={"Authorization": "Bearer a-wrong-token-of-some-length"})
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    text = json.dumps(ours)
    for secret in ("a wrong password", app.people.link.code, "a-wrong-token"):
        assert secret not in text


@pytest.mark.parametrize(
    "kind", ["image/svg+xml", "image/svg+xml; charset=utf-8", "text/xml", "application/xhtml+xml"]
)
def test_what_a_browser_would_run_comes_as_an_attachment(app: App, kind: str) -> None:
    guard = Guard(Response("<svg onload='alert(1)'/>", media_type=kind), Access(app.people, app.settings, "x"))
    client = logged_in(guard, ANN)  # type: ignore[arg-type]
    assert client.get("/anything.svg").headers["content-disposition"] == "attachment"


def test_pages_and_data_are_kept_by_no_cache(bob: TestClient, server: FastAPI) -> None:
    assert bob.get("/docs").headers["cache-control"] == "no-store"
    assert bob.get("/api/v1/status").headers["cache-control"] == "no-store"
    assert at_home(server).get("/login").headers["cache-control"] == "no-store"
    assert THERE
