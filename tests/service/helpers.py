"""An App over a fake engine, and ways to wait for things."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from modules.schema.events import Event
from modules.schema.request import GenerationRequest
from modules.schema.settings import Settings
from modules.service.app import App

ROOT = Path(__file__).parents[2]
FAKE = [sys.executable, "-m", "tests.service.fake_engine"]
ANN, BOB = "ann", "bob"


def make_app(folder: Path, *, command: list[str] | None = None, **settings: Any) -> App:
    """An App on `folder` with the embedded checkpoint and the fake engine."""
    values = {"data_dir": str(folder), **settings}
    return App.start(Settings(**values), ROOT, command=command or FAKE)


def request(prompt: str = "", **values: Any) -> GenerationRequest:
    return GenerationRequest(**{"prompt": prompt, "width": 16, "height": 16, "steps": 3, "seed": 5, **values})


def to_end(app: App, job_id: str, owner: str = ANN, after: int = 0) -> list[Event]:
    """All events of a job; fails when it does not end in time."""
    events = [event for _, event in app.follow(job_id, owner, after, timeout=20)]
    assert events, "no event came in time"
    return events


def until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def ready(app: App) -> None:
    until(lambda: app.engine_status().state == "ready")


def running(app: App, job_id: str, owner: str = ANN) -> None:
    """Wait until a job has begun to draw."""
    until(lambda: app.progress(job_id, owner)[0] is not None)
