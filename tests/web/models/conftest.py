"""An App with a file of every kind, and what tests ask of its routes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from modules.service.app import App
from tests.service.helpers import make_app, until
from tests.service.test_named import LORA, safetensors
from tests.web.visitors import at_home, server_of

ROUTE = "/api/v1/models"
FOX = {"kind": "lora", "path": "animals/fox.safetensors"}
VAE = {"decoder.conv_in.weight": (4, 4, 3, 3)}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """One for each test: files come and go."""
    app = make_app(tmp_path)
    loras = app.folders.loras[0]
    safetensors(loras / "animals/fox.safetensors", LORA)
    (loras / "animals/fox.json").write_text(json.dumps({"activation text": "red fox", "description": "Foxes"}))
    Image.new("RGB", (8, 8), "red").save(loras / "animals/fox.preview.png")
    safetensors(loras / "cat.safetensors", LORA)
    safetensors(app.folders.embeddings / "style.safetensors", {"emb_params": (3, 768)})
    (app.folders.embeddings / "broken.pt").write_bytes(b"nothing of the kind" * 400)
    safetensors(app.folders.vae[0] / "good.safetensors", VAE)
    safetensors(app.folders.models / "ESRGAN/4x.safetensors", {"conv_first.weight": (4, 3, 3, 3)})
    safetensors(app.folders.models / "GFPGAN/GFPGANv1.4.pth".replace(".pth", ".safetensors"), {"stylegan.x": (2, 2)})
    safetensors(app.folders.models / "ESRGAN/wrong.safetensors", LORA)
    (app.folders.models / "BLIP").mkdir()
    (app.folders.models / "BLIP/config.json").write_text(json.dumps({"model_type": "blip"}))
    app.refresh()
    yield app
    app.close()


@pytest.fixture
def client(app: App) -> TestClient:
    client = at_home(server_of(app))
    client.get("/api/v1/access")
    return client


def listed(client: TestClient, **wish: Any) -> dict[str, Any]:
    answer = client.get(ROUTE, params=wish)
    assert answer.status_code == 200, answer.text
    return answer.json()


def paths(client: TestClient, **wish: Any) -> list[str]:
    return [file["path"] for file in listed(client, **wish)["files"]]


def sentence(answer: Any) -> str:
    assert answer.status_code in (404, 422), answer.text
    return answer.json()["detail"]


def finished(client: TestClient, task_id: str) -> dict[str, Any]:
    def find() -> dict[str, Any]:
        return next(task for task in client.get(f"{ROUTE}/tasks").json() if task["id"] == task_id)

    until(lambda: find()["state"] not in ("waiting", "running"))
    return find()


def leftovers(app: App) -> list[Path]:
    return [path for path in app.folders.data.rglob(".arriving/*") if path.exists()]
