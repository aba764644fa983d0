"""No name that anybody sends leads out of the folder it belongs to: every route of the API, every field that names.

Beside the data folder lies a file that no answer may show, and nothing may be made or changed there.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from PIL import Image
from starlette.testclient import TestClient

from modules.service.app import App
from modules.web.gate import Gate
from modules.web.server import create_server
from tests.faults.hostile import CANARY, ENCODED, PLAIN
from tests.service.helpers import make_app, until
from tests.web.conftest import ADDRESS

# Answers of these go on for ever, end the program, or open windows.
LEFT_OUT = ("/events", "/server-", "/open-folder", "/restart", "/shutdown")
SAFE_TEXT = {"width": 16, "height": 16, "steps": 1}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder, beside and above which there are canaries, and links that lead out of it."""
    outside = tmp_path_factory.mktemp("outside")
    data = outside / "data"
    data.mkdir()
    for name in ("secret.txt", "secret.txt.png", "secret.png", "win.ini", "secret.safetensors", "secret.json"):
        (outside / name).write_text(CANARY, encoding="utf-8")
    for folder in ("outputs", "datasets", "embeddings", "models", "models/Lora", "cache", "cache/inputs"):
        (data / folder).mkdir(parents=True, exist_ok=True)
    for folder in ("outputs", "embeddings", "models/Lora", "cache/inputs"):
        os.symlink(outside / "secret.txt", data / folder / "link.png")
    return outside


@pytest.fixture(scope="module")
def here(place: Path) -> Iterator[tuple[App, TestClient]]:
    app = make_app(place / "data")
    server = create_server(app, Gate(app, "tests.web.small_page"))
    with TestClient(server, base_url=ADDRESS, raise_server_exceptions=False, follow_redirects=False) as client:
        yield app, client
    app.close()


@pytest.fixture
def untouched(place: Path) -> Iterator[None]:
    """Nothing outside the data folder is made, changed or removed."""

    def outside() -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in place.iterdir() if path.name != "data"}

    before = outside()
    yield
    assert outside() == before


def operations(client: TestClient) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        for method, facts in methods.items():
            if not any(part in path for part in LEFT_OUT):
                yield method.upper(), path, facts


def harmless(answer: Any, what: str) -> None:
    assert answer.status_code < 500 or answer.status_code == 501, f"{what}: {answer.status_code} {answer.text[:300]}"
    assert CANARY.encode() not in answer.content, what
    assert b"root:x:0:0" not in answer.content, what
    assert "traceback" not in answer.text.casefold(), what


def test_addresses_with_a_name_in_them(here: tuple[App, TestClient], untouched: None) -> None:
    client = here[1]
    spellings = [*ENCODED, *(quote(name, safe="") for name in PLAIN), "../../secret.txt", "link.png", "%2e"]
    tried = 0
    for method, path, facts in operations(client):
        names = [parameter["name"] for parameter in facts.get("parameters", []) if parameter["in"] == "path"]
        for name in names:
            for spelling in spellings[tried % 4 :: 4]:
                address = path.replace(f"{{{name}}}", spelling)
                for other in names:
                    address = address.replace(f"{{{other}}}", "0")
                json = {} if method in ("POST", "PUT", "PATCH") else None
                harmless(client.request(method, address, json=json), f"{method} {address}")
                tried += 1
    assert tried > 400


def test_questions_with_a_name_in_them(here: tuple[App, TestClient], untouched: None) -> None:
    client = here[1]
    tried = 0
    for method, path, facts in operations(client):
        query = [parameter for parameter in facts.get("parameters", []) if parameter["in"] == "query"]
        texts = [p["name"] for p in query if "string" in str(p.get("schema", {}))]
        for name in texts:
            rest = {p["name"]: p["schema"].get("enum", ["lora"])[0] for p in query if p.get("required")}
            for value in [*PLAIN, *ENCODED][tried % 4 :: 4]:
                address = path.replace("{", "").replace("}", "")
                answer = client.request(method, address, params={**rest, name: value[:2000]})
                harmless(answer, f"{method} {path} {name}={value!r}")
                tried += 1
    assert tried > 100


