"""The fast layers against torch's own, values and gradients."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tools.miniature import fast, kernels

pytestmark = pytest.mark.skipif(kernels.load() is None, reason="no C compiler here, so there is nothing to compare")
TOLERANCE = 0.02  # of the largest value: bf16 keeps 8 bits


def _picture(*shape: int) -> Tensor:
    return torch.randn(*shape).bfloat16().contiguous(memory_format=torch.channels_last)


def _norm(layer: nn.GroupNorm | nn.LayerNorm) -> nn.GroupNorm | nn.LayerNorm:
    nn.init.normal_(layer.weight, 1, 0.3)
    nn.init.normal_(layer.bias, 0, 0.3)
    return layer


def _gradients(function: Callable[..., Tensor], *inputs: Tensor) -> list[Tensor]:
    """The value and the gradient of every input, float32."""
    leaves = [x.detach().clone().requires_grad_() for x in inputs]
    y = function(*leaves)
    y.backward(torch.linspace(-1, 1, y.numel()).view(y.shape).to(y.dtype))
    return [y.detach().float(), *(leaf.grad.float() for leaf in leaves if leaf.grad is not None)]


def _assert_alike(ours: list[Tensor], wanted: list[Tensor]) -> None:
    assert len(ours) == len(wanted)
    for a, b in zip(ours, wanted, strict=True):
        assert (a - b).abs().max() <= TOLERANCE * b.abs().max()


@pytest.mark.parametrize("act", [True, False])
def test_group_norm_with_a_shift(act: bool) -> None:
    torch.manual_seed(0)
    x, shift, norm = _picture(3, 32, 8, 6), torch.randn(3, 32), _norm(nn.GroupNorm(8, 32))

    def wanted(x: Tensor, shift: Tensor) -> Tensor:
        y = F.group_norm(x.float() + shift[:, :, None, None], 8, norm.weight, norm.bias)
        return F.silu(y) if act else y

    _assert_alike(
        _gradients(lambda x, s: fast.group_norm(x, norm, s, act), x, shift),
        _gradients(wanted, x, shift),
    )


def test_gradients_of_a_norms_own_weights() -> None:
    torch.manual_seed(1)
    x = _picture(4, 16, 8, 8)
    found = []
    for make in (lambda norm: fast.group_norm(x, norm), lambda norm: F.silu(norm(x.float().contiguous()))):
        norm = nn.GroupNorm(4, 16)
        make(norm).float().square().sum().backward()
        found.append([norm.weight.grad, norm.bias.grad])
    _assert_alike(*found)


def test_layer_norm() -> None:
    torch.manual_seed(2)
    x, norm = torch.randn(5, 7, 48).bfloat16(), _norm(nn.LayerNorm(48))
    _assert_alike(_gradients(lambda x: fast.layer_norm(x, norm), x), _gradients(lambda x: norm(x.float()), x))
    weight_gradient = norm.weight.grad / 2
    norm.weight.grad = None
    fast.layer_norm(x, norm).backward(torch.linspace(-1, 1, x.numel()).view(x.shape).bfloat16())
    assert (norm.weight.grad - weight_gradient).abs().max() <= TOLERANCE * weight_gradient.abs().max()


def test_geglu() -> None:
    torch.manual_seed(3)

    def wanted(x: Tensor) -> Tensor:
        value, gate = x.float().chunk(2, -1)
        return value * F.gelu(gate)

    x = torch.randn(40, 64).bfloat16() * 3
    _assert_alike(_gradients(fast.geglu, x), _gradients(wanted, x))


@pytest.mark.parametrize("causal", [True, False])
def test_attention(causal: bool) -> None:
    torch.manual_seed(4)
    parts = [torch.randn(2, 3, 20, 16).bfloat16() for _ in range(3)]

    def wanted(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q.float(), k.float(), v.float(), is_causal=causal)

    _assert_alike(_gradients(lambda q, k, v: fast.attention(q, k, v, causal), *parts), _gradients(wanted, *parts))


def test_the_compiled_functions_leave_the_smallest_numbers_alone() -> None:
    kernels.load()
    smallest = torch.tensor([2.0**-149])
    assert float(smallest * 1.0) == 2.0**-149
    assert sys.float_info.min / 2 > 0
