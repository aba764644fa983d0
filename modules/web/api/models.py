"""Bodies of A1111's HTTP API, with A1111's field names and defaults (which are not the page's: 50 steps, Euler).

Unknown fields are accepted and echoed, as A1111 does: clients send fields of versions and extensions of their own. A
field with the name of one of our own parameters (`clip_skip`, `rng`, ...) is used.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class TextToImage(BaseModel):
    """POST /sdapi/v1/txt2img. None means: the option's value."""

    model_config = ConfigDict(extra="allow")

    prompt: str = ""
    negative_prompt: str = ""
    styles: list[str] | None = None
    seed: int = -1
    subseed: int = -1
    subseed_strength: float = 0.0
    seed_resize_from_h: int = -1
    seed_resize_from_w: int = -1
    sampler_name: str | None = None
    sampler_index: str | None = "Euler"
    scheduler: str | None = None
    batch_size: int = 1
    n_iter: int = 1
    steps: int = 50
    cfg_scale: float = 7.0
    width: int = 512
    height: int = 512
    restore_faces: bool | None = None
    tiling: bool | None = None
    do_not_save_samples: bool = False
    do_not_save_grid: bool = False
    eta: float | None = None
    s_min_uncond: float | None = None
    s_churn: float | None = None
    s_tmin: float | None = None
    s_tmax: float | None = None
    s_noise: float | None = None
    denoising_strength: float | None = 0.75
    override_settings: dict[str, Any] | None = None
    override_settings_restore_afterwards: bool = True
    refiner_checkpoint: str | None = None
    refiner_switch_at: float | None = None
    disable_extra_networks: bool = False
    firstpass_image: str | None = None
    comments: dict[str, Any] | None = None
    enable_hr: bool = False
    firstphase_width: int = 0
    firstphase_height: int = 0
    hr_scale: float = 2.0
    hr_upscaler: str | None = None
    hr_second_pass_steps: int = 0
    hr_resize_x: int = 0
    hr_resize_y: int = 0
    hr_checkpoint_name: str | None = None
    hr_sampler_name: str | None = None
    hr_scheduler: str | None = None
    hr_prompt: str = ""
    hr_negative_prompt: str = ""
    script_name: str | None = None
    script_args: list[Any] = []
    alwayson_scripts: dict[str, Any] | None = {}
    infotext: str | None = None
    send_images: bool = True
    save_images: bool = False
    force_task_id: str | None = None


class ImageToImage(TextToImage):
    """POST /sdapi/v1/img2img: A1111's defaults, which are not the page's (fill, only masked, no padding)."""

    init_images: list[str] | None = None
    resize_mode: int = 0
    denoising_strength: float = 0.75
    image_cfg_scale: float | None = None
    mask: str | None = None
    mask_blur: float | None = None
    mask_blur_x: float = 4
    mask_blur_y: float = 4
    mask_round: bool = True
    inpainting_fill: int = 0
    inpaint_full_res: bool = True
    inpaint_full_res_padding: int = 0
    inpainting_mask_invert: int = 0
    initial_noise_multiplier: float | None = None
    latent_mask: str | None = None
    include_init_images: bool = False


class Images(BaseModel):
    """Answer of a generation: base64 pictures without prefix, the request's echo, and facts as a JSON string."""

    images: list[str]
    parameters: dict[str, Any]
    info: str


class PngInfoBody(BaseModel):
    image: str


class PngInfo(BaseModel):
    info: str
    items: dict[str, Any]
    parameters: dict[str, Any]


class TaskProgressBody(BaseModel):
    """POST /internal/progress."""

    id_task: str | None = None
    id_live_preview: int = -1
    live_preview: bool = True
