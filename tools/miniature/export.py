"""Last stage: one file in the layout of Stable Diffusion 1, as the product loads it."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from modules.engine.families.sd1 import SD1
from modules.engine.loading.keymap import TEXT_PREFIX, UNET_PREFIX, VAE_PREFIX, KeyMap, unet_keymap, vae_keymap
from modules.engine.loading.preview import fit_matrix
from modules.engine.loading.shapes import UnetShape, VaeShape
from tools.miniature.nets import NATIVE, Sizes
from tools.miniature.wording import Wording

_EMBEDDING = "embeddings.token_embedding.weight"


@dataclass(frozen=True)
class Networks:
    """The three trained networks; `text` has the small embedding of `wording`."""

    unet: nn.Module
    vae: nn.Module
    text: nn.Module
    wording: Wording


def export(path: Path, networks: Networks, sizes: Sizes, notes: Mapping[str, str]) -> int:
    """Write the model file; returns its size in bytes. `notes`: further `modelspec.*` fields."""
    tensors = original_tensors(networks, sizes)
    half = {name: tensor.detach().cpu().half().contiguous() for name, tensor in tensors.items()}
    wrong = [name for name, tensor in half.items() if not torch.isfinite(tensor).all()]
    if wrong:
        raise ValueError(f"{len(wrong)} tensors do not fit into fp16, such as {wrong[0]}.")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    save_file(half, part, metadata=_metadata(networks, sizes, notes))
    os.replace(part, path)
    return path.stat().st_size


def original_tensors(networks: Networks, sizes: Sizes) -> dict[str, Tensor]:
    """Every tensor under its name in original files."""
    unet_shape = UnetShape(
        in_channels=SD1.latent_channels,
        out_channels=SD1.latent_channels,
        channels=sizes.unet_channels,
        layers=sizes.unet_layers,
        attention=sizes.unet_attention,
        cross_dim=sizes.text_width,
        linear_projection=False,
    )
    vae_shape = VaeShape(3, SD1.latent_channels, sizes.vae_channels, sizes.vae_layers)
    tensors = _renamed(UNET_PREFIX, networks.unet, unet_keymap(unet_shape))
    for name, tensor in _renamed(VAE_PREFIX, networks.vae, vae_keymap(vae_shape)).items():
        # The original has 1x1 convolutions where diffusers has linear layers.
        is_linear = ".mid.attn_1." in name and tensor.ndim == 2
        tensors[name] = tensor[:, :, None, None] if is_linear else tensor
    for name, tensor in networks.text.named_parameters():
        tensor = networks.wording.full_embedding(tensor.detach()) if name == _EMBEDDING else tensor
        tensors[f"{TEXT_PREFIX}text_model.{name}"] = tensor
    return tensors


def _renamed(prefix: str, network: nn.Module, names: KeyMap) -> dict[str, Tensor]:
    return {prefix + str(names.to_original(name)): tensor for name, tensor in network.named_parameters()}


def _metadata(networks: Networks, sizes: Sizes, notes: Mapping[str, str]) -> dict[str, str]:
    matrix = fit_matrix(networks.vae, SD1.latent_scale, SD1.latent_factor)
    config: dict[str, Any] = {
        "unet": sizes.unet(),
        "vae": sizes.vae(),
        "text": sizes.text(),
        "prediction_type": SD1.prediction,
        "beta_schedule": "scaled_linear",
        "beta_start": SD1.beta_start,
        "beta_end": SD1.beta_end,
        "preview_rgb": [[round(value, 5) for value in row] for row in matrix.tolist()],
    }
    return {
        "format": "pt",
        "config": json.dumps(config),
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": "stable-diffusion-v1",
        "modelspec.implementation": "sgm",
        "modelspec.title": "miniature",
        "modelspec.resolution": f"{NATIVE}x{NATIVE}",
        "modelspec.prediction_type": SD1.prediction,
        "modelspec.date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        **{f"modelspec.{name}": value for name, value in notes.items()},
    }