GENERATION = [
    {"checkpoint": "?"}, {"vae": "?"}, {"sampler": "?"}, {"scheduler": "?"}, {"styles": ["?"]},
    {"face_restoration": "?"}, {"prompt": "<lora:?:1> <hypernet:?:1> ?"}, {"refiner": {"checkpoint": "?"}},
    {"hires": {"checkpoint": "?"}}, {"hires": {"upscaler": "?"}}, {"hires": {"picture": "?"}},
    {"image": {"picture": "?"}}, {"image": {"picture": "0" * 64, "upscaler": "?"}},
    {"image": {"picture": "0" * 64}, "inpaint": {"mask": "?"}}, {"extensions": {"?": {}}}, {"kind": "?"},
    {"kind": "extras", "pictures": ["?"]}, {"kind": "extras", "upscaler_1": "?"}, {"kind": "extras", "names": ["?"]},
    {"kind": "merge", "checkpoint_a": "?"}, {"kind": "merge", "checkpoint_a": "miniature", "vae": "?"},
    {"kind": "merge", "checkpoint_a": "miniature", "method": "No interpolation", "name": "?", "discard": "?"},
    {"kind": "script", "script": "?", "base": {}}, {"kind": "caption", "data_set": "?", "pictures": ["0" * 16]},
    {"kind": "script", "script": "X/Y/Z plot", "base": {},
     "options": {"x_type": "Checkpoint name", "x_values": "?", "y_type": "VAE", "y_values": "?"}},
    {"kind": "training", "name": "?", "data_root": "?"}, {"kind": "training", "name": "a", "data_root": "?"},
    {"kind": "training", "name": "a", "data_root": "set", "template_filename": "?"},
    {"kind": "training", "name": "a", "data_root": "set", "run": "?"},
    {"kind": "training", "name": "a", "data_root": "set", "start": "?"},
    {"kind": "training", "name": "a", "data_root": "set", "preview": {"checkpoint": "?"}},
    {"kind": "interrogate", "pictures": ["a" * 64], "captioner": "?"},
    {"kind": "interrogate", "pictures": ["a" * 64], "captioner": "WD tagger: ?"},
    {"kind": "interrogate", "pictures": ["?"]},
]  # fmt: skip
A1111: list[tuple[str, dict[str, Any]]] = [
    ("txt2img", {"sampler_name": "?"}), ("txt2img", {"override_settings": {"sd_model_checkpoint": "?"}}),
    ("txt2img", {"override_settings": {"sd_vae": "?"}}), ("txt2img", {"override_settings": {"?": 1}}),
    ("txt2img", {"script_name": "?"}), ("txt2img", {"alwayson_scripts": {"?": {"args": []}}}),
    ("txt2img", {"enable_hr": True, "hr_upscaler": "?"}), ("txt2img", {"refiner_checkpoint": "?"}),
    ("txt2img", {"styles": ["?"]}), ("txt2img", {"force_task_id": "?", **SAFE_TEXT, "prompt": "?"}),
    ("txt2img", {"infotext": "?\nSteps: 1, Size: 16x16, Model: ?, VAE: ?", **SAFE_TEXT}),
    ("txt2img", {"save_images": True, "prompt": "?", **SAFE_TEXT}),
    ("img2img", {"init_images": ["?"]}), ("png-info", {"image": "?"}), ("extra-single-image", {"image": "?"}),
    ("extra-batch-images", {"imageList": [{"data": "?", "name": "?"}]}), ("interrogate", {"model": "?"}),
    ("options", {"sd_model_checkpoint": "?"}), ("options", {"samples_filename_pattern": "?"}),
    ("options", {"?": "?"}),
    ("create/embedding", {"name": "?"}), ("create/embedding", {"name": "?", "overwrite_old": True}),
    ("train/embedding", {"embedding_name": "?", "data_root": "?"}),
]  # fmt: skip
OURS: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "checkpoint", {"name": "?"}), ("POST", "datasets", {"name": "?"}), ("PUT", "styles", {"name": "?"}),
    ("POST", "training/check", {"name": "?", "data_root": "?"}),
    ("POST", "training", {"name": "a", "log_directory": "?"}),
    ("POST", "datasets/set/fix", {"kind": "?", "ids": []}), ("POST", "datasets/set/crop", {"id": "?"}),
    ("PUT", "datasets/set/captions", {"?": "?"}), ("POST", "infotext", {"text": "?\nSteps: 1, Model: ?"}),
    ("POST", "open-folder", {"name": "?"}),
    ("POST", "interrogate", {"captioner": "BLIP: ?"}), ("POST", "interrogate", {"picture": "?", "image": "?"}),
]  # fmt: skip


def filled(value: Any, name: str) -> Any:
    """`value` with the name in place of every question mark."""
    if isinstance(value, str):
        return value.replace("?", name)
    if isinstance(value, list):
        return [filled(one, name) for one in value]
    return {filled(k, name): filled(v, name) for k, v in value.items()} if isinstance(value, dict) else value


@pytest.fixture(scope="module")
def data_set(here: tuple[App, TestClient]) -> None:
    here[1].post("/api/v1/datasets", json={"name": "set"})


@pytest.mark.parametrize("body", GENERATION, ids=str)
def test_orders_with_a_name_in_them(
    here: tuple[App, TestClient], untouched: None, data_set: None, body: dict[str, Any]
) -> None:
    app, client = here
    small = {**SAFE_TEXT, **body} if "kind" not in body else body
    for name in PLAIN:
        harmless(client.post("/api/v1/jobs", json=filled(small, name)), f"{body} with {name!r}")
    until(lambda: not app.queue())


@pytest.mark.parametrize(("route", "body"), A1111, ids=str)
def test_a1111s_calls_with_a_name_in_them(
    here: tuple[App, TestClient], untouched: None, route: str, body: dict[str, Any]
) -> None:
    for name in PLAIN:
        answer = here[1].post(f"/sdapi/v1/{route}", json=filled(body, name))
        # A1111's own status of an unknown option, and of an unknown checkpoint in the options.
        told = answer.status_code == 500 and answer.json()["error"] in ("KeyError", "RuntimeError")
        if not told:
            harmless(answer, f"{route} {body} with {name!r}")


@pytest.mark.parametrize(("method", "route", "body"), OURS, ids=str)
def test_our_calls_with_a_name_in_them(
    here: tuple[App, TestClient], untouched: None, data_set: None, method: str, route: str, body: dict[str, Any]
) -> None:
    for name in PLAIN:
        harmless(here[1].request(method, f"/api/v1/{route}", json=filled(body, name)), f"{route} with {name!r}")


def test_files_sent_under_hostile_names(
    here: tuple[App, TestClient], untouched: None, data_set: None, place: Path
) -> None:
    """Names in forms: a picture lands in its data set or is refused, whatever it is called."""
    client = here[1]
    for number, name in enumerate(PLAIN):
        content = _png(number)
        answer = client.post("/api/v1/datasets/set/pictures", files={"files": (name, content, "image/png")})
        harmless(answer, f"upload as {name!r}")
        harmless(client.post("/api/v1/inputs", files={"file": (name, content, "image/png")}), f"input as {name!r}")
        harmless(client.post("/api/v1/png-info", files={"file": (name, content)}), f"png-info as {name!r}")
    inside = (place / "data" / "datasets" / "set").resolve()
    reserved = {"con", "nul", "aux", "com1", "lpt9", "prn"}
    for path in inside.rglob("*"):
        assert path.resolve().is_relative_to(inside)
        assert path.stem.casefold() not in reserved
        assert not set(path.name) & set('\0\\:*?"<>|\n\r\t\x1b')


def _png(shade: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (32, 32), (shade, 0, 0)).save(file, "PNG")
    return file.getvalue()
