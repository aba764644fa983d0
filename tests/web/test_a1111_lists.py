"""The rest of A1111's API: options, lists, progress, PNG info."""

from __future__ import annotations

import base64
import threading
from typing import Any

import pytest
from starlette.testclient import TestClient

from modules.schema.samplers import SAMPLERS
from modules.service.app import App
from modules.web.api.option_table import FIXED_OPTIONS, REQUEST_OPTIONS
from modules.web.api.options import Options
from tests.service.helpers import until
from tests.web.conftest import body

LISTS = [
    "cmd-flags",
    "samplers",
    "schedulers",
    "upscalers",
    "latent-upscale-modes",
    "sd-models",
    "sd-vae",
    "hypernetworks",
    "face-restorers",
    "realesrgan-models",
    "embeddings",
    "loras",
    "scripts",
    "script-info",
    "extensions",
    "memory",
    "options",
    "progress",
]


@pytest.mark.parametrize("name", LISTS)
def test_lists_answer(client: TestClient, name: str) -> None:
    assert client.get(f"/sdapi/v1/{name}").status_code == 200


@pytest.mark.parametrize(
    "name", ["refresh-checkpoints", "refresh-vae", "refresh-embeddings", "refresh-loras", "skip"]
)
def test_refreshing_answers_null(client: TestClient, name: str) -> None:
    answer = client.post(f"/sdapi/v1/{name}")
    assert (answer.status_code, answer.json()) == (200, None)


def test_samplers_and_schedulers(client: TestClient) -> None:
    samplers = client.get("/sdapi/v1/samplers").json()
    assert [s["name"] for s in samplers] == list(SAMPLERS.labels())
    assert samplers[0] == {"name": "DPM++ 2M", "aliases": ["k_dpmpp_2m"], "options": {"scheduler": "karras"}}
    polyexponential = client.get("/sdapi/v1/schedulers").json()[4]
    assert polyexponential["default_rho"] == 1.0
    assert polyexponential["need_inner_model"] is False


def test_models(client: TestClient) -> None:
    model = client.get("/sdapi/v1/sd-models").json()[0]
    assert model["model_name"] == "miniature"
    assert model["filename"].endswith("miniature.safetensors")
    assert set(model) == {"title", "model_name", "hash", "sha256", "filename", "config"}


def test_an_option_is_written_and_kept(client: TestClient, app: App) -> None:
    options = client.get("/sdapi/v1/options").json()
    assert options["send_seed"] is True
    assert client.post("/sdapi/v1/options", json={"send_seed": False}).json() is None
    assert client.get("/sdapi/v1/options").json()["send_seed"] is False
    assert Options(app).values()["send_seed"] is False
    assert client.post("/sdapi/v1/options", json=options).status_code == 200  # clients send all of them back
    assert client.get("/sdapi/v1/options").json() == options


def test_options_fill_what_a_request_leaves_open(client: TestClient, app: App) -> None:
    client.post("/sdapi/v1/options", json={"CLIP_stop_at_last_layers": 2, "s_churn": 1.5, "eta_ancestral": 0.25})
    client.post("/sdapi/v1/txt2img", json=body(s_churn=None))
    request = app.recent("api", 1)[0].request
    assert (request.clip_skip, request.s_churn, request.eta) == (2, 1.5, 0.25)
    client.post("/sdapi/v1/txt2img", json=body(s_churn=0.5))
    assert app.recent("api", 1)[0].request.s_churn == 0.5


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"nonsense": 1}, 500),
        ({"sd_model_checkpoint": "nonsense"}, 500),
        ({"CLIP_stop_at_last_layers": 0}, 422),
        ({"send_seed": 1}, 422),
        ({"sd_vae": "nonsense"}, 422),
        ({"samples_format": "bmp"}, 422),
        ({"jpeg_quality": 101}, 422),
        ({"save_txt": 1}, 422),
        ({"lora_functional": True}, 422),
    ],
)
def test_wrong_options_change_nothing(client: TestClient, change: dict[str, Any], status: int) -> None:
    before = client.get("/sdapi/v1/options").json()
    answer = client.post("/sdapi/v1/options", json={"s_churn": 3.0, **change})
    assert (answer.status_code, answer.json()["body"]) == (status, "")
    assert client.get("/sdapi/v1/options").json() == before


