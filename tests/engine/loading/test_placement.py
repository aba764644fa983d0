"""Devices, number formats and attention kernels: what is asked for is taken or refused with a sentence."""

from __future__ import annotations

import pytest
import torch

from modules.engine.loading.placement import fast_on_cpu, pick_device, resolve_precision, use_attention, vae_precision
from modules.schema.errors import BadRequest, SetupError
from tests.tiny import tiny_networks

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_auto_finds_a_device() -> None:
    assert pick_device("auto").type in ("cpu", "cuda", "mps")
    assert pick_device("cpu") == CPU


@pytest.mark.parametrize("name", ["cuda:99", "meta", "toaster", ""])
def test_devices_that_are_not_there(name: str) -> None:
    with pytest.raises(SetupError, match="auto"):
        pick_device(name)


def test_precision() -> None:
    assert resolve_precision("auto", CPU) == fast_on_cpu(torch.cpu.get_capabilities())
    assert fast_on_cpu({"amx_bf16": True}) == torch.bfloat16
    assert fast_on_cpu({"avx512_bf16": True, "amx_bf16": False}) == torch.float32
    assert resolve_precision("auto", CUDA) == torch.float16
    assert resolve_precision("bf16", CPU) == torch.bfloat16
    assert vae_precision(torch.bfloat16) == torch.float32
    assert vae_precision(torch.float16) == torch.float16
    with pytest.raises(BadRequest):
        resolve_precision("int8", CPU)


def test_attention() -> None:
    unet = tiny_networks()[0]
    use_attention(unet, "auto", CPU)
    use_attention(unet, "sdpa", CPU)
    with pytest.raises(SetupError, match="xformers"):
        use_attention(unet, "xformers", CPU)
    with pytest.raises(SetupError, match="unknown"):
        use_attention(unet, "magic", CPU)
