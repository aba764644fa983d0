"""Gradients through packed layers are those of the plain layers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from modules.engine.loading.packing import PackedConv2d, PackedLinear, forget_turned

CONVOLUTIONS = {
    "3x3": {"kernel_size": 3, "padding": 1},
    "1x1": {"kernel_size": 1},
    "strided": {"kernel_size": 3, "padding": 1, "stride": 2},
    "torus": {"kernel_size": 3, "padding": 1, "padding_mode": "circular"},
    "wide padding": {"kernel_size": 1, "padding": 1},
    "grouped": {"kernel_size": 3, "padding": 1, "groups": 2},
}


def gradient(layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
    given = x.clone().requires_grad_()
    answer = layer(given)
    (answer * torch.arange(answer.numel()).view_as(answer).to(answer) / answer.numel()).sum().backward()
    assert given.grad is not None
    return given.grad


@pytest.mark.parametrize("name", CONVOLUTIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_of_a_convolution(name: str, dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    plain = nn.Conv2d(8, 6, **CONVOLUTIONS[name]).to(dtype).requires_grad_(False)  # type: ignore[arg-type]
    packed = PackedConv2d(plain)
    tolerance = {"rtol": 1e-4, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 3e-2, "atol": 3e-2}
    for size in ((9, 7), (16, 16)):
        x = torch.randn(2, 8, *size).to(dtype)
        torch.testing.assert_close(gradient(packed, x), gradient(plain, x), **tolerance)  # type: ignore[arg-type]


def test_of_a_linear_layer() -> None:
    torch.manual_seed(1)
    plain = nn.Linear(8, 6).bfloat16().requires_grad_(False)
    x = torch.randn(2, 5, 8).bfloat16()
    torch.testing.assert_close(gradient(PackedLinear(plain), x), gradient(plain, x), rtol=2e-2, atol=2e-2)


def test_follow_a_change_of_the_weight() -> None:
    torch.manual_seed(1)
    plain, other = (nn.Conv2d(4, 4, 3, padding=1).requires_grad_(False) for _ in range(2))
    packed, x = PackedConv2d(plain), torch.randn(1, 4, 8, 8)
    gradient(packed, x)
    packed.load(other.weight.detach())
    torch.testing.assert_close(gradient(packed, x), gradient(other, x), rtol=1e-4, atol=1e-5)


def test_the_turned_weight_can_be_let_go() -> None:
    network = nn.Sequential(PackedConv2d(nn.Conv2d(4, 4, 3, padding=1).requires_grad_(False)))
    x = torch.randn(1, 4, 8, 8)
    before = gradient(network, x)
    forget_turned(network)
    assert network[0]._turned is None
    assert torch.equal(gradient(network, x), before)
