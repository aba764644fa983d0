"""/api/v1/training and A1111's calls for training over HTTP, with an engine that only pretends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.torch import load_file
from starlette.testclient import TestClient

from modules.catalog.token_rows import find_rows
from modules.engine.embedding_tool import rows
from modules.service.app import App
from tests.service.helpers import ROOT, until
from tests.service.training.helpers import at_step, data_set, vectors
from tests.web.conftest import Connect

MINIATURE = ROOT / "models" / "Stable-diffusion" / "miniature.safetensors"


def _order(app: App, name: str, **values: Any) -> dict[str, Any]:
    return {
        "name": name, "data_root": str(data_set(app.folders.data)), "steps": 20, "training_width": 128,
        "training_height": 128, "save_embedding_every": 10, "preview": {"prompt": "[name]", "steps": 2}, **values,
    }  # fmt: skip


def _ended(client: TestClient, run: str) -> dict[str, Any]:
    until(lambda: client.get(f"/api/v1/training/runs/{run}").json()["state"] not in ("waiting", "running"))
    return client.get(f"/api/v1/training/runs/{run}").json()


def _events(client: TestClient, url: str) -> list[dict[str, Any]]:
    with client.stream("GET", url) as answer:
        return [json.loads(line.removeprefix("data: ")) for line in answer.iter_lines() if line.startswith("data: ")]


def test_a_run_from_order_to_result(client: TestClient, connect: Connect, app: App) -> None:
    answer = client.post("/api/v1/training", json=_order(app, "first word"))
    assert answer.status_code == 201, answer.text
    job, run = answer.json()["job"], answer.json()["run"]
    events = _events(client, f"/api/v1/jobs/{job}/events")
    assert events[-1]["event"] == "Finished"
    assert {"TrainFile", "TrainStep"} <= {event["event"] for event in events}
    other = connect()  # the phone in the morning
    found = other.get(f"/api/v1/training/runs/{run}").json()
    assert (found["state"], found["step"], found["steps"], found["method"]) == ("done", 20, 20, "Textual inversion")
    assert found["request"]["preview"]["width"] == 128
    assert found["last"]["step"] == 20
    assert other.get("/api/v1/training/runs").json()[0]["run"] == run
    assert _events(other, f"/api/v1/training/runs/{run}/events")[-1]["event"] == "Finished"
    preview = next(file for file in found["files"] if file["kind"] == "preview")
    picture = other.get(preview["url"])
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/png")
    history = other.get(f"/api/v1/training/runs/{run}/history", params={"points": 5}).json()
    assert history["columns"] == ["step", "loss", "smooth", "rate", "norm", "evaluation"]
    assert {row[0] for row in history["rows"]} >= {1, 10, 20}
    assert len(history["rows"]) < 10


def test_pause_resume_stop_keep_delete(client: TestClient, app: App) -> None:
    run = client.post("/api/v1/training", json=_order(app, "slow word", steps=300)).json()["run"]
    at_step(app, run, 12)
    client.post(f"/api/v1/training/runs/{run}/pause")
    assert _ended(client, run)["state"] == "paused"
    assert client.post(f"/api/v1/training/runs/{run}/pause").status_code == 422
    resumed = client.post(f"/api/v1/training/runs/{run}/resume", json={"steps": 400})
    assert resumed.status_code == 201
    assert (resumed.json()["steps"], resumed.json()["run"]) == (400, run)
    at_step(app, run, 22)
    assert client.delete(f"/api/v1/training/runs/{run}").status_code == 422
    assert client.post(f"/api/v1/training/runs/{run}/stop", json={"keep": "best"}).json()["state"] == "interrupted"
    kept = client.post(f"/api/v1/training/runs/{run}/keep", json={"step": 10})
    assert (kept.status_code, kept.json()["result"]) == (200, "slow word.safetensors")
    assert client.post(f"/api/v1/training/runs/{run}/keep", json={"step": 11}).status_code == 404
    assert "trash" in client.delete(f"/api/v1/training/runs/{run}").json()
    assert client.get(f"/api/v1/training/runs/{run}").status_code == 404


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"name": ""}, "name", "has no name"),
        ({"name": "a/b"}, "name", "cannot be a name"),
        ({"name": ".."}, "name", "cannot be a name"),
        ({"learn_rate": "abc"}, "learn_rate", "'abc' is no rate"),
        ({"data_root": "nowhere"}, None, "nowhere"),
        ({"log_directory": "../elsewhere"}, "log_directory", "must be a folder below"),
        ({"log_directory": "/etc"}, "log_directory", "must be a folder below"),
        ({"steps": 0}, "steps", "Max steps"),
        ({"colour": 1}, "colour", "no parameter named"),
        ({"preview": {"steps": 0}}, "preview", "preview.steps"),
        ({"preview": {"checkpoint": "nothing like it"}}, "checkpoint", "no checkpoint"),
        ({"run": "2026-01-01-none"}, None, "no training run"),
    ],
)
def test_refusals_are_sentences(
    client: TestClient, app: App, values: dict[str, Any], field: str | None, words: str
) -> None:
    for path in ("/api/v1/training", "/api/v1/training/check"):
        answer = client.post(path, json={**_order(app, "refused"), **values})
        if "run" in values and path.endswith("check"):
            continue
        assert answer.status_code in (404, 422), answer.text
        assert words in answer.json()["detail"]
        assert field is None or answer.json()["field"] == field
    assert not [run for run in app.training.list() if run.name == "refused"]


def test_a_clash_of_names_is_told(client: TestClient, app: App) -> None:
    run = client.post("/api/v1/training", json=_order(app, "slow clash")).json()["run"]
    again = client.post("/api/v1/training", json=_order(app, "Slow Clash"))
    assert (again.status_code, again.json()["field"]) == (422, "name")
    assert "is learning a word of that name" in again.json()["detail"]
    assert _ended(client, run)["state"] == "done"
    again = client.post("/api/v1/training", json=_order(app, "slow clash"))
    assert "There is a word named 'slow clash' already" in again.json()["detail"]
    over = client.post("/api/v1/training", json=_order(app, "slow clash", overwrite_old=True))
    assert over.json()["run"] == f"{run}-2"
    assert _ended(client, over.json()["run"])["state"] == "done"


def test_warnings_before_the_first_step(client: TestClient, app: App) -> None:
    quiet = client.post("/api/v1/training/check", json=_order(app, "aharon_kahana")).json()
    assert (quiet["pictures"], quiet["steps_per_epoch"]) == (3, 3)
    _ended(client, client.post("/api/v1/training", json=_order(app, "timed word")).json()["run"])
    timed = client.post("/api/v1/training/check", json=_order(app, "aharon_kahana", steps=100)).json()
    assert timed["seconds_per_step"] == pytest.approx(0.25)
    assert all("pictures" in warning for warning in quiet["warnings"])  # the data set's own, which are few
    loud = client.post(
        "/api/v1/training/check",
        json=_order(
            app, "cat", training_width=512, training_height=512, learn_rate="0.005:10", batch_size=2,
            preview={"clip_skip": 2},
        ),
    ).json()  # fmt: skip
    assert loud["steps_per_epoch"] == 2
    text = " ".join(loud["warnings"])
    for words in ("a word that the model knows already", "Clip skip is 2", "128x128", "ends at step 10"):
        assert words in text
    for rate, told in (("0.005", True), ("0.0001", False)):
        order = _order(app, "aharon_kahana", method="LoRA", learn_rate=rate)
        lora = client.post("/api/v1/training/check", json=order).json()
        assert any(f"{rate} is high for a LoRA" in warning for warning in lora["warnings"]) == told
    ordinary = client.post("/api/v1/training/check", json=_order(app, "red fox")).json()
    assert "ordinary words" in ordinary["warnings"][0]
    assert len(ordinary["warnings"]) == 1 + len(quiet["warnings"])


def test_presets_and_unknown_runs(client: TestClient) -> None:
    assert "Quick look" in client.get("/api/v1/training/presets").json()
    for path in ("x", "2026-01-01-none", "2026-01-01-none/history", "2026-01-01-none/files/request.json"):
        assert client.get(f"/api/v1/training/runs/{path}").status_code == 404


# A1111's calls


def test_an_embedding_is_made_of_words(client: TestClient, app: App) -> None:
    body = {"name": "made", "num_vectors_per_token": 5, "init_text": "red fox"}
    answer = client.post("/sdapi/v1/create/embedding", json=body)
    assert answer.status_code == 200, answer.text
    path = app.folders.embeddings / "made.safetensors"
    assert str(path) in answer.json()["info"]
    table = next(value for key, value in load_file(MINIATURE).items() if key.endswith("token_embedding.weight"))
    red, fox = app.named.encode("red fox")
    expected = table[[red, red, red, fox, fox]].float().numpy()
    assert np.array_equal(vectors(path), expected)
    with safe_open(path, "np") as file:
        assert file.metadata()["step"] == "0"
    assert app.embeddings.find("made").vectors == 5
    assert client.post("/sdapi/v1/create/embedding", json=body).status_code == 422
    body |= {"overwrite_old": True, "init_text": "", "num_vectors_per_token": 2}
    assert client.post("/sdapi/v1/create/embedding", json=body).status_code == 200
    assert not vectors(path).any()
    for wrong in ({"name": "/"}, {"name": "x", "num_vectors_per_token": 76}):
        assert client.post("/sdapi/v1/create/embedding", json=wrong).status_code == 422


def test_rows_without_torch_are_those_with_it() -> None:
    (table,) = find_rows(MINIATURE)
    assert np.array_equal(table.rows([5, 49407]), np.array(rows(MINIATURE, [5, 49407]), np.float32))
    assert find_rows(Path(__file__)) == []


def test_train_embedding_waits_for_the_end(client: TestClient, app: App) -> None:
    client.post("/sdapi/v1/create/embedding", json={"name": "trained", "num_vectors_per_token": 2})
    body = {
        "id_task": "x", "embedding_name": "trained", "learn_rate": 0.005, "batch_size": 1, "gradient_step": 1,
        "data_root": str(data_set(app.folders.data)), "log_directory": "textual_inversion", "training_width": 128,
        "training_height": 128, "varsize": False, "steps": 12, "clip_grad_mode": "disabled", "clip_grad_value": "0.1",
        "shuffle_tags": False, "tag_drop_out": 0, "latent_sampling_method": "once", "use_weight": False,
        "create_image_every": 0, "save_embedding_every": 0, "template_filename": "style_filewords.txt",
        "save_image_with_stored_embedding": True, "preview_from_txt2img": True, "preview_prompt": "by trained",
        "preview_negative_prompt": "", "preview_steps": 2, "preview_sampler_name": "Euler a",
        "preview_cfg_scale": 7, "preview_seed": 1, "preview_width": 128, "preview_height": 128,
    }  # fmt: skip
    answer = client.post("/sdapi/v1/train/embedding", json=body)
    assert answer.status_code == 200, answer.text
    assert "train embedding complete: filename: " in answer.json()["info"]
    assert app.embeddings.find("trained").step == 12
    run = app.training.list()[0]
    folder = app.training.runs.find(run.run).folder
    assert (folder / "start.safetensors").is_file()
    assert app.training.detail(run.run).request.preview.prompt == "by trained"
    assert client.post("/sdapi/v1/train/embedding", json=body).status_code == 422
    assert client.post("/sdapi/v1/train/embedding", json={**body, "embedding_name": "nobody"}).status_code == 422
    assert client.post("/sdapi/v1/train/embedding", json={"embedding_name": "trained"}).status_code == 422


@pytest.mark.parametrize("path", ["create/hypernetwork", "train/hypernetwork"])
def test_hypernetworks_are_not_made_here(client: TestClient, path: str) -> None:
    answer = client.post(f"/sdapi/v1/{path}", json={})
    assert answer.status_code == 501
    assert "train a LoRA instead" in answer.json()["detail"]


def test_progress_of_a_training_in_a1111s_call(client: TestClient, app: App) -> None:
    run = client.post("/api/v1/training", json=_order(app, "slow progress", steps=100)).json()["run"]
    at_step(app, run, 5)
    told = client.get("/sdapi/v1/progress").json()
    assert 0 < told["progress"] < 1
    assert told["state"]["sampling_steps"] == 100
    queue = client.get("/api/v1/queue").json()["jobs"]
    assert [job["state"] for job in queue] == ["running"]
    client.post("/sdapi/v1/interrupt")
    assert _ended(client, run)["state"] == "interrupted"
