"""Packed layers: the same numbers as the plain ones, at any size, and undone bit for bit."""

import copy

import pytest
import torch
from torch import nn

from modules.engine.loading.packing import (
    LaidOutGroupNorm,
    NarrowConv2d,
    PackedConv2d,
    PackedLinear,
    narrow,
    pack,
    unpack,
)


class Block(nn.Module):
    def __init__(self, padding_mode: str = "zeros") -> None:
        super().__init__()
        self.first = nn.Conv2d(4, 32, 3, padding=1, padding_mode=padding_mode)
        self.norm = nn.GroupNorm(8, 32)
        self.down = nn.Conv2d(32, 32, 3, stride=2, padding=1)
        self.nested = nn.Sequential(nn.Conv2d(32, 16, 1, bias=False))
        self.linear = nn.Linear(16, 24)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.nested(self.down(self.norm(self.first(x))))
        return self.linear(x.flatten(2).transpose(1, 2))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 3e-2)])
@pytest.mark.parametrize("padding_mode", ["zeros", "circular"])
@torch.inference_mode()
def test_same_numbers_at_every_size(dtype: torch.dtype, tolerance: float, padding_mode: str) -> None:
    torch.manual_seed(1)
    plain = Block(padding_mode).to(dtype)
    packed = copy.deepcopy(plain)
    pack(packed)
    for size in ((2, 4, 16, 16), (1, 4, 16, 16), (1, 4, 8, 24), (2, 4, 16, 16)):
        x = torch.randn(size, dtype=dtype)
        torch.testing.assert_close(packed(x), plain(x), atol=tolerance, rtol=tolerance)


@torch.inference_mode()
def test_every_kind_of_layer_is_packed_and_given_back_bit_for_bit() -> None:
    plain = Block().to(torch.bfloat16)
    packed = copy.deepcopy(plain)
    pack(packed)
    kinds = {type(layer) for layer in packed.modules()}
    assert {PackedConv2d, PackedLinear, LaidOutGroupNorm} <= kinds
    packed(torch.randn(1, 4, 8, 8, dtype=torch.bfloat16))
    packed(torch.randn(1, 4, 16, 8, dtype=torch.bfloat16))
    unpack(packed)
    assert {type(layer) for layer in packed.modules()} == {type(layer) for layer in plain.modules()}
    for name, weight in plain.state_dict().items():
        assert torch.equal(weight, packed.state_dict()[name]), name


@torch.inference_mode()
def test_no_second_copy_of_the_weight_is_kept() -> None:
    layer = PackedConv2d(nn.Conv2d(64, 64, 3, padding=1))
    layer(torch.randn(1, 64, 16, 16))
    assert layer.packed.is_mkldnn
    assert sum(p.numel() for p in layer.parameters()) == 64


class Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(4, 32, 3, padding=1)
        self.block = Block()
        self.conv_out = nn.Conv2d(32, 3, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv_out(self.block.norm(self.block.down(self.conv_in(x))))


@torch.inference_mode()
def test_a_narrow_decoder_multiplies_in_bf16_between_fp32_ends() -> None:
    torch.manual_seed(2)
    plain = Decoder()
    narrowed = copy.deepcopy(plain)
    narrow(narrowed)
    pack(narrowed)
    assert (type(narrowed.conv_in), type(narrowed.conv_out)) == (PackedConv2d, PackedConv2d)
    assert isinstance(narrowed.block.down, NarrowConv2d)
    x = torch.randn(1, 4, 64, 64)
    drawn, exact = narrowed(x), plain(x)
    assert drawn.dtype == torch.float32
    assert 0 < float((drawn - exact).abs().max()) < 2e-2
    assert drawn.unique().numel() > 0.9 * drawn.numel()  # all in bf16 would leave some hundreds of values
    unpack(narrowed)
    assert type(narrowed.block.down) is nn.Conv2d
    assert torch.equal(narrowed.block.down.weight, plain.block.down.weight.bfloat16().float())
    assert torch.equal(narrowed.conv_out.weight, plain.conv_out.weight)


@pytest.mark.parametrize("size", [(2, 64, 8, 8), (1, 64, 16, 16), (1, 64, 40, 40)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.inference_mode()
def test_a_norm_gives_the_same_in_either_layout(size: tuple[int, ...], dtype: torch.dtype) -> None:
    torch.manual_seed(3)
    plain = nn.GroupNorm(16, 64).to(dtype)
    x = torch.randn(size).to(dtype)
    laid_out = LaidOutGroupNorm(plain)(x.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(laid_out, plain(x), atol=1e-5 if dtype == torch.float32 else 2e-2, rtol=1e-2)
