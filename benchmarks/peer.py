"""The peer: diffusers' StableDiffusionPipeline over the very same weights, as a user would set it up."""

from __future__ import annotations

import gzip
import json
from importlib.resources import files
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    SchedulerMixin,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint
from safetensors import safe_open
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
CLIP_PREFIX = "cond_stage_model.transformer.text_model."


def scheduler(name: str) -> SchedulerMixin:
    """diffusers' scheduler for one of the benchmark's samplers."""
    if name == "DPM++ 2M":
        return DPMSolverMultistepScheduler(
            **BETAS, algorithm_type="dpmsolver++", use_karras_sigmas=True, timestep_spacing="linspace"
        )
    return EulerDiscreteScheduler(**BETAS, timestep_spacing="linspace")


def tokenizer() -> CLIPTokenizer:
    """The CLIP tokenizer from the same vocabulary file, in the peer's own class."""
    packed = (files("modules.prompts") / "clip_bpe.txt.gz").read_bytes()
    merges = [tuple(line.split()) for line in gzip.decompress(packed).decode().split("\n")[1 : 49152 - 256 - 2 + 1]]
    letters = _byte_letters()
    words = [*letters, *(letter + "</w>" for letter in letters), *("".join(pair) for pair in merges)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={word: k for k, word in enumerate(words)}, merges=merges, model_max_length=77)


def _byte_letters() -> list[str]:
    """The printable stand-ins of the 256 bytes, in the order of CLIP's vocabulary (OpenAI CLIP, simple_tokenizer)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(b) for b in plain] + [chr(256 + k) for k in range(256 - len(plain))]


def pipeline(path: Path, dtype: torch.dtype, device: str) -> StableDiffusionPipeline:
    """The pipeline of a single file whose metadata names its configuration (both benchmark models do)."""
    with safe_open(path, "pt") as file:
        config = json.loads(file.metadata()["config"])
        weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    unet = UNet2DConditionModel(**config["unet"])
    unet.load_state_dict(convert_ldm_unet_checkpoint(dict(weights), dict(unet.config)))
    vae = AutoencoderKL(**config["vae"])
    vae.load_state_dict(convert_ldm_vae_checkpoint(dict(weights), dict(vae.config)))
    text = CLIPTextModel(CLIPTextConfig(**config["text"]))
    text.load_state_dict(
        {key.removeprefix(CLIP_PREFIX): value for key, value in weights.items() if key.startswith(CLIP_PREFIX)}
    )
    pipe = StableDiffusionPipeline(
        vae=vae.to(dtype),
        text_encoder=text.to(dtype),
        tokenizer=tokenizer(),
        unet=unet.to(dtype),
        scheduler=scheduler("DPM++ 2M"),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).to(device)
    pipe.set_progress_bar_config(disable=True)
    return pipe
