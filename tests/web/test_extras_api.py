"""Extras over HTTP: A1111's calls, our own jobs, and pictures that are sent first."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, PngImagePlugin
from starlette.testclient import TestClient

from modules.service.app import App
from tests.service.helpers import until

UPSCALE: dict[str, Any] = {
    "resize_mode": 0,
    "show_extras_results": True,
    "gfpgan_visibility": 0,
    "codeformer_visibility": 0,
    "codeformer_weight": 0,
    "upscaling_resize": 2,
    "upscaling_resize_w": 128,
    "upscaling_resize_h": 128,
    "upscaling_crop": True,
    "upscaler_1": "Lanczos",
    "upscaler_2": "None",
    "extras_upscaler_2_visibility": 0,
}


def _png(colour: str = "red", text: str = "") -> bytes:
    info = PngImagePlugin.PngInfo()
    if text:
        info.add_text("parameters", text)
    file = io.BytesIO()
    Image.new("RGB", (8, 6), colour).save(file, "PNG", pnginfo=info)
    return file.getvalue()


def _base64(data: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(data).decode()


@pytest.fixture
def model_file(app: App) -> Iterator[Path]:
    path = app.folders.models / "RealESRGAN" / "RealESRGAN_x4plus.pth"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    app.upscalers.refresh()
    yield path
    path.unlink()
    app.upscalers.refresh()


def test_a1111s_simple_upscale(client: TestClient) -> None:
    made = "a cat\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 8x6"
    answer = client.post("/sdapi/v1/extra-single-image", json={**UPSCALE, "image": _base64(_png(text=made))})
    assert answer.status_code == 200
    assert "Postprocess upscale by: 2, Postprocess upscaler: Lanczos" in answer.json()["html_info"]
    with Image.open(io.BytesIO(base64.b64decode(answer.json()["image"]))) as picture:
        assert picture.info["parameters"] == made
        assert picture.info["postprocessing"] == "Postprocess upscale by: 2, Postprocess upscaler: Lanczos"


def test_only_a_picture_is_enough(client: TestClient) -> None:
    assert client.post("/sdapi/v1/extra-single-image", json={"image": _base64(_png())}).status_code == 200


def test_a_batch(client: TestClient) -> None:
    files = [{"data": _base64(_png(colour)), "name": f"{colour}.png"} for colour in ("red", "blue")]
    answer = client.post("/sdapi/v1/extra-batch-images", json={**UPSCALE, "imageList": files})
    assert len(answer.json()["images"]) == 2


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"upscaler_1": "Lanczso"}, "no upscaler named 'Lanczso'. Did you mean 'Lanczos'"),
        ({"upscaling_resize": 0}, "upscaling_resize"),
        ({"gfpgan_visibility": 1}, "models/GFPGAN"),
        ({"image": "%%%"}, "not base64"),
        ({"image": base64.b64encode(b"nothing").decode()}, "not a picture"),
    ],
)
def test_mistakes_are_told(client: TestClient, change: dict[str, Any], sentence: str) -> None:
    answer = client.post("/sdapi/v1/extra-single-image", json={**UPSCALE, "image": _base64(_png()), **change})
    assert answer.status_code == 422
    assert sentence in answer.json()["detail"]


def test_lists(client: TestClient, model_file: Path) -> None:
    names = [entry["name"] for entry in client.get("/sdapi/v1/upscalers").json()]
    assert names == ["None", "Lanczos", "Nearest", "RealESRGAN_x4plus"]
    assert client.get("/sdapi/v1/realesrgan-models").json() == [
        {"name": "RealESRGAN_x4plus", "path": str(model_file), "scale": 4}
    ]
    assert {"name": "Latent (nearest-exact)"} in client.get("/sdapi/v1/latent-upscale-modes").json()
    own = client.get("/api/v1/upscalers").json()
    assert own == {
        "upscalers": [
            {"name": "None", "kind": "built in", "scale": 1},
            {"name": "Lanczos", "kind": "built in", "scale": 4},
            {"name": "Nearest", "kind": "built in", "scale": 4},
            {"name": "RealESRGAN_x4plus", "kind": "RealESRGAN", "scale": 4},
        ],
        "face_restorers": [],
    }


def test_a_job_of_our_own(client: TestClient, app: App) -> None:
    kept = client.post("/api/v1/inputs", files={"file": ("a.png", _png("green"))}).json()["picture"]
    assert Image.open(io.BytesIO(client.get(f"/api/v1/inputs/{kept}").content)).getpixel((0, 0)) == (0, 128, 0)
    order = {"kind": "extras", "pictures": [kept], "names": ["green thing.jpg"], "upscaler_1": "nearest"}
    job = client.post("/api/v1/jobs", json=order).json()
    assert job["request"]["upscaler_1"] == "Nearest"
    until(lambda: client.get(f"/api/v1/jobs/{job['id']}").json()["state"] == "done")
    image = client.get(f"/api/v1/jobs/{job['id']}").json()["images"][0]
    assert image["name"].startswith("extras-images/")
    assert image["name"].endswith("-green thing.png")
    assert image["infotext"] == "Postprocess upscale by: 4, Postprocess upscaler: Nearest"
    assert (app.folders.outputs / image["name"]).is_file()


def test_what_cannot_be_kept_or_run(client: TestClient) -> None:
    assert client.post("/api/v1/inputs", files={"file": ("a.png", b"no picture")}).status_code == 422
    assert client.get(f"/api/v1/inputs/{'0' * 64}").status_code == 404
    assert client.get("/api/v1/inputs/..%2f..%2fsecret").status_code == 404
    assert client.post("/api/v1/jobs", json={"kind": "extras"}).status_code == 422
    assert client.post("/api/v1/jobs", json={"kind": "extras", "pictures": ["0" * 64]}).status_code == 404
    assert client.post("/api/v1/jobs", json={"kind": "nothing"}).json()["field"] == "kind"
    answer = client.post("/api/v1/jobs", json={"kind": "extras", "scale": -1}).json()
    assert answer["field"] == "scale"
