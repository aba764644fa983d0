"""What the tests of the Train tab share: its steps, pictures, and runs as the server would tell of them."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from PIL import Image, ImageDraw
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import OpenPage
from tests.browser.steps import LONG

Answer = tuple[int, Any]
RUN = "2026-01-02-my_uncle"


def loss(step: int) -> float:
    return 0.09 + 0.12 * math.exp(-step / 300)


def history(last: int, every: int = 5) -> list[list[float | None]]:
    """Rows as the server gives them: step, loss, smooth, rate, norm, evaluation."""
    return [
        [
            step,
            loss(step) * (1 + 0.5 * math.sin(step * 12.9898)),
            loss(step),
            0.005,
            0.41,
            loss(step) if step % 50 == 0 else None,
        ]
        for step in range(1, last + 1)
        if step % every == 0
    ]


def preview(step: int, index: int) -> bytes:
    """A picture that changes with the steps."""
    picture = Image.new("RGB", (128, 128), (40 + 60 * index, 60, 90))
    size = 8 + step // 25
    ImageDraw.Draw(picture).ellipse((64 - size, 64 - size, 64 + size, 64 + size), fill=(230, 160 - step // 20, 60))
    sink = io.BytesIO()
    picture.save(sink, "PNG")
    return sink.getvalue()


@dataclass
class FakeRuns:
    """One run; `asked` holds the (method, path, body) of everything that was asked to change."""

    state: str = "running"
    step: int = 1240
    steps: int = 3000
    events: list[dict[str, Any]] = field(default_factory=list)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    there: bool = True
    warnings: list[str] = field(default_factory=list)
    told: dict[str, Any] = field(default_factory=dict)

    def install(self, page: Page) -> None:
        page.route(re.compile(r"/api/v1/training/(runs|check)\b"), lambda route: self._answer(route))
        page.route(re.compile(r"/api/v1/training$"), lambda route: self._answer(route))

    def changes(self) -> list[str]:
        return [path for _, path, _ in self.asked]

    # --- answers ---

    def _answer(self, route: Route) -> None:
        request = route.request
        path = request.url.split("/api/v1/training")[1].split("?")[0]
        if path.endswith("/events"):
            return self._stream(route)
        if request.method != "GET" and path != "/check":
            self.asked.append((request.method, path, request.post_data_json if request.post_data else None))
            self._obey(path)
        file = re.search(r"/files/images/(?:my_uncle-(\d+)|plain)-(\d+)\.png$", path)
        if file:
            return route.fulfill(body=preview(int(file[1] or 0), int(file[2])), content_type="image/png")
        return route.fulfill(status=200, body=json.dumps(self._json(request.method, path)), content_type="text/json")

    def _obey(self, path: str) -> None:
        told = {"/pause": "paused", "/stop": "interrupted", "/resume": "running", f"/runs/{RUN}": "gone"}
        for end, state in told.items():
            if path.endswith(end):
                self.state = state
        self.there = self.state != "gone"
        if path == "":
            self.state, self.there = "running", True

    def _json(self, method: str, path: str) -> Any:
        answers: dict[str, Callable[[], Any]] = {
            "/check": lambda: {"warnings": self.warnings, "pictures": 3, "steps_per_epoch": 3},
            "": lambda: {"job": "job-1", "run": RUN},
            "/runs": lambda: [self._line()] if self.there else [],
            f"/runs/{RUN}/history": lambda: {"rows": history(self.step)},
        }
        return answers.get(path, self._run)()

    def _line(self) -> dict[str, Any]:
        job = "job-1" if self.state == "running" else None
        whole = {"run": RUN, "name": "my_uncle", "method": "Textual inversion", "state": self.state}
        whole["message"] = ""
        return {**whole, "step": self.step, "steps": self.steps, "created": 1_767_312_000.0, "job": job}

    def _run(self) -> dict[str, Any]:
        best = 50 * (self.step // 50)
        files = [self._file("plain", 0, index, f"images/plain-{index}.png") for index in (0, 1)]
        for step in range(100, self.step + 1, 100):
            files += [self._file("preview", step, i, f"images/my_uncle-{step}-{i}.png") for i in (0, 1)]
            files.append(self._file("copy", step, 0, f"embeddings/my_uncle-{step}.safetensors"))
        last = {"run": RUN, "step": self.step, "steps": self.steps, "state": "training", "loss": 0.104}
        last |= {"smooth": loss(self.step), "rate": 0.005, "norm": 0.41, "evaluation": loss(best), "best": loss(best)}
        last |= {"best_step": best, "seconds_per_step": 0.61, "seconds_left": 0.61 * (self.steps - self.step)}
        return {
            **self._line(),
            "request": {"preview": {"prompt": "a picture in the style of [name]"}, "batch_size": 1},
            "best": self.told.get("best", loss(best)),
            "best_step": self.told.get("best_step", best),
            "files": files,
            "notices": [{"step": 310, "text": "A step was dropped.", "level": "warning"}],
            "last": {**last, "memory": 6246.0, **self.told},
        }

    def _file(self, kind: str, step: int, index: int, name: str) -> dict[str, Any]:
        url = f"/api/v1/training/runs/{RUN}/files/{name}"
        return {"kind": kind, "step": step, "index": index, "name": name, "url": url}

    def _stream(self, route: Route) -> None:
        """The events once; a browser that comes again is told that there is no more."""
        events, self.events = self.events, []
        self.told = next((event for event in events if event["event"] == "TrainStep"), self.told)
        self.step = self.told.get("step", self.step)
        if not events:
            return route.fulfill(status=204)
        body = "".join(f"id: {at}\ndata: {json.dumps(event)}\n\n" for at, event in enumerate(events, 1))
        return route.fulfill(status=200, body=f"retry: 100\n\n{body}", content_type="text/event-stream")


def open_train(open_page: OpenPage, runs: FakeRuns | None = None, width: int = 1440, scheme: str = "light") -> Page:
    """The page with the Train tab open; with `runs` nothing is asked of the server's own."""
    page = open_page(width, 900, scheme)
    if runs is not None:
        runs.install(page)
    show_train(page)
    return page


def show_train(page: Page) -> None:
    page.get_by_role("tab", name="Train").click()
    page.wait_for_selector("[data-panel=train][data-ready]", timeout=LONG)


def walk(page: Page, step: str) -> None:
    page.click(f"[data-walk={step}]")
    expect(page.locator(f"[data-step={step}]")).to_be_visible()


def state_of(page: Page, step: str) -> str:
    """What stands in the title of a step."""
    return page.inner_text(f"[data-walk={step}] [data-walk-state]")


def open_folder(page: Page, folder: Path) -> None:
    """Use a folder of four pictures."""
    page.click("[data-action=open-set]")
    page.fill("#train-ask", str(folder))
    page.keyboard.press("Enter")
    expect(page.locator(".picture-cell")).to_have_count(4, timeout=LONG)


def drawing(seed: int, size: tuple[int, int]) -> Image.Image:
    """A picture that no other seed gives."""
    draw = Random(seed)
    picture = Image.new("RGB", size, (draw.randrange(256), 180, 120))
    for _ in range(12):
        x, y, r = draw.randrange(size[0]), draw.randrange(size[1]), draw.randrange(4, 20)
        circle = (x - r, y - r, x + r, y + r)
        ImageDraw.Draw(picture).ellipse(circle, fill=(draw.randrange(256), 40 * (seed + 1), r * 9))
    return picture
