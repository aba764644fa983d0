"""Convolutions and linear layers whose weights lie in the layout that the CPU's matrix kernels want.

oneDNN otherwise rearranges a layer's weight on every call, which at small picture sizes costs more than the
multiplication itself. A packed layer holds only the rearranged weight (no second copy in RAM); `unpack` gives the
plain layers back, bit for bit. Weights are given, not learned: gradients pass through a layer to what it was fed
with, by the same kernels over the weight turned round (packed at the first gradient, kept until `forget_turned`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_ONE, _ZERO = (1, 1), (0, 0)
# From here on torch uses another channels-last kernel (its feature_map_threshold).
_SMALL_PICTURE = 1024
# diffusers' names of a decoder's ends.
_FIRST, _LAST = "conv_in", "conv_out"


class PackedConv2d(nn.Module):
    """A convolution over a packed weight; `padding_mode` may be "zeros" or "circular" as in `nn.Conv2d`."""

    def __init__(self, plain: nn.Conv2d) -> None:
        super().__init__()
        self.stride, self.padding, self.dilation = plain.stride, _pair(plain.padding), plain.dilation
        self.groups, self.padding_mode = plain.groups, plain.padding_mode
        self.in_channels, self.out_channels = plain.in_channels, plain.out_channels
        self.kernel_size = plain.kernel_size
        self.bias = plain.bias
        self.packed = plain.weight.detach()
        self._packed_for: torch.Size | None = None
        self._turned: Tensor | None = None
        self._turned_for: torch.Size | None = None

    def forward(self, x: Tensor) -> Tensor:
        # The best layout depends on the picture's size: rearranging once per new size beats doing so on each call.
        if x.shape[2:] != self._packed_for:
            self._pack_for(x)
        padding = self.padding
        if self.padding_mode == "circular" and any(padding):
            x = F.pad(x, (padding[1], padding[1], padding[0], padding[0]), mode="circular")
            padding = _ZERO
        if torch.is_grad_enabled() and x.requires_grad:
            return _Convolution.apply(x, self, padding)
        return self.convolve(x, padding)

    def convolve(self, x: Tensor, padding: tuple[int, int]) -> Tensor:
        """The convolution itself, with zeros around the picture."""
        return torch.ops.mkldnn._convolution_pointwise(
            x, self.packed, self.bias, padding, self.stride, self.dilation, self.groups, "none", [], ""
        )

    def convolve_back(self, gradient: Tensor, padding: tuple[int, int], shape: torch.Size) -> Tensor:
        """The gradient of what was convolved, of `shape`, from that of the result."""
        around = (self.kernel_size[0] - 1 - padding[0], self.kernel_size[1] - 1 - padding[1])
        simple = (self.stride, self.dilation, self.groups) == (_ONE, _ONE, 1)
        if not simple or min(around) < 0:
            picture = gradient.new_empty(1).expand(shape)
            rest = (self.stride, padding, self.dilation, False, _ZERO, self.groups, [True, False, False])
            return torch.ops.aten.convolution_backward(gradient, picture, self.dense(), None, *rest)[0]
        # With stride 1 it is a convolution again: of the gradient, with the mirrored and transposed weight.
        if self._turned is None or self._turned_for != gradient.shape[2:]:
            turned = self.dense().transpose(0, 1).flip(2, 3).contiguous()
            self._turned = torch.ops.mkldnn._reorder_convolution_weight(
                turned, around, _ONE, _ONE, 1, list(gradient.shape)
            )
            self._turned_for = gradient.shape[2:]
        return torch.ops.mkldnn._convolution_pointwise(
            gradient, self._turned, None, around, _ONE, _ONE, 1, "none", [], ""
        )

    def forget_turned(self) -> None:
        """Free what only gradients need."""
        self._turned = None

    def _pack_for(self, x: Tensor) -> None:
        self.packed = torch.ops.mkldnn._reorder_convolution_weight(
            _dense(self.packed), self.padding, self.stride, self.dilation, self.groups, list(x.shape)
        )
        self._packed_for = x.shape[2:]

    def dense(self) -> Tensor:
        """The weight in the ordinary layout; not to be written to."""
        return _dense(self.packed)

    def load(self, weight: Tensor) -> None:
        """Take another weight of the same shape and dtype; it is packed at the next call."""
        self.packed, self._packed_for, self._turned = weight, None, None

    def plain(self) -> nn.Conv2d:
        """The layer as it was before packing."""
        layer = nn.Conv2d(
            self.in_channels,
            self.out_channels,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
            bias=self.bias is not None,
            padding_mode=self.padding_mode,
            device="meta",
        )
        return _with_weights(layer, self.packed, self.bias)


class PackedLinear(nn.Module):
    """A linear layer over a packed weight."""

    def __init__(self, plain: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = plain.in_features, plain.out_features
        self.bias = plain.bias
        self.packed = torch.ops.mkldnn._reorder_linear_weight(plain.weight.detach(), None)
        self._turned: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled() and x.requires_grad:
            return _Linear.apply(x, self)
        return self.multiply(x)

    def multiply(self, x: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, self.packed, self.bias, "none", [], "")

    def multiply_back(self, gradient: Tensor) -> Tensor:
        """The gradient of what was multiplied, from that of the result."""
        if self._turned is None:
            self._turned = torch.ops.mkldnn._reorder_linear_weight(self.dense().t().contiguous(), None)
        return torch.ops.mkldnn._linear_pointwise(gradient.contiguous(), self._turned, None, "none", [], "")

    def forget_turned(self) -> None:
        """Free what only gradients need."""
        self._turned = None

    def dense(self) -> Tensor:
        """The weight in the ordinary layout; not to be written to."""
        return _dense(self.packed)

    def load(self, weight: Tensor) -> None:
        """Take another weight of the same shape and dtype."""
        self.packed, self._turned = torch.ops.mkldnn._reorder_linear_weight(weight, None), None

    def plain(self) -> nn.Linear:
        """The layer as it was before packing."""
        layer = nn.Linear(self.in_features, self.out_features, bias=self.bias is not None, device="meta")
        return _with_weights(layer, self.packed, self.bias)


class _Convolution(torch.autograd.Function):
    """A packed convolution as a function of its picture alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: PackedConv2d, padding: tuple[int, int]) -> Tensor:
        ctx.layer, ctx.padding, ctx.shape = layer, padding, x.shape
        return layer.convolve(x, padding)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return ctx.layer.convolve_back(gradients[0], ctx.padding, ctx.shape), None, None


