"""A1111's own API tests, and what a public client of its API does, on a whole server with its engine and model."""

from __future__ import annotations

import base64
import io
from typing import Any

import pytest
import webuiapi
from PIL import Image, ImageDraw

from tests.web.conftest import A1111_BODY, A1111_IMG2IMG_BODY
from tests.web.test_live import address

__all__ = ["address"]

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def client(address: str) -> Any:  # noqa: F811
    return webuiapi.WebUIApi(baseurl=f"{address}/sdapi/v1")


def picture(size: int = 64) -> Image.Image:
    image = Image.new("RGB", (size, size), "white")
    ImageDraw.Draw(image).ellipse((8, 8, size - 8, size - 8), fill="red")
    return image


def mask(size: int = 64) -> Image.Image:
    image = Image.new("L", (size, size), 0)
    image.paste(255, (0, 0, size // 2, size))
    return image


def sent(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


HIRES = {"denoising_strength": 0, "firstphase_height": 0, "firstphase_width": 0, "enable_hr": True}
TXT2IMG: dict[str, dict[str, Any]] = {
    "simple": {},
    "negative prompt": {"negative_prompt": "example negative prompt"},
    "complex prompt": {"prompt": "((emphasis)), (emphasis1:1.1), [to:1], [from::2], [from:to:0.3], [alt|alt1]"},
    "not square": {"height": 128},
    "hires fix": HIRES,
    "tiling": {"tiling": True},
    "PLMS": {"sampler_index": "PLMS"},
    "DDIM": {"sampler_index": "DDIM"},
    "UniPC": {"sampler_index": "UniPC"},
    "multiple batches": {"n_iter": 2},
    "batch": {"batch_size": 2},
}
GETS = (
    "cmd-flags", "samplers", "upscalers", "sd-models", "hypernetworks", "face-restorers", "realesrgan-models",
    "prompt-styles", "embeddings",
)  # fmt: skip


def post(client: Any, route: str, body: dict[str, Any]) -> Any:
    return client.session.post(f"{client.baseurl}/{route}", json=body, timeout=180)


@pytest.mark.parametrize("case", list(TXT2IMG))
def test_txt2img_of_a1111s_suite(client: Any, case: str) -> None:
    answer = post(client, "txt2img", {**A1111_BODY, "denoising_strength": 0, "enable_hr": False, **TXT2IMG[case]})
    assert answer.status_code == 200, answer.text


def test_faces_without_a_model_are_refused_plainly(client: Any) -> None:
    """A1111 downloads one; nothing is downloaded here, and a picture without it is not what was asked for."""
    answer = post(client, "txt2img", {**A1111_BODY, "restore_faces": True})
    assert answer.status_code == 422
    assert "CodeFormer" in answer.json()["detail"]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"mask": sent(mask())},
        {"mask": sent(mask()), "inpainting_mask_invert": True},
        {"script_name": "sd upscale", "script_args": ["", 8, "Lanczos", 2.0]},
    ],
    ids=["simple", "masked", "inverted", "SD upscale"],
)
def test_img2img_of_a1111s_suite(client: Any, change: dict[str, Any]) -> None:
    answer = post(client, "img2img", {**A1111_IMG2IMG_BODY, "init_images": [sent(picture())], **change})
    assert answer.status_code == 200, answer.text


def test_extras_of_a1111s_suite(client: Any) -> None:
    upscale = {"resize_mode": 0, "upscaling_resize": 2, "upscaling_resize_w": 128, "upscaling_resize_h": 128,
               "upscaling_crop": True, "upscaler_1": "Lanczos", "upscaler_2": "None", "show_extras_results": True,
               "gfpgan_visibility": 0, "codeformer_visibility": 0, "codeformer_weight": 0,
               "extras_upscaler_2_visibility": 0}  # fmt: skip
    for body in (upscale, {}, {"model": "clip"}):
        answer = post(client, "extra-single-image", {**body, "image": sent(picture())})
        assert answer.status_code == 200, answer.text


def test_options_and_lists_of_a1111s_suite(client: Any) -> None:
    before = client.get_options()["send_seed"]
    client.set_options({"send_seed": not before})
    assert client.get_options()["send_seed"] is not before
    client.set_options({"send_seed": before})
    for name in GETS:
        assert client.session.get(f"{client.baseurl}/{name}", timeout=30).status_code == 200


def test_the_client_draws_from_a_picture(client: Any) -> None:
    result = client.img2img(images=[picture()], prompt="a boat", seed=3, steps=3, width=64, height=64)
    assert result.image.size == (64, 64)
    assert result.info["seed"] == 3
    kept = client.img2img(
        images=[picture()], mask_image=mask(), prompt="a boat", seed=3, steps=3, width=64, height=64,
        inpainting_fill=1, inpaint_full_res=False, mask_blur=0, denoising_strength=0.9,
    ).image  # fmt: skip
    assert kept.getpixel((60, 4)) == (255, 255, 255)  # where the mask is black nothing was drawn


def test_the_client_enlarges(client: Any) -> None:
    one = client.extra_single_image(picture(), upscaling_resize=2, upscaler_1=webuiapi.Upscaler.Lanczos)
    assert one.image.size == (128, 128)
    two = client.extra_batch_images([picture(), picture(32)], upscaling_resize=2, upscaler_1="Lanczos")
    assert [image.size for image in two.images] == [(128, 128), (64, 64)]


def test_the_client_draws_large_and_with_a_script(client: Any) -> None:
    large = client.txt2img(
        prompt="a boat", seed=1, steps=2, width=64, height=64, enable_hr=True, hr_scale=2,
        hr_upscaler=webuiapi.HiResUpscaler.Latent, denoising_strength=0.7,
    )  # fmt: skip
    assert large.image.size == (128, 128)
    grid = client.txt2img(
        prompt="a boat|red", seed=1, steps=1, width=64, height=64, script_name="prompt matrix",
        script_args=[False, False, "positive", "comma", 0],
    )  # fmt: skip
    assert grid.image.size[0] >= 64


def test_everything_else_that_the_client_asks(client: Any) -> None:
    read = client.png_info(client.txt2img(prompt="a boat", seed=1, steps=1, width=64, height=64).image)
    assert read.info.startswith("a boat\nSteps: 1")
    assert read.parameters["Seed"] == "1"
    for call in (client.get_cmd_flags, client.get_samplers, client.get_schedulers, client.get_sd_vae,
                 client.get_upscalers, client.get_latent_upscale_modes, client.get_loras, client.get_sd_models,
                 client.get_hypernetworks, client.get_face_restorers, client.get_realesrgan_models,
                 client.get_prompt_styles, client.get_scripts, client.get_embeddings, client.get_memory,
                 client.get_progress):  # fmt: skip
        assert call() is not None
    client.refresh_checkpoints()
    client.util_wait_for_ready(check_interval=0.1)
    assert client.interrupt() == {}
    client.skip()
