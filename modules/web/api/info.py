"""The `info` of a generation's answer: what was made, in A1111's keys."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from modules.schema import infotext
from modules.schema.request import GenerationRequest
from modules.service.jobs import Job

STANDARD_KEYS = frozenset(
    {
        "Steps",
        "Sampler",
        "CFG scale",
        "Seed",
        "Size",
        "Size-1",
        "Size-2",
        "Model hash",
        "Model",
        "VAE hash",
        "VAE",
        "Variation seed",
        "Variation seed strength",
        "Clip skip",
        "Version",
    }
)


def describe(
    job: Job, infotexts: Sequence[str], *, with_grid: bool, denoising_strength: float | None
) -> dict[str, Any]:
    """`infotexts`: one a picture; with a grid, the grid (whose text is the first picture's) comes first."""
    request = job.drawing or GenerationRequest()
    params = infotext.parse(infotexts[0]).params if infotexts else {}
    count = request.image_count
    seeds = [request.image_seeds(index) for index in range(count)]
    return {
        "prompt": request.prompt,
        "all_prompts": [request.prompt] * count,
        "negative_prompt": request.negative_prompt,
        "all_negative_prompts": [request.negative_prompt] * count,
        "seed": request.seed,
        "all_seeds": [seed for seed, _ in seeds],
        "subseed": request.subseed,
        "all_subseeds": [subseed for _, subseed in seeds],
        "subseed_strength": request.subseed_strength,
        "width": request.width,
        "height": request.height,
        "sampler_name": request.sampler,
        "cfg_scale": request.cfg_scale,
        "steps": request.steps,
        "batch_size": request.batch_size,
        "restore_faces": request.face_restoration != "None",
        "face_restoration_model": None if request.face_restoration == "None" else request.face_restoration,
        "sd_model_name": params.get("Model"),
        "sd_model_hash": params.get("Model hash"),
        "sd_vae_name": params.get("VAE"),
        "sd_vae_hash": params.get("VAE hash"),
        "seed_resize_from_w": request.seed_resize_from_w or -1,
        "seed_resize_from_h": request.seed_resize_from_h or -1,
        "denoising_strength": denoising_strength,
        "extra_generation_params": {k: v for k, v in params.items() if k not in STANDARD_KEYS},
        "index_of_first_image": int(with_grid),
        "infotexts": [*infotexts[:1], *infotexts] if with_grid else list(infotexts),
        "styles": [],
        "job_timestamp": time.strftime("%Y%m%d%H%M%S", time.localtime(job.created)),
        "clip_skip": request.clip_skip,
        "is_using_inpainting_conditioning": False,
        "version": params.get("Version"),
    }
