"""A1111's smaller routes: diagnostics, cards, ending the program; and the page that lists all routes."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file
from starlette.testclient import TestClient

from modules.service.app import App
from modules.web.api_page import PAGE, page, routes
from tests.sources import ROOT
from tests.web.conftest import Connect

BUILTIN = ROOT / "extensions-builtin"


def picture(colour: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (24, 16), colour).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def lora(app: App) -> Iterator[Path]:
    """A LoRA with a preview beside it and a cover inside."""
    path = app.folders.loras[0] / "boat <b>.safetensors"
    weights = np.zeros((4, 4), np.float32)
    name = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
    covers = [base64.b64encode(picture("blue")).decode(), "no picture"]
    save_file(
        {
            f"{name}.lora_up.weight": weights,
            f"{name}.lora_down.weight": weights,
            f"{name}.alpha": np.ones(1, np.float32),
        },
        path,
        {"ssmd_cover_images": json.dumps(covers), "ss_output_name": "boat"},
    )
    path.with_suffix(".png").write_bytes(picture("red"))
    app.networks.refresh()
    yield path
    path.unlink()
    path.with_suffix(".png").unlink()
    app.networks.refresh()


def test_diagnostics(client: TestClient, app: App) -> None:
    assert {"name": "samples_save", "label": "Save pictures"} in client.get("/internal/quicksettings-hint").json()
    assert client.get("/internal/profile-startup").json()["total"] > 0
    told = client.get("/internal/sysinfo")
    assert told.json()["Packages"]["pillow"][0].isdigit()
    assert str(app.folders.data) not in told.text
    assert "server_name" not in told.text
    kept = client.get("/internal/sysinfo-download")
    assert kept.headers["content-disposition"].startswith("attachment")
    assert kept.json()["Version"] == told.json()["Version"]


def test_cards(client: TestClient, lora: Path) -> None:
    get = client.get
    shown = get("/sd_extra_networks/thumb", params={"filename": str(lora.with_suffix(".png")), "mtime": 1.5})
    assert (shown.headers["content-type"], shown.content) == ("image/png", picture("red"))
    cover = get("/sd_extra_networks/cover-images", params={"page": "Lora", "item": lora.stem, "index": 0})
    assert Image.open(io.BytesIO(cover.content)).getpixel((0, 0)) == (0, 0, 255)
    for index in (1, 2, 1000):
        params = {"page": "Lora", "item": lora.stem, "index": index}
        assert get("/sd_extra_networks/cover-images", params=params).status_code == 404
    told = get("/sd_extra_networks/metadata", params={"page": "lora", "item": lora.stem}).json()
    assert json.loads(told["metadata"])["ss_output_name"] == "boat"
    params = {"page": "Lora", "tabname": "txt2img", "name": lora.stem}
    card = get("/sd_extra_networks/get-single-card", params=params).json()["html"]
    assert "boat &lt;b&gt;" in card
    assert "<b>" not in card
    assert "/api/v1/networks/preview?kind=lora" in card


def test_cards_that_are_not_there(client: TestClient, lora: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(picture("green"))
    for name in (
        str(secret),
        str(lora),
        "/etc/passwd",
        "",
        str(lora.parent / ".." / lora.parent.name / "boat <b>.png"),
    ):
        assert client.get("/sd_extra_networks/thumb", params={"filename": name}).status_code == 404
    for query in ({"page": "lora", "item": "no"}, {"page": "no", "item": lora.stem}, {}):
        assert client.get("/sd_extra_networks/metadata", params=query).json() == {}
        assert client.get("/sd_extra_networks/get-single-card", params=query).json() == {}


def test_the_program_is_ended_only_where_that_was_allowed(
    client: TestClient, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[str] = []

    async def stop() -> None:
        stopped.append("stopped")

    server: Any = client.app
    monkeypatch.setattr(server.state, "stop", stop)
    for name in ("server-stop", "server-kill"):
        assert client.post(f"/sdapi/v1/{name}").status_code == 403
    assert not stopped
    monkeypatch.setattr(app, "settings", app.settings.replace(api_server_stop=True))
    for name in ("server-stop", "server-kill"):
        assert client.post(f"/sdapi/v1/{name}").json() is None
    assert len(stopped) == 2
    assert client.post("/sdapi/v1/server-restart").status_code == 501


def test_models_are_moved(client: TestClient) -> None:
    assert client.post("/sdapi/v1/unload-checkpoint").json() == {}
    assert client.post("/sdapi/v1/reload-checkpoint").json() == {}


def test_the_page_lists_every_route_of_the_running_server(client: TestClient, connect: Connect) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    added = tuple(f"/api/v1/extensions/{folder.name}/" for folder in BUILTIN.iterdir())  # theirs, told on their tab
    own = {path: methods for path, methods in paths.items() if not path.startswith(added)}
    assert {(method.upper(), path) for path, methods in own.items() for method in methods} == set(routes())
    text = PAGE.read_text(encoding="utf-8")
    assert text == page(text), "run: python -m modules.web.api_page"