class _Linear(torch.autograd.Function):
    """A packed linear layer as a function of what it is fed with alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: PackedLinear) -> Tensor:
        ctx.layer = layer
        return layer.multiply(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return ctx.layer.multiply_back(gradients[0]), None


class NarrowConv2d(nn.Module):
    """A packed convolution that multiplies in bf16 between pictures of fp32.

    `plain` gives the layer back in fp32 with the weights as they were rounded.
    """

    def __init__(self, plain: nn.Conv2d) -> None:
        super().__init__()
        self.inner = PackedConv2d(plain.to(torch.bfloat16))

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x.to(torch.bfloat16)).to(x.dtype)

    def plain(self) -> nn.Conv2d:
        return self.inner.plain().float()


class LaidOutGroupNorm(nn.Module):
    """Group normalisation in the layout that is quicker for a picture of this size.

    Packed convolutions give channels-last pictures, and a planar copy costs more than the normalisation itself. But
    the CPU's channels-last kernel for small pictures is slow in bf16 where a group has few channels; and it takes the
    variance as E[x^2] - E[x]^2, which for a group of one channel, constant over a flat picture, is all rounding.
    """

    def __init__(self, plain: nn.GroupNorm) -> None:
        super().__init__()
        self.inner = plain

    def forward(self, x: Tensor) -> Tensor:
        together = self.inner.num_channels // self.inner.num_groups
        small = x.dtype == torch.bfloat16 and together < 16 and x.shape[2:].numel() < _SMALL_PICTURE
        return self.inner(x.contiguous() if small or together == 1 else x)


def pack(network: nn.Module) -> None:
    """Pack the layers of `network` in place, for its present dtype."""
    _replace(network, _packed)


def narrow(decoder: nn.Module) -> None:
    """Make the inner convolutions of an autoencoder's fp32 `decoder` multiply in bf16, in place; `pack` afterwards.

    What runs through the decoder stays fp32, and so do the first convolution and the last, whose result is the
    picture itself: a picture in bf16 has 129 levels of grey in its brighter half, which shows as bands.
    """
    _replace(decoder, lambda layer: NarrowConv2d(layer) if _can_pack(layer) else None, spared=(_FIRST, _LAST))


def _replace(
    network: nn.Module, other: Callable[[nn.Module], nn.Module | None], spared: tuple[str, ...] = ()
) -> None:
    """Put `other(layer)` in the place of each layer for which it is not None; `spared`: names at the top."""
    for parent in list(network.modules()):
        for name, layer in list(parent.named_children()):
            replacement = None if parent is network and name in spared else other(layer)
            if replacement is not None:
                setattr(parent, name, replacement)


def _packed(layer: nn.Module) -> nn.Module | None:
    if _can_pack(layer):
        return PackedConv2d(layer)
    if type(layer) is nn.GroupNorm:
        return LaidOutGroupNorm(layer)
    # In fp32 the plain matrix product is as fast.
    if type(layer) is nn.Linear and layer.weight.dtype == torch.bfloat16:
        return PackedLinear(layer)
    return None


def _can_pack(layer: nn.Module) -> TypeGuard[nn.Conv2d]:
    return type(layer) is nn.Conv2d and isinstance(layer.padding, tuple)


def unpack(network: nn.Module) -> None:
    """Undo `pack`: plain layers with the very same weights."""
    _replace(network, _unpacked)


def _unpacked(layer: nn.Module) -> nn.Module | None:
    if isinstance(layer, LaidOutGroupNorm):
        return layer.inner
    return layer.plain() if isinstance(layer, PackedConv2d | PackedLinear | NarrowConv2d) else None


def forget_turned(network: nn.Module) -> None:
    """Free what the layers of `network` keep for gradients."""
    for layer in network.modules():
        if isinstance(layer, PackedConv2d | PackedLinear):
            layer.forget_turned()


def _pair(padding: str | tuple[int, ...]) -> tuple[int, int]:
    if isinstance(padding, str):
        raise TypeError("a convolution with named padding cannot be packed")
    return padding[0], padding[1]


def _with_weights(layer: nn.Conv2d | nn.Linear, packed: Tensor, bias: Tensor | None) -> nn.Conv2d | nn.Linear:
    layer.weight = nn.Parameter(_dense(packed), requires_grad=False)
    if bias is not None:
        layer.bias = nn.Parameter(bias.detach(), requires_grad=False)
    return layer


def _dense(weight: Tensor) -> Tensor:
    return weight.to_dense() if weight.is_mkldnn else weight
