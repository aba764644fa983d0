"""The time before the page is built, and what happens when it cannot be."""

from __future__ import annotations

import threading
from types import ModuleType

import pytest
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from starlette.testclient import TestClient

from modules.service.app import App
from modules.web.gate import Gate
from modules.web.server import create_server
from tests.service.helpers import until
from tests.web.conftest import ADDRESS


def _page(monkeypatch: pytest.MonkeyPatch, mount: object) -> str:
    module = ModuleType("tests.web.made_page")
    module.__dict__["mount"] = mount
    monkeypatch.setitem(__import__("sys").modules, module.__name__, module)
    return module.__name__


def test_jobs_are_taken_before_the_page_is_there(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    built = threading.Event()

    def mount(server: FastAPI, app: App) -> None:
        built.wait(20)
        server.add_route("/", lambda request: PlainTextResponse("the page"))

    gate = Gate(app, _page(monkeypatch, mount))
    with TestClient(create_server(app, gate), base_url=ADDRESS) as client:
        assert "Starting" in client.get("/").text
        assert client.get("/theme.css").status_code == 503
        assert client.get("/api/v1/status").json()["page"] == "starting"
        assert client.post("/api/v1/jobs", json={"width": 64, "height": 64}).status_code == 201
        built.set()
        until(lambda: client.get("/").text == "the page")
        assert client.get("/api/v1/status").json()["page"] == "ready"


def test_the_api_lives_without_the_page(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    def mount(server: FastAPI, app: App) -> None:
        raise RuntimeError("no page today")

    gate = Gate(app, _page(monkeypatch, mount))
    with TestClient(create_server(app, gate), base_url=ADDRESS) as client:
        until(lambda: client.get("/api/v1/status").json()["page"] == "failed")
        assert client.get("/sdapi/v1/samplers").status_code == 200
