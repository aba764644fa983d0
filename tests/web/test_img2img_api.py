"""POST /sdapi/v1/img2img, hires fix and refiner as clients of A1111 use them, and pictures in our own jobs."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from modules.schema.parts import Hires, ImageInput, Inpaint, Refiner, SoftInpaint
from modules.schema.request import GenerationRequest
from modules.schema.scripts import ScriptRequest
from modules.service.app import App
from modules.service.inputs import picture_hash
from tests.web.conftest import A1111_IMG2IMG_BODY, body


def base64_of(picture: Image.Image, prefix: str = "data:image/png;base64,") -> str:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return prefix + base64.b64encode(file.getvalue()).decode()


PICTURE = base64_of(Image.new("RGB", (32, 32), "orange"))
MASK = base64_of(Image.new("L", (32, 32), 255), prefix="")


def post(client: TestClient, route: str = "img2img", **values: Any) -> dict[str, Any]:
    answer = client.post(f"/sdapi/v1/{route}", json=values)
    assert answer.status_code == 200, answer.text
    return answer.json()


def last(app: App) -> GenerationRequest:
    request = app.recent("api", 1)[0].request
    assert isinstance(request, GenerationRequest)
    return request


@pytest.mark.parametrize(
    "change", [{}, {"mask": MASK}, {"mask": MASK, "inpainting_mask_invert": True}], ids=["plain", "mask", "inverted"]
)
def test_the_bodies_of_a1111s_tests(client: TestClient, change: dict[str, Any]) -> None:
    answer = post(client, **{**A1111_IMG2IMG_BODY, "init_images": [PICTURE], **change})
    assert Image.open(io.BytesIO(base64.b64decode(answer["images"][0]))).size == (64, 64)
    assert answer["parameters"]["init_images"] is None
    assert answer["parameters"]["mask"] is None
    assert "enable_hr" not in answer["parameters"]
    assert json.loads(answer["info"])["denoising_strength"] == 0.75


def test_defaults_are_those_of_a1111(client: TestClient, app: App) -> None:
    answer = post(client, init_images=[PICTURE], mask=MASK, width=64, height=64, include_init_images=True)
    request = last(app)
    assert (request.steps, request.sampler) == (50, "Euler")
    assert request.image is not None
    assert request.image == ImageInput(picture=request.image.picture)
    assert request.inpaint is not None
    assert request.inpaint == Inpaint(
        mask=request.inpaint.mask, masked_content="fill", area="Only masked", padding=0, round_mask=True
    )
    assert app.inputs.open(request.image.picture).size == (32, 32)
    assert answer["parameters"]["init_images"] == [PICTURE]


def test_fields_and_options_reach_the_parts(client: TestClient, app: App) -> None:
    post(
        client,
        **body(
            init_images=[PICTURE],
            mask=MASK,
            mask_blur_x=2,
            mask_blur_y=9,
            mask_round=False,
            resize_mode=2,
            denoising_strength=0.3,
            inpainting_fill=3,
            inpaint_full_res=0,
            inpainting_mask_invert=1,
            initial_noise_multiplier=0.9,
        ),
        override_settings={"img2img_fix_steps": True, "inpainting_mask_weight": 0.5, "img2img_extra_noise": 0.1},
    )
    request = last(app)
    assert request.image is not None
    assert request.inpaint is not None
    assert request.image.replace(picture="") == ImageInput(
        denoising_strength=0.3, resize_mode="Resize and fill", exact_steps=True, noise_multiplier=0.9, extra_noise=0.1
    )
    assert request.inpaint.replace(mask="") == Inpaint(
        mask_blur=2,
        mask_blur_y=9,
        masked_content="latent nothing",
        mask_mode="Inpaint not masked",
        mask_weight=0.5,
        padding=0,
    )


@pytest.mark.parametrize(
    "arguments", [[True, 1.5, 0.25], [{"Soft inpainting": True, "Schedule bias": 1.5, "Preservation strength": 0.25}]]
)
def test_soft_inpainting_is_its_script(client: TestClient, app: App, arguments: list[Any]) -> None:
    scripts = {"Soft Inpainting": {"args": arguments}}
    post(client, **body(init_images=[PICTURE], mask=MASK, alwayson_scripts=scripts))
    assert last(app).soft_inpaint == SoftInpaint(schedule_bias=1.5, preservation_strength=0.25)


def test_hires_fix_of_txt2img(client: TestClient, app: App) -> None:
    post(client, "txt2img", **body(enable_hr=True, denoising_strength=0))
    assert last(app).hires == Hires(denoising_strength=0)
    post(
        client,
        "txt2img",
        **body(
            enable_hr=True,
            hr_scale=1.5,
            hr_upscaler="Latent (nearest)",
            hr_second_pass_steps=4,
            hr_sampler_name="DPM++ 2M Karras",
            hr_prompt="x",
            sampler_name="Euler",
        ),
    )
    assert last(app).hires == Hires(
        denoising_strength=0.75,
        scale=1.5,
        upscaler="Latent (nearest)",
        steps=4,
        sampler="DPM++ 2M",
        scheduler="Karras",
        prompt="x",
    )


def test_the_old_first_pass_size(client: TestClient, app: App) -> None:
    post(client, "txt2img", **{**body(enable_hr=True, firstphase_width=64, firstphase_height=32), "width": 128})
    request = last(app)
    assert (request.width, request.height) == (64, 32)
    assert request.hires is not None
    assert (request.hires.width, request.hires.height) == (128, 64)


def test_a_finished_picture_as_first_pass(client: TestClient, app: App) -> None:
    post(client, "txt2img", **body(enable_hr=True, firstpass_image=PICTURE))
    hires = last(app).hires
    assert hires is not None
    assert app.inputs.open(hires.picture).getpixel((0, 0)) == (255, 165, 0)


def test_the_refiner(client: TestClient, app: App) -> None:
    title = app.selected_checkpoint
    post(client, "txt2img", **body(refiner_checkpoint="miniature", refiner_switch_at=0.5))
    assert last(app).refiner == Refiner(checkpoint=title, switch_at=0.5)
    post(client, "txt2img", **body(refiner_checkpoint="None"))
    assert last(app).refiner is None


def test_infotexts_of_both_ways(client: TestClient, app: App) -> None:
    line = "Steps: 7, Sampler: Euler, CFG scale: 4, Seed: 77, Size: 64x64, Denoising strength: 0.4"
    post(client, "txt2img", infotext=f"a\n{line}, Hires upscale: 2, Hires upscaler: Latent", steps=2)
    assert last(app).hires == Hires(denoising_strength=0.4)
    post(client, "txt2img", infotext=f"a\n{line}", steps=2)
    assert last(app).image is None


def test_several_pictures_make_a_batch(client: TestClient, app: App) -> None:
    blue = base64_of(Image.new("RGB", (32, 32), "blue"))
    answer = post(client, **body(init_images=[PICTURE, blue], batch_size=3, n_iter=2))
    info = json.loads(answer["info"])
    assert len(answer["images"]) == 1 + 4, "a grid first, as of any batch"
    assert (info["index_of_first_image"], info["batch_size"]) == (1, 2)
    assert info["all_seeds"] == [5, 6, 7, 8]
    order = app.recent("api", 1)[0].request
    assert isinstance(order, ScriptRequest)
    names = [picture_hash(Image.new("RGB", (32, 32), colour)) for colour in ("orange", "blue")]
    assert [
        f"Init image hash: {name}" in text for name, text in zip(names * 2, info["infotexts"][1:], strict=True)
    ] == [True] * 4


def test_a_latent_mask(client: TestClient, app: App) -> None:
    post(client, **body(init_images=[PICTURE], mask=MASK, latent_mask=base64_of(Image.new("L", (32, 32), 128))))
    inpaint = last(app).inpaint
    assert inpaint is not None
    assert app.inputs.open(inpaint.latent_mask).getpixel((0, 0)) == 128


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"init_images": []}, 404, "Init image not found"),
        ({"init_images": ["!!"]}, 422, "not base64"),
        ({"init_images": ["http://example.org/a.png"]}, 422, "not fetched from addresses"),
        ({"init_images": [base64.b64encode(b"hello").decode()]}, 422, "not a picture"),
        ({"resize_mode": 9}, 422, "resize_mode is 9"),
        ({"inpainting_fill": -1, "mask": MASK}, 422, "inpainting_fill is -1"),
        ({"denoising_strength": 7}, 422, "denoising_strength"),
        ({"latent_mask": MASK}, 422, "goes with a 'mask'"),
        ({"init_images": [PICTURE, PICTURE]}, 422, "2 init_images but batch_size is 1"),
        ({"init_images": [PICTURE, PICTURE], "batch_size": 2, "script_name": "loopback"}, 422, "one picture"),
        ({"alwayson_scripts": {"ControlNet": {"args": []}}}, 422, "Script not found"),
    ],
)
def test_what_cannot_be_done_is_said(client: TestClient, change: dict[str, Any], status: int, words: str) -> None:
    answer = client.post("/sdapi/v1/img2img", json={**body(), "init_images": [PICTURE], **change})
    assert answer.status_code == status
    assert words in answer.json()["detail"]


def test_own_jobs_take_names_and_base64(client: TestClient, app: App) -> None:
    file = {"file": ("a.png", base64.b64decode(PICTURE.partition(",")[2]))}
    name = client.post("/api/v1/inputs", files=file).json()["picture"]
    small = {"width": 64, "height": 64, "steps": 1}
    by_name = client.post("/api/v1/jobs", json={**small, "image": {"picture": name}}).json()
    by_data = client.post("/api/v1/jobs", json={**small, "image": {"picture": PICTURE}, "inpaint": {"mask": MASK}})
    assert by_name["request"]["image"]["picture"] == name
    assert by_data.json()["request"]["image"]["picture"] == name
    assert app.inputs.open(by_data.json()["request"]["inpaint"]["mask"]).mode == "L"


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"image": {"picture": "f" * 64}}, 404, "not there any more"),
        ({"image": {}}, 422, "choose one first"),
        ({"inpaint": {"mask": "f" * 64}}, 422, "A mask needs a picture"),
        ({"image": {"picture": "../../etc/passwd"}}, 422, "Picture (image.picture)"),
        ({"hires": {"scale": 99}}, 422, "Upscale by (hires.scale) is 99"),
        ({"refiner": {"checkpoint": "none such"}}, 422, "There is no checkpoint named 'none such'"),
        ({"refiner": {}}, 422, "names no checkpoint"),
    ],
)
def test_parts_that_cannot_be_are_sentences(
    client: TestClient, change: dict[str, Any], status: int, words: str
) -> None:
    answer = client.post("/api/v1/jobs", json=change)
    assert (answer.status_code, words in answer.json()["detail"]) == (status, True), answer.json()


def test_results_go_to_their_own_folder(client: TestClient, app: App) -> None:
    post(client, **body(init_images=[PICTURE], save_images=True))
    paths = list(app.folders.outputs.glob("img2img-images/**/*.png"))
    assert paths
    assert all("Denoising strength: 0.75" in Image.open(path).info["parameters"] for path in paths)
