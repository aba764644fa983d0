"""People at other devices, before a server that is open to the network."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from fastapi import FastAPI
from httpx import Response
from starlette.testclient import TestClient

from modules.service.app import App
from modules.web.gate import Gate
from modules.web.server import create_server

HERE = "http://127.0.0.1:7860"
HTML = {"Accept": "text/html,application/xhtml+xml"}
THERE = "http://192.168.1.5:7860"
ANN, BOB, PASSWORD = "ann", "bob", "correct horse battery"


def server_of(app: App) -> FastAPI:
    return create_server(app, Gate(app, "tests.web.small_page"))


def visitor(server: FastAPI, address: str = "192.168.1.77", at: str = THERE, **headers: str) -> TestClient:
    """A device at `address` that has opened `at`; it follows no redirects."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return TestClient(
        server,
        base_url=at,
        client=(address, 50000),
        headers=named,
        follow_redirects=False,
        raise_server_exceptions=False,
    )


def at_home(server: FastAPI, **headers: str) -> TestClient:
    """Somebody who sits at the machine."""
    return visitor(server, "127.0.0.1", HERE, **headers)


def log_in(client: TestClient, name: str, password: str = PASSWORD, **fields: Any) -> Response:
    return client.post("/login", data={"name": name, "password": password, **fields})


def with_accounts(app: App) -> None:
    """An owner, ann, and a user, bob."""
    app.people.accounts.add(ANN, PASSWORD, "owner")
    app.people.accounts.add(BOB, PASSWORD, "user")


def logged_in(server: FastAPI, name: str) -> TestClient:
    client = visitor(server)
    assert log_in(client, name).status_code == 303
    return client


def picture(prompt: str = "", **values: Any) -> dict[str, Any]:
    """A small order of our own API."""
    return {"prompt": prompt, "width": 64, "height": 64, "steps": 3, "seed": 5, **values}


def me(client: TestClient) -> dict[str, object]:
    """What the server says of the visitor."""
    answer = client.get("/api/v1/access")
    assert answer.status_code == 200, answer.text
    return answer.json()


def basic(name: str, password: str) -> dict[str, str]:
    """A header as programs send it."""
    return {"Authorization": "Basic " + b64encode(f"{name}:{password}".encode()).decode()}
