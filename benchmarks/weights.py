"""A random checkpoint of Stable Diffusion 1.5's size, in the original layout: for speed, not for pictures."""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel

from benchmarks.peer import scheduler, tokenizer
from modules.engine.loading.keymap import TEXT_PREFIX, UNET_PREFIX, VAE_PREFIX, unet_keymap, vae_keymap
from modules.engine.loading.shapes import UnetShape, VaeShape

SD15 = {
    "unet": {
        "sample_size": 64,
        "block_out_channels": [320, 640, 1280, 1280],
        "layers_per_block": 2,
        "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
        "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
        "cross_attention_dim": 768,
        "attention_head_dim": 8,
    },
    "vae": {
        "sample_size": 512,
        "block_out_channels": [128, 256, 512, 512],
        "layers_per_block": 2,
        "latent_channels": 4,
        "down_block_types": ["DownEncoderBlock2D"] * 4,
        "up_block_types": ["UpDecoderBlock2D"] * 4,
    },
    "text": {
        "vocab_size": 49408,
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "projection_dim": 768,
        "hidden_act": "quick_gelu",
        "bos_token_id": 49406,
        "eos_token_id": 49407,
    },
}


def write_random_sd15(path: Path, dtype: torch.dtype = torch.float16) -> Path:
    """Write the file (2.1 GB in fp16); a finished one is kept."""
    if path.exists():
        return path
    torch.manual_seed(0)
    with torch.device("meta"):
        unet = UNet2DConditionModel(**SD15["unet"])
        vae = AutoencoderKL(**SD15["vae"])
        text = CLIPTextModel(CLIPTextConfig(**SD15["text"]))
    unet_map = unet_keymap(UnetShape(4, 4, (320, 640, 1280, 1280), 2, (True, True, True, False), 768, False))
    vae_map = vae_keymap(VaeShape(3, 4, (128, 256, 512, 512), 2))
    names = {UNET_PREFIX + str(unet_map.to_original(k)): v for k, v in unet.state_dict().items()}
    for name, tensor in vae.state_dict().items():
        original = str(vae_map.to_original(name))
        squeezed = ".mid.attn_1." in original and tensor.ndim == 2
        names[VAE_PREFIX + original] = tensor[:, :, None, None] if squeezed else tensor
    names |= {f"{TEXT_PREFIX}text_model.{k}": v for k, v in text.state_dict().items()}
    tensors = {name: _random(name, tensor, dtype) for name, tensor in names.items()}
    part = path.with_name(path.name + ".part")
    save_file(tensors, part, metadata={"format": "pt", "config": json.dumps(SD15)})
    os.replace(part, path)
    return path


def _random(name: str, like: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Values that keep activations in bounds: unit norms, zero biases, small weights."""
    if not like.is_floating_point():
        return torch.arange(like.numel()).reshape(like.shape)
    if like.ndim == 1:
        return (torch.zeros if name.endswith("bias") else torch.ones)(like.shape, dtype=dtype)
    return torch.empty(like.shape, dtype=dtype).normal_(0, 0.02)


def write_configs(folder: Path) -> Path:
    """The configuration files (no weights but the tokenizer's) that diffusers' single-file loader asks for."""
    parts = {
        "unet": UNet2DConditionModel,
        "vae": AutoencoderKL,
    }
    with torch.device("meta"):
        networks = {name: kind(**SD15[name]) for name, kind in parts.items()}
    for name, network in networks.items():
        network.save_config(folder / name)
    scheduler("DPM++ 2M").save_config(folder / "scheduler")
    CLIPTextConfig(**SD15["text"]).save_pretrained(folder / "text_encoder")
    tokenizer().save_pretrained(folder / "tokenizer")
    index = {
        "_class_name": "StableDiffusionPipeline",
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "scheduler": ["diffusers", "DPMSolverMultistepScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "safety_checker": [None, None],
        "feature_extractor": [None, None],
        "requires_safety_checker": False,
    }
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder
