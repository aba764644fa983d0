"""POST /sdapi/v1/txt2img as clients of A1111 use it."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from modules.service.app import App
from modules.web.api.grid import grid_rows
from tests.web.conftest import A1111_BODY, body

BASE: dict[str, Any] = {
    **A1111_BODY,
    "denoising_strength": 0,
    "enable_hr": False,
    "firstphase_height": 0,
    "firstphase_width": 0,
}
INFO_KEYS = [
    "prompt",
    "all_prompts",
    "negative_prompt",
    "all_negative_prompts",
    "seed",
    "all_seeds",
    "subseed",
    "all_subseeds",
    "subseed_strength",
    "width",
    "height",
    "sampler_name",
    "cfg_scale",
    "steps",
    "batch_size",
    "restore_faces",
    "face_restoration_model",
    "sd_model_name",
    "sd_model_hash",
    "sd_vae_name",
    "sd_vae_hash",
    "seed_resize_from_w",
    "seed_resize_from_h",
    "denoising_strength",
    "extra_generation_params",
    "index_of_first_image",
    "infotexts",
    "styles",
    "job_timestamp",
    "clip_skip",
    "is_using_inpainting_conditioning",
    "version",
]


def post(client: TestClient, **values: Any) -> dict[str, Any]:
    answer = client.post("/sdapi/v1/txt2img", json=values)
    assert answer.status_code == 200, answer.text
    return answer.json()


def picture(data: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(data, validate=True)))


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"negative_prompt": "example negative prompt"},
        {"prompt": "((emphasis)), (emphasis1:1.1), [to:1], [from::2], [from:to:0.3], [alt|alt1]"},
        {"height": 128},
        {"tiling": True},
        {"sampler_index": "PLMS"},
        {"sampler_index": "DDIM"},
        {"sampler_index": "UniPC"},
        {"sampler_name": "k_euler_a", "sampler_index": "nonsense"},
        {"sampler_name": "DPM++ 2M Karras", "scheduler": None},
        {"scheduler": "karras"},
        {"restore_faces": None, "tiling": None, "styles": None, "override_settings": None, "eta": None},
        {"an_extension_field": {"a": [1]}, "refiner_checkpoint": "None", "alwayson_scripts": {}, "script_name": ""},
    ],
)
def test_bodies_of_clients_are_accepted(client: TestClient, change: dict[str, Any]) -> None:
    answer = post(client, **{**BASE, **change})
    assert len(answer["images"]) == 1
    assert picture(answer["images"][0]).size == (64, change.get("height", 64))


def test_faces_are_restored_where_the_model_is_there(client: TestClient, app: App) -> None:
    file = app.folders.models / "GFPGAN" / "GFPGANv1.4.pth"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"model")
    app.upscalers.refresh()
    faces = {"override_settings": {"face_restoration_model": "GFPGAN", "code_former_weight": 0.25}}
    answer = post(client, **body("a boat", restore_faces=True, **faces))
    info = json.loads(answer["info"])
    assert (info["restore_faces"], info["face_restoration_model"]) == (True, "GFPGAN")
    assert "Face restoration: GFPGAN" in info["infotexts"][0]
    assert "Face restoration weight: 0.25" in info["infotexts"][0]
    without = json.loads(post(client, **body("a boat", infotext=info["infotexts"][0], restore_faces=False))["info"])
    assert not without["restore_faces"]
    again = json.loads(post(client, **body("a boat", infotext=info["infotexts"][0]))["info"])
    assert again["face_restoration_model"] == "GFPGAN"
    file.unlink()
    app.upscalers.refresh()


def test_the_answer_tells_everything(client: TestClient) -> None:
    answer = post(client, **body("a boat", negative_prompt="fog", subseed=9, sampler_name="Euler a"))
    info = json.loads(answer["info"])
    assert list(info) == INFO_KEYS
    assert (info["seed"], info["all_seeds"], info["all_subseeds"]) == (5, [5], [9])
    assert info["sampler_name"] == "Euler a"
    assert info["index_of_first_image"] == 0
    assert info["sd_model_name"] == "miniature"
    assert picture(answer["images"][0]).info["parameters"] == info["infotexts"][0]
    assert info["infotexts"][0].startswith("a boat\nNegative prompt: fog\nSteps: 3, Sampler: Euler a")
    assert answer["parameters"]["prompt"] == "a boat"
    assert answer["parameters"]["save_images"] is False


def test_a_batch_comes_with_its_grid_first(client: TestClient) -> None:
    answer = post(client, **body(n_iter=2, batch_size=2))
    info = json.loads(answer["info"])
    assert [picture(data).size for data in answer["images"]] == [(128, 128)] + [(64, 64)] * 4
    assert info["index_of_first_image"] == 1
    assert info["all_seeds"] == [5, 6, 7, 8]
    assert len(info["infotexts"]) == 5
    assert info["infotexts"][0] == info["infotexts"][1]
    assert picture(answer["images"][0]).info["parameters"] == info["infotexts"][0]


def test_the_grid_can_be_left_out(client: TestClient) -> None:
    answer = post(client, **body(batch_size=2, override_settings={"return_grid": False}))
    assert len(answer["images"]) == 2
    assert json.loads(answer["info"])["index_of_first_image"] == 0


@pytest.mark.parametrize(("count", "rows"), [(2, 1), (3, 2), (4, 2), (5, 2), (7, 3), (8, 3), (12, 3)])
def test_grid_rows(count: int, rows: int) -> None:
    assert grid_rows(count) == rows


@pytest.mark.parametrize(("count", "rows"), [(3, 1), (8, 2), (7, 1), (12, 3)])
def test_grid_rows_without_gaps(count: int, rows: int) -> None:
    assert grid_rows(count, no_gaps=True) == rows


def test_pictures_are_saved_only_when_asked(client: TestClient, app: App) -> None:
    post(client, **body())
    assert not list(app.folders.outputs.rglob("*.png"))
    post(client, **body(save_images=True, send_images=False))
    assert len(list(app.folders.outputs.rglob("*.png"))) == 1
    post(client, **body(save_images=True, do_not_save_samples=True))
    assert len(list(app.folders.outputs.rglob("*.png"))) == 2  # A1111 overwrites do_not_save_samples too


def test_images_can_be_left_out(client: TestClient) -> None:
    answer = post(client, **body(send_images=False))
    assert answer["images"] == []
    assert len(json.loads(answer["info"])["infotexts"]) == 1


def test_defaults_are_those_of_a1111(client: TestClient, app: App) -> None:
    post(client, width=64, height=64)
    request = app.recent("api", 1)[0].request
    assert (request.steps, request.sampler, request.cfg_scale) == (50, "Euler", 7.0)
    assert 0 <= request.seed < 2**32


def test_fields_reach_the_request(client: TestClient, app: App) -> None:
    post(
        client,
        **body(s_churn=2.5, eta=0.5, sampler_name="DDIM", cfg_scale=3, seed_resize_from_w=96, clip_skip=2),
        override_settings={"CLIP_stop_at_last_layers": 3, "randn_source": "NV", "eta_noise_seed_delta": 31337},
    )
    request = app.recent("api", 1)[0].request
    assert (request.s_churn, request.eta, request.eta_ddim, request.seed_resize_from_w) == (2.5, None, 0.5, 96)
    assert (request.clip_skip, request.rng, request.ensd, request.cfg_scale) == (3, "NV", 31337, 3.0)


def test_eta_of_an_ancestral_sampler(client: TestClient, app: App) -> None:
    post(client, **body(eta=0.5, sampler_name="Euler a"))
    assert app.recent("api", 1)[0].request.eta == 0.5


def test_an_infotext_fills_only_what_is_not_given(client: TestClient, app: App) -> None:
    settings = "Steps: 7, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 4, Seed: 77, Size: 64x128"
    text = f"a cat\nNegative prompt: blur\n{settings}"
    post(client, infotext=text, steps=2, height=64)
    request = app.recent("api", 1)[0].request
    assert (request.prompt, request.negative_prompt, request.seed, request.cfg_scale) == ("a cat", "blur", 77, 4.0)
    assert (request.steps, request.width, request.height) == (2, 64, 64)
    assert (request.sampler, request.scheduler) == ("DPM++ 2M", "Karras")


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"sampler_name": "Eulr"}, 400, "Sampler not found"),
        ({"scheduler": "Karas"}, 422, "Did you mean 'Karras'"),
        ({"steps": 5000}, 422, "Sampling steps (steps) is 5000"),
        ({"n_iter": 0}, 422, "(n_iter) is 0"),
        ({"enable_hr": True, "hr_upscaler": "4x-Nothing"}, 422, "no upscaler named '4x-Nothing'"),
        ({"restore_faces": True}, 422, "put its model file into models/Codeformer"),
        ({"styles": ["photo"]}, 422, "There is no style named 'photo'"),
        ({"script_name": "x/y plot"}, 422, "Script not found"),
        ({"alwayson_scripts": {"ControlNet": {"args": []}}}, 422, "Script not found: 'ControlNet'"),
        ({"override_settings": {"nonsense": 1}}, 500, "no option named 'nonsense'"),
        ({"override_settings": {"CLIP_stop_at_last_layers": "x"}}, 422, "Clip skip"),
        ({"override_settings": {"upcast_attn": True}}, 422, "upcast_attn"),
        ({"override_settings": {"sd_model_checkpoint": "missing"}}, 422, "There is no checkpoint named 'missing'"),
        ({"prompt": "oom"}, 500, "not enough memory"),
        ({"prompt": "die"}, 500, "engine"),
    ],
)
def test_what_cannot_be_done_is_said(client: TestClient, change: dict[str, Any], status: int, words: str) -> None:
    answer = client.post("/sdapi/v1/txt2img", json=body(**change))
    assert (answer.status_code, set(answer.json()) - {"field"}) == (status, {"error", "detail", "body", "errors"})
    assert words in answer.json()["detail"]


def test_a_wrong_type_is_the_frameworks_list(client: TestClient) -> None:
    answer = client.post("/sdapi/v1/txt2img", json={"steps": "many"})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "steps"]


def test_what_a1111_does_not_know_is_not_found(client: TestClient) -> None:
    assert client.post("/sdapi/v1/nonsense", json={}).status_code == 404
