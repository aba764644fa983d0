"""Networks from parts: built without memory (on the meta device), then given the file's tensors one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn
from transformers.models.clip.configuration_clip import CLIPTextConfig
from transformers.models.clip.modeling_clip import CLIPTextModel

from modules.engine.loading.part import Part
from modules.engine.loading.shapes import Mismatch

Network = TypeVar("Network", bound=nn.Module)


def build_unet(part: Part, dtype: torch.dtype, device: torch.device) -> UNet2DConditionModel:
    """Raises `Mismatch` when the tensors do not fit."""
    return _build(lambda: UNet2DConditionModel(**part.config), part, dtype, device)


def build_vae(part: Part, dtype: torch.dtype, device: torch.device) -> AutoencoderKL:
    """Raises `Mismatch` when the tensors do not fit."""
    return _build(lambda: AutoencoderKL(**part.config), part, dtype, device)


def build_text(part: Part, dtype: torch.dtype, device: torch.device) -> CLIPTextModel:
    """Raises `Mismatch` when the tensors do not fit."""
    text = _build(lambda: CLIPTextModel(CLIPTextConfig(**part.config)), part, dtype, device)
    positions = torch.arange(text.config.max_position_embeddings, device=device)
    # The one buffer that no file holds.
    text.embeddings.position_ids = nn.Buffer(positions.expand((1, -1)), persistent=False)
    return text


def _build(make: Callable[[], Network], part: Part, dtype: torch.dtype, device: torch.device) -> Network:
    with torch.device("meta"), _sized(part):
        network = make()
    _check_names(network, part)
    state = {name: _fitting(part, name, slot.shape, dtype, device) for name, slot in network.named_parameters()}
    network.load_state_dict(state, assign=True)
    return network.requires_grad_(False).eval()


@contextmanager
def _sized(part: Part) -> Iterator[None]:
    """The libraries answer impossible sizes with these errors."""
    try:
        yield
    except (ValueError, TypeError, RuntimeError, NotImplementedError, ZeroDivisionError) as error:
        raise Mismatch(f"has a {part.what} of sizes that make no network ({error})") from None


def _check_names(network: nn.Module, part: Part) -> None:
    expected = {name for name, _ in network.named_parameters()}
    missing = sorted(expected - part.names.keys())
    if missing:
        raise Mismatch(f"has no complete {part.what}: {len(missing)} tensors are missing, such as {missing[0]}")
    unknown = sorted(part.names[name] for name in part.names.keys() - expected)
    if unknown:
        raise Mismatch(f"has a {part.what} with {len(unknown)} tensors too many, such as {unknown[0]}")


def _fitting(part: Part, name: str, shape: torch.Size, dtype: torch.dtype, device: torch.device) -> Tensor:
    """One tensor in the network's shape: 1x1 convolutions and linear layers differ by two dimensions of 1 only."""
    stored = part.names[name]
    # Convolutions are packed on the CPU, so they are copied even where the number format stays.
    stays = device.type == "cpu" and len(shape) != 4
    tensor = part.file.get(stored, keep_as=dtype if stays else None)
    if not tensor.is_floating_point():
        raise Mismatch(f"has whole numbers where weights belong, in the tensor {stored}")
    if tensor.ndim == 4 and len(shape) == 2 and tensor.shape[2:] == (1, 1):
        tensor = tensor[:, :, 0, 0]
    if tensor.shape != shape:
        raise Mismatch(f"has the tensor {stored} in the shape {tuple(tensor.shape)} instead of {tuple(shape)}")
    layout = torch.channels_last if tensor.ndim == 4 and device.type == "cuda" else torch.preserve_format
    return tensor.to(device=device, dtype=dtype, memory_format=layout)
