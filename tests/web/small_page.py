"""Stands in for the page of modules.web.ui, which takes seconds to build."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

from modules.service.app import App


def mount(server: FastAPI, app: App) -> None:
    assert app.settings is not None

    @server.get("/")
    def page() -> PlainTextResponse:
        return PlainTextResponse("the page")
