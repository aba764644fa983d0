"""A tiny random checkpoint of the SD1 family in the original layout, for tests of whatever needs a model.

UNet 32/64 channels, text encoder of width 64 with 2 layers and the whole CLIP vocabulary, autoencoder of factor 8.
Its sizes agree with the SD1 facts (8 UNet heads, text heads of width 64, 32 norm groups), so no metadata is needed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPTextConfig
from transformers.models.clip.modeling_clip import CLIPTextModel

from modules.engine.loading.keymap import (
    EMA_PREFIX,
    TEXT_PREFIX,
    UNET_PREFIX,
    VAE_PREFIX,
    ema_name,
    unet_keymap,
    vae_keymap,
)
from modules.engine.loading.shapes import UnetShape, VaeShape

NATIVE_64 = {"modelspec.resolution": "64x64"}


def tiny_networks(
    *, inpaint: bool = False, seed: int = 0
) -> tuple[UNet2DConditionModel, AutoencoderKL, CLIPTextModel]:
    """UNet, autoencoder and text encoder with random weights, float32, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet = UNet2DConditionModel(
            in_channels=9 if inpaint else 4,
            out_channels=4,
            block_out_channels=(32, 64),
            layers_per_block=1,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            cross_attention_dim=64,
            attention_head_dim=8,
        )
        vae = AutoencoderKL(
            latent_channels=4,
            block_out_channels=(32, 32, 32, 32),
            layers_per_block=1,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
        )
        text = CLIPTextModel(
            CLIPTextConfig(
                hidden_size=64,
                intermediate_size=128,
                num_hidden_layers=2,
                num_attention_heads=1,
                vocab_size=49408,
                bos_token_id=49406,
                eos_token_id=49407,
            )
        )
    return unet.eval(), vae.eval(), text.eval()


def tiny_tensors(*, ema: bool = False, inpaint: bool = False, seed: int = 0) -> dict[str, Tensor]:
    """The tensors of a tiny checkpoint in the original layout; `ema` adds averaged weights (half of the others)."""
    return dict(_tensors(ema, inpaint, seed))


@cache
def _tensors(ema: bool, inpaint: bool, seed: int) -> dict[str, Tensor]:
    unet, vae, text = tiny_networks(inpaint=inpaint, seed=seed)
    unet_map = unet_keymap(UnetShape(9 if inpaint else 4, 4, (32, 64), 1, (True, False), 64, False))
    vae_map = vae_keymap(VaeShape(3, 4, (32, 32, 32, 32), 1))
    tensors = {UNET_PREFIX + str(unet_map.to_original(k)): v for k, v in unet.state_dict().items()}
    if ema:
        averaged = {ema_name(k.removeprefix(UNET_PREFIX)): v * 0.5 for k, v in tensors.items()}
        tensors |= averaged | {
            EMA_PREFIX + "decay": torch.tensor(0.9999),
            EMA_PREFIX + "num_updates": torch.tensor(7),
        }
    for name, value in vae.state_dict().items():
        original = str(vae_map.to_original(name))
        is_attention = ".mid.attn_1." in original and value.ndim == 2
        tensors[VAE_PREFIX + original] = value[:, :, None, None] if is_attention else value
    tensors |= {f"{TEXT_PREFIX}text_model.{k}": v for k, v in text.state_dict().items()}
    return tensors


def write_tiny_sd1(
    path: Path,
    *,
    dtype: torch.dtype = torch.float32,
    ema: bool = False,
    inpaint: bool = False,
    metadata: Mapping[str, str] | None = None,
    seed: int = 0,
    extra: Mapping[str, Any] | None = None,
) -> Path:
    """Write a tiny checkpoint: safetensors, or for .ckpt and .pt a pickle with a `state_dict` wrapper and `extra`."""
    tensors = {
        k: v.detach().to(dtype if v.is_floating_point() else v.dtype).contiguous()
        for k, v in tiny_tensors(ema=ema, inpaint=inpaint, seed=seed).items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    if path.suffix == ".safetensors":
        save_file(tensors, part, metadata={"format": "pt", **(metadata or {})})
    else:
        torch.save({"state_dict": tensors, **(extra or {})}, part)
    os.replace(part, path)
    return path


def save_diffusers(folder: Path, networks: tuple[nn.Module, ...] | None = None) -> Path:
    """Write a tiny model as a diffusers folder with safetensors weights."""
    unet, vae, text = networks or tiny_networks()
    for name, network in (("unet", unet), ("vae", vae), ("text_encoder", text)):
        network.save_pretrained(folder / name)
    (folder / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    return folder
