"""Scripts over HTTP, as clients of A1111 call them and as our own jobs."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from tests.service.helpers import until
from tests.web.conftest import body

XYZ = [4, "1,2", [], 1, "", ["7", "8"], 0, "", [], False, False, False, False, False, False, False, 0, False]


def _call(client: TestClient, name: str, arguments: list[Any], **values: Any) -> dict[str, Any]:
    answer = client.post("/sdapi/v1/txt2img", json=body("a cat", script_name=name, script_args=arguments, **values))
    assert answer.status_code == 200, answer.text
    found = answer.json()
    return {**found, "info": json.loads(found["info"])}


def _size(picture: str) -> tuple[int, int]:
    with Image.open(io.BytesIO(base64.b64decode(picture))) as image:
        return image.size


def test_an_xyz_plot_answers_with_its_grid(client: TestClient) -> None:
    answer = _call(client, "x/y/z plot", XYZ)
    assert [_size(picture) for picture in answer["images"]] == [(128, 128)]
    assert answer["info"]["index_of_first_image"] == 1
    assert "X Type: Steps" in answer["info"]["infotexts"][0]
    assert "Y Type: Seed" in answer["info"]["infotexts"][0]


def test_with_its_cells_too(client: TestClient) -> None:
    arguments = list(XYZ)
    arguments[10] = True
    answer = _call(client, "X/Y/Z Plot", arguments)
    assert [_size(picture) for picture in answer["images"]] == [(128, 128), *[(64, 64)] * 4]
    assert answer["info"]["all_seeds"][1:] == [7, 7, 8, 8]


def test_a_prompt_matrix(client: TestClient) -> None:
    answer = client.post(
        "/sdapi/v1/txt2img",
        json=body("a|b|c", script_name="prompt matrix", script_args=[False, False, "positive", "comma", 0]),
    ).json()
    info = json.loads(answer["info"])
    assert len(answer["images"]) == 5
    assert info["all_prompts"][1:] == ["a", "a, b", "a, c", "a, b, c"]


def test_prompts_from_a_text(client: TestClient) -> None:
    answer = _call(client, "prompts from file or textbox", [True, False, "end", "one\ntwo"])
    assert len(answer["images"]) == 2
    assert answer["info"]["all_prompts"] == ["a cat one", "a cat two"]
    assert answer["info"]["all_seeds"] == [5, 6]


@pytest.mark.parametrize(
    ("name", "arguments", "shape"),
    [
        ("outpainting mk2", ["", 64, 8, ["left", "up"], 1, 0.05], (128, 128)),
        ("poor man's outpainting", [64, 4, 1, ["right"]], (128, 64)),
    ],
)
def test_outpainting(client: TestClient, name: str, arguments: list[Any], shape: tuple[int, int]) -> None:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(file, "PNG")
    picture = base64.b64encode(file.getvalue()).decode()
    values = body("a", script_name=name, script_args=arguments, init_images=[picture])
    answer = client.post("/sdapi/v1/img2img", json=values)
    assert answer.status_code == 200, answer.text
    assert [_size(one) for one in answer.json()["images"]] == [shape], "the pieces are not sent"


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("x/y plot", [], "Script not found"),
        ("x/y/z plot", [999], "none of 0 to"),
        ("x/y/z plot", [4, "none"], "no whole number"),
        ("x/y/z plot", [*XYZ, 1], "takes 18 script_args, not 19"),
        ("prompt matrix", [], "divided by"),
    ],
)
def test_mistakes_are_told(client: TestClient, name: str, arguments: list[Any], sentence: str) -> None:
    answer = client.post("/sdapi/v1/txt2img", json=body("a cat", script_name=name, script_args=arguments))
    assert answer.status_code == 422
    assert sentence in answer.json()["detail"]


def test_lists(client: TestClient) -> None:
    assert "x/y/z plot" in client.get("/sdapi/v1/scripts").json()["txt2img"]
    info = {entry["name"]: entry for entry in client.get("/sdapi/v1/script-info").json() if not entry["is_img2img"]}
    assert len(info["x/y/z plot"]["args"]) == len(XYZ)
    assert info["prompt matrix"]["args"][4] == {
        "label": "Grid margins", "value": 0, "minimum": 0, "maximum": 500, "step": 2, "choices": None}  # fmt: skip


def test_a_job_of_our_own(client: TestClient) -> None:
    order = {
        "kind": "script",
        "script": "x/y/z plot",
        "base": body("a"),
        "options": {"x_type": "Steps", "x_values": "1,2"},
    }
    job = client.post("/api/v1/jobs", json=order).json()
    assert (job["request"]["cells"], job["request"]["images"]) == (2, 2)
    until(lambda: client.get(f"/api/v1/jobs/{job['id']}").json()["state"] == "done")
    images = client.get(f"/api/v1/jobs/{job['id']}").json()["images"]
    assert [image["sheet"] for image in images] == [False, False, True]
    assert client.get("/sdapi/v1/progress").status_code == 200
