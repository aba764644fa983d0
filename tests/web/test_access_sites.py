"""What pages of other sites can do with a visitor's browser: follow a link to here, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from modules.schema.errors import SetupError
from modules.schema.settings import Settings
from modules.service.app import App
from modules.web.origins import Origins
from tests.service.helpers import make_app
from tests.web.visitors import BOB, HERE, THERE, at_home, logged_in, server_of, with_accounts

FRIEND = "https://friend.example"
EVIL = "http://evil.example"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    app = make_app(
        tmp_path_factory.mktemp("sites"),
        server_name="0.0.0.0",
        cors_allow_origins=f"{FRIEND}, https://other.example/",
        cors_allow_origins_regex=r"https://[a-z]+\.family\.example",
    )
    with_accounts(app)
    yield app
    app.close()


@pytest.fixture(scope="module")
def server(app: App) -> FastAPI:
    return server_of(app)


@pytest.fixture(scope="module")
def browser(server: FastAPI) -> TestClient:
    """Of bob, who is logged in."""
    return logged_in(server, BOB)


CROSS: list[dict[str, str]] = [
    {"Origin": EVIL},
    {"Origin": "null"},
    {"Origin": f"{THERE}.evil.example"},
    {"Origin": THERE.replace("7860", "7861")},
    {"Origin": "http://192.168.1.5"},
    {"Origin": "https://friend.example.evil.example"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
    {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
]


@pytest.mark.parametrize("headers", CROSS)
def test_nothing_is_sent_read_or_streamed_for_another_site(browser: TestClient, headers: dict[str, str]) -> None:
    job = browser.post("/api/v1/jobs", json={"width": 64, "height": 64, "steps": 1}).json()["id"]
    for method, path in (
        ("GET", "/api/v1/status"),
        ("GET", f"/api/v1/jobs/{job}/events"),
        ("GET", "/gradio_api/queue/data"),
        ("POST", "/api/v1/jobs"),
        ("POST", "/sdapi/v1/txt2img"),
        ("POST", "/sdapi/v1/interrupt"),
        ("POST", "/login"),
        ("POST", "/logout"),
        ("DELETE", f"/api/v1/jobs/{job}"),
    ):
        answer = browser.request(method, path, headers=headers)
        assert answer.status_code == 403, (method, path)
        assert "another site" in answer.json()["detail"]
        assert "access-control-allow-origin" not in answer.headers
    assert browser.get("/api/v1/access").status_code == 200  # nobody was logged out


def test_a_form_of_another_site_cannot_post_as_a_page(browser: TestClient) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert browser.post("/sdapi/v1/interrupt", headers=headers).status_code == 403


def test_a_link_is_followed(browser: TestClient) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert browser.get("/", headers=headers).status_code == 200


@pytest.mark.parametrize("origin", [EVIL, "null"])
def test_a_websocket_of_another_site_is_closed(browser: TestClient, origin: str) -> None:
    with pytest.raises(WebSocketDisconnect), browser.websocket_connect("/", headers={"Origin": origin}):
        pass


def test_a_name_that_is_made_to_point_here_is_refused(server: FastAPI, browser: TestClient) -> None:
    for host in ("evil.example", "evil.example:7860", "192.168.1.5.evil.example", "", "a@192.168.1.5"):
        assert browser.get("/api/v1/status", headers={"Host": host}).status_code in (400, 403), host
        assert at_home(server).get("/login", headers={"Host": host}).status_code in (400, 403), host


def test_two_names_in_a_request_are_refused(browser: TestClient) -> None:
    answer = browser.get("/api/v1/status", headers=[("Host", "192.168.1.5:7860"), ("Host", "evil.example")])  # type: ignore[arg-type]
    assert answer.status_code == 403


# Pages that were named


@pytest.mark.parametrize("origin", [FRIEND, "https://other.example", "https://aunt.family.example"])
def test_a_listed_page_may_call_with_credentials(browser: TestClient, origin: str) -> None:
    asked = browser.options(
        "/sdapi/v1/txt2img",
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        },
    )
    assert asked.status_code == 204
    assert asked.headers["access-control-allow-origin"] == origin
    assert asked.headers["access-control-allow-credentials"] == "true"
    assert asked.headers["access-control-allow-headers"] == "authorization,content-type"
    answer = browser.get("/api/v1/access", headers={"Origin": origin, "Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == origin
    assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize(
    "origin", [EVIL, "null", "https://friend.example.evil", "http://friend.example", FRIEND + ":8"]
)
def test_any_other_page_gets_no_leave(browser: TestClient, origin: str) -> None:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    asked = browser.options("/sdapi/v1/txt2img", headers=headers)
    assert asked.status_code == 403
    assert not [name for name in asked.headers if name.startswith("access-control")]


def test_a_listed_page_must_log_in_too(server: FastAPI) -> None:
    client = TestClient(server, base_url=THERE, client=("192.168.1.77", 1))
    answer = client.get("/api/v1/access", headers={"Origin": FRIEND})
    assert answer.status_code == 401
    assert answer.headers["access-control-allow-origin"] == FRIEND  # so that its script can read why


@pytest.mark.parametrize("values", [{"cors_allow_origins": "*"}, {"cors_allow_origins_regex": "("}])
def test_everybody_cannot_be_listed(values: dict[str, Any]) -> None:
    with pytest.raises(SetupError):
        Origins(Settings(**values))


def test_at_the_machine_other_ports_are_other_sites(tmp_path_factory: pytest.TempPathFactory) -> None:
    app = make_app(tmp_path_factory.mktemp("home"))
    try:
        client = at_home(server_of(app))
        same = {"Origin": HERE, "Sec-Fetch-Site": "same-origin"}
        assert client.post("/sdapi/v1/interrupt", headers=same).status_code == 200
        other = {"Origin": "http://127.0.0.1:8080", "Sec-Fetch-Site": "same-site"}
        assert client.post("/sdapi/v1/interrupt", headers=other).status_code == 403
        assert client.get("/api/v1/status", headers=other).status_code == 403
    finally:
        app.close()