def test_every_default_option_is_a_value_the_request_takes(app: App) -> None:
    values = Options(app).values()
    assert set(REQUEST_OPTIONS) | set(FIXED_OPTIONS) < set(values)
    assert Options(app).checked(values) == values


def test_a_broken_options_file_costs_only_itself(app: App) -> None:
    path = app.folders.state / "options.json"
    for content in ('{"s_churn": "much"}', "[]", "{", "\0"):
        path.write_text(content, encoding="utf-8")
        assert Options(app).values()["s_churn"] == 0.0
    path.unlink()


def test_the_checkpoint_is_selected(client: TestClient, app: App) -> None:
    assert client.post("/sdapi/v1/options", json={"sd_model_checkpoint": "miniature"}).status_code == 200
    assert client.get("/sdapi/v1/options").json()["sd_model_checkpoint"] == app.selected_checkpoint


def test_progress_of_nothing(client: TestClient) -> None:
    answer = client.get("/sdapi/v1/progress").json()
    assert (answer["progress"], answer["state"]["job_count"], answer["current_image"]) == (0.0, 0, None)


def test_progress_interrupt_and_tasks(client: TestClient) -> None:
    answers: list[Any] = []
    task = "task(abc)"
    work = body("slow", steps=200, n_iter=2, force_task_id=task)
    thread = threading.Thread(target=lambda: answers.append(client.post("/sdapi/v1/txt2img", json=work)))
    thread.start()
    until(lambda: client.get("/sdapi/v1/progress").json()["state"]["sampling_step"] > 1)
    answer = client.get("/sdapi/v1/progress").json()
    assert answer["progress"] >= 0.01
    assert answer["current_task"] == task
    assert (answer["state"]["job_count"], answer["state"]["sampling_steps"]) == (2, 200)
    assert base64.b64decode(answer["current_image"])
    assert client.get("/sdapi/v1/progress?skip_current_image=true").json()["current_image"] is None

    of_task = client.post("/internal/progress", json={"id_task": task}).json()
    assert of_task["active"] is True
    assert of_task["live_preview"].startswith("data:image/jpeg;base64,")

    second = client.post("/api/v1/jobs", json={"width": 64, "height": 64}).json()["id"]
    assert client.get("/internal/pending-tasks").json() == {"size": 1, "tasks": [second]}
    waiting = client.post("/internal/progress", json={"id_task": second}).json()
    assert (waiting["queued"], waiting["textinfo"]) == (True, "In queue: 1/1")

    assert client.post("/sdapi/v1/interrupt").json() == {}
    thread.join(20)
    assert answers[0].status_code == 200
    assert len(answers[0].json()["images"]) == 1
    until(lambda: client.post("/internal/progress", json={"id_task": task}).json()["completed"])
    assert client.post("/internal/progress", json={"id_task": "unknown"}).json()["textinfo"] == "Waiting..."


def test_png_info_of_our_picture(client: TestClient) -> None:
    image = client.post("/sdapi/v1/txt2img", json=body("a boat")).json()["images"][0]
    for data in (image, f"data:image/png;base64,{image}"):
        answer = client.post("/sdapi/v1/png-info", json={"image": data}).json()
        assert answer["info"].startswith("a boat\nSteps: 3")
        assert answer["parameters"]["Prompt"] == "a boat"
        assert answer["parameters"]["Seed"] == "5"


@pytest.mark.parametrize("image", ["", "no base64!", base64.b64encode(b"no picture").decode()])
def test_png_info_of_something_else(client: TestClient, image: str) -> None:
    answer = client.post("/sdapi/v1/png-info", json={"image": image})
    assert answer.status_code == 404
    assert answer.json()["error"]


def test_no_secrets_and_no_foreign_scripts_in_the_documentation(client: TestClient) -> None:
    page = client.get("/docs").text
    assert "/sdapi/v1/txt2img" in page
    assert "http://" not in page
    assert "https://" not in page
    assert client.get("/openapi.json").status_code == 200
