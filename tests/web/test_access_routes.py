"""Every route of the running app, our own, A1111's, and those of the page's library, is behind the one gate."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from modules.service.app import App
from modules.web.deps import OWNER_ONLY
from modules.web.gate import Gate
from modules.web.server import create_server
from tests.service.helpers import make_app, until
from tests.web.routes import walk
from tests.web.visitors import ANN, BOB, THERE, log_in, logged_in, visitor, with_accounts

# What is the machine's or other people's. A route may be taken off this list only for a good reason.
OWNERS = {
    ("POST", "/sdapi/v1/options"),
    ("POST", "/sdapi/v1/server-stop"),
    ("POST", "/sdapi/v1/server-kill"),
    ("POST", "/sdapi/v1/server-restart"),
    ("GET", "/internal/sysinfo"),
    ("POST", "/api/v1/checkpoint"),
    ("POST", "/api/v1/open-folder"),
    ("GET", "/api/v1/access/share"),
    ("POST", "/api/v1/access/link"),
    ("PUT", "/api/v1/networks/note"),
    ("POST", "/api/v1/networks/convert"),
    ("PUT", "/api/v1/networks/preview"),
    ("PUT", "/api/v1/styles"),
    ("DELETE", "/api/v1/styles"),
    ("POST", "/api/v1/gallery/folders"),
    ("PATCH", "/api/v1/settings"),
    ("POST", "/api/v1/settings/restore"),
    ("POST", "/api/v1/queue/pause"),
    ("POST", "/api/v1/queue/resume"),
}
STRANGE = (
    "/",
    "//",
    "/x",
    "/.",
    "/login/",
    "/login/x",
    "/logout/",
    "/%6cogin/x",
    "/LOGIN",
    "/access",
    "/access/",
    "/access/a/b",
    "/access/../docs",
    "/access/..%2fdocs",
    "/login;x",
    "/login\\x",
    "/static/webui/login.html",
    "/static/webui/app.js",
    "/file=accounts.json",
    "/gradio_api/file=accounts.json",
    "/gradio_api/queue/join",
    "/gradio_api/heartbeat/x",
    "/gradio_api/upload",
    "/config",
    "/docs",
    "/openapi.json",
    "/robots.txt",
    "/favicon.ico",
)


@dataclass(frozen=True)
class Running:
    """The whole server with the page's library in it."""

    app: App
    server: FastAPI
    routes: list[tuple[str, str, Any]]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    app = make_app(tmp_path_factory.mktemp("routes"), server_name="0.0.0.0")
    with_accounts(app)
    gate = Gate(app)
    server = create_server(app, gate)
    with contextlib.ExitStack() as stack:
        stack.callback(app.close)
        stack.enter_context(TestClient(server, base_url=THERE))
        until(lambda: gate.state == "ready", 60)
        page = gate._page
        assert isinstance(page, FastAPI)
        yield Running(app, server, [*walk(server.routes), *walk(page.routes)])


def test_there_is_much_to_guard(running: Running) -> None:
    paths = {path for _, path, _ in running.routes}
    assert len(running.routes) > 120
    assert {
        "/sdapi/v1/txt2img",
        "/api/v1/jobs",
        "/docs",
        "/openapi.json",
        "/config",
        "/gradio_api/queue/join",
    } <= paths
    assert any(path.startswith("/static/webui") for path in paths)


def test_no_route_answers_somebody_unknown(running: Running) -> None:
    client = visitor(running.server)
    answered = []
    for method, path, _ in running.routes:
        if method == "WS":
            with pytest.raises(WebSocketDisconnect), client.websocket_connect(path):
                pass
        elif path not in ("/login", "/logout"):  # the gate's own; what the library has there is never reached
            answer = client.request(method, path)
            answered += [(method, path, answer.status_code)] if answer.status_code != 401 else []
    assert not answered


def test_a_browser_is_led_to_the_login_from_everywhere(running: Running) -> None:
    client = visitor(running.server)
    for method, path, _ in running.routes:
        if method == "GET" and path not in ("/login", "/logout"):
            answer = client.get(path, headers={"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "none"})
            assert answer.status_code == 303, path
            assert answer.headers["location"].startswith("/login"), path


@pytest.mark.parametrize("path", STRANGE)
def test_no_odd_path_leads_in(running: Running, path: str) -> None:
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"):
        answer = visitor(running.server).request(method, THERE + path)
        assert answer.status_code in (401, 405), (method, path, answer.status_code)


def test_what_the_library_has_at_our_addresses_is_never_reached(running: Running) -> None:
    client = visitor(running.server)
    assert "<title>Log in</title>" in client.get("/login").text
    assert client.get("/logout").status_code == 405
    assert client.post("/login", json={"username": "a", "password": "b"}).status_code == 401


def test_all_of_it_is_there_for_who_has_come_in(running: Running) -> None:
    client = logged_in(running.server, BOB)
    for path in ("/", "/docs", "/openapi.json", "/config", "/static/webui/app.js", "/sdapi/v1/samplers"):
        assert client.get(path).status_code == 200, path


def test_what_is_the_owners_is_refused_to_users(running: Running) -> None:
    marked = {(method, path) for method, path, route in running.routes if _is_marked(route)}
    assert marked >= OWNERS
    bob, ann = logged_in(running.server, BOB), logged_in(running.server, ANN)
    for method, path in sorted(marked):
        answer = bob.request(method, path, json={})
        assert answer.status_code == 403, (method, path, answer.status_code)
        assert "owner" in answer.json()["detail"], (method, path)
    assert ann.get("/api/v1/access/share").status_code == 200
    assert ann.post("/sdapi/v1/options", json={}).status_code == 200


def _is_marked(route: Any) -> bool:
    return OWNER_ONLY in (getattr(route, "dependencies", None) or [])


def test_the_library_serves_no_file_of_ours(running: Running) -> None:
    """Neither the accounts, nor sessions, nor the program: whatever the page's library thinks of its folders."""
    client = logged_in(running.server, ANN)
    places = running.app.folders
    files = [running.app.people.accounts.path, places.state / "sessions.json", places.state / "access.json",
             Path("requirements.txt").resolve(), Path("/etc/hostname")]  # fmt: skip
    for file in files:
        for route in ("/gradio_api/file=", "/file=", "/static/webui/", "/static/", "/assets/", "/svelte/"):
            for spelt in (str(file), file.name, f"../{file.name}", f"..%2f{file.name}", f"%2e%2e/{file.name}"):
                answer = client.get(route + spelt)
                assert answer.status_code != 200, route + spelt


def test_security_headers_are_on_every_answer(running: Running) -> None:
    unknown, known = visitor(running.server), logged_in(running.server, BOB)
    for client in (unknown, known):
        for path in ("/", "/login", "/config", "/static/webui/app.js", "/api/v1/status", "/nowhere"):
            headers = client.get(path).headers
            assert headers["x-content-type-options"] == "nosniff", path
            assert headers["x-frame-options"] in ("SAMEORIGIN", "DENY"), path
            assert "frame-ancestors" in headers["content-security-policy"], path
            assert "access-control-allow-origin" not in headers, path
            assert "server" not in headers, path


def test_a_login_is_not_given_to_a_foreign_form(running: Running) -> None:
    client = visitor(running.server, Origin="http://evil.example")
    assert log_in(client, ANN).status_code == 403
