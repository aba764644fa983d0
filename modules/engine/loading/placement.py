"""Where a model runs, in which number format, and with which attention kernel."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Literal

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

from modules.schema.errors import BadRequest, SetupError

Precision = Literal["auto", "fp32", "bf16", "fp16"]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def pick_device(setting: str) -> torch.device:
    """The device of "auto" (CUDA, else Apple's, else the CPU) or of a name such as "cuda:1".

    Raises `SetupError` when the device asked for is not there.
    """
    if setting == "auto":
        kinds = (("cuda", torch.cuda.is_available()), ("mps", torch.backends.mps.is_available()))
        return torch.device(next((kind for kind, there in kinds if there), "cpu"))
    try:
        device = torch.device(setting)
    except RuntimeError:
        raise SetupError(f"The device {setting!r} is unknown; use auto, cpu, cuda, cuda:1 or mps.") from None
    if not _is_there(device):
        raise SetupError(f"The device {setting} is not there on this machine; use auto or cpu.")
    return device


def _is_there(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count()
    return device.type == "cpu" or (device.type == "mps" and torch.backends.mps.is_available())


def resolve_precision(setting: str, device: torch.device) -> torch.dtype:
    """The number format of the UNet, unless asked for otherwise: fp16 on GPUs; on CPUs bf16 where they multiply
    matrices of it (docs/benchmarks.md has the measurement), else fp32.

    Raises `BadRequest` for unknown names.
    """
    if setting == "auto":
        return fast_on_cpu(torch.cpu.get_capabilities()) if device.type == "cpu" else torch.float16
    if setting not in DTYPES:
        raise BadRequest(f"The precision {setting!r} is unknown; use auto, fp32, bf16 or fp16.", "precision")
    return DTYPES[setting]


def fast_on_cpu(capabilities: Mapping[str, object]) -> torch.dtype:
    """bf16 on a CPU with matrix instructions for it (`torch.cpu.get_capabilities`), else fp32."""
    return torch.bfloat16 if capabilities.get("amx_bf16") else torch.float32


def vae_precision(dtype: torch.dtype) -> torch.dtype:
    """The autoencoder's format beside a UNet in `dtype`: bf16 has too few digits for a smooth picture."""
    return torch.float32 if dtype == torch.bfloat16 else dtype


def text_precision(dtype: torch.dtype, device: torch.device) -> torch.dtype:
    """The text encoder's format: it runs once a picture, so a CPU spends the time on exactness."""
    return torch.float32 if device.type == "cpu" else dtype


def use_attention(unet: UNet2DConditionModel, setting: str, device: torch.device) -> None:
    """Choose the attention kernels: "auto" and "sdpa" are torch's own, "xformers" must be installed and needs CUDA.

    Raises `SetupError` when xformers is chosen and cannot be used.
    """
    if setting in ("auto", "sdpa"):
        return
    if setting != "xformers":
        raise SetupError(f"The attention {setting!r} is unknown; use auto, sdpa or xformers.")
    if importlib.util.find_spec("xformers") is None:
        raise SetupError("xformers is chosen for attention but not installed; choose auto or install it.")
    if device.type != "cuda":
        raise SetupError("xformers is chosen for attention but works on NVIDIA GPUs only; choose auto.")
    unet.enable_xformers_memory_efficient_attention()
