"""The small layers between matrix products, with gradients written by hand.

On a CPU in bf16 they run the compiled functions of `kernels.c`; everywhere else they are torch's own operators.
Pictures are channels-last in memory on the CPU, so a picture and its list of tokens are the same bytes.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from tools.miniature import kernels

_STRETCHES = 16  # of rows, each with its own sums, in layer_norm's gradient


def _compiled(x: Tensor) -> bool:
    return x.device.type == "cpu" and x.dtype == torch.bfloat16 and kernels.load() is not None


def group_norm(x: Tensor, norm: nn.GroupNorm, shift: Tensor | None = None, act: bool = True) -> Tensor:
    """Group normalisation of `x` [B,C,h,w] + `shift` [B,C] (a time embedding), then SiLU unless `act` is False."""
    if _compiled(x) and x.shape[1] <= kernels.MOST_CHANNELS:
        moved = None if shift is None else shift.float()
        return _GroupNorm.apply(x, moved, norm.weight.float(), norm.bias.float(), norm.num_groups, norm.eps, act)
    if shift is not None:
        x = x + shift[:, :, None, None]
    x = F.group_norm(x, norm.num_groups, norm.weight, norm.bias, norm.eps)
    return F.silu(x) if act else x


class _GroupNorm(Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, shift: Tensor | None, weight: Tensor, bias: Tensor, groups: int, eps: float, act: bool
    ) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        batch, channels = x.shape[:2]
        pixels = x.shape[2] * x.shape[3]
        y = torch.empty_like(x, memory_format=torch.channels_last)
        mean, rstd = torch.empty(2, batch, groups).unbind()
        shift = None if shift is None else shift.contiguous()
        sizes = (batch, pixels, channels, groups)
        kernels.call("group_norm", x, shift, weight, bias, y, mean, rstd, *sizes, float(eps), int(act))
        ctx.save_for_backward(x, shift, weight, bias, mean, rstd)
        ctx.sizes, ctx.act = sizes, act
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, shift, weight, bias, mean, rstd = ctx.saved_tensors
        dy = dy.contiguous(memory_format=torch.channels_last)
        batch, _, channels, _ = ctx.sizes
        dx = torch.empty_like(x, memory_format=torch.channels_last)
        dw, db, dshift = torch.empty(3, batch, channels).unbind()
        kernels.call(
            "group_norm_back", x, shift, dy, weight, bias, mean, rstd, dx, dw, db,
            None if shift is None else dshift, *ctx.sizes, int(ctx.act),
        )  # fmt: skip
        return dx, None if shift is None else dshift, dw.sum(0), db.sum(0), None, None, None


def layer_norm(x: Tensor, norm: nn.LayerNorm) -> Tensor:
    """Layer normalisation over the last dimension."""
    if _compiled(x):
        return _LayerNorm.apply(x, norm.weight.float(), norm.bias.float(), norm.eps)
    return F.layer_norm(x, norm.normalized_shape, norm.weight, norm.bias, norm.eps)


class _LayerNorm(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        x = x.contiguous()
        rows, width = x.numel() // x.shape[-1], x.shape[-1]
        y = torch.empty_like(x)
        mean, rstd = torch.empty(2, rows).unbind()
        kernels.call("layer_norm", x, weight, bias, y, mean, rstd, rows, width, float(eps))
        ctx.save_for_backward(x, weight, mean, rstd)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, rstd = ctx.saved_tensors
        rows, width = x.numel() // x.shape[-1], x.shape[-1]
        dx = torch.empty_like(x)
        dw, db = torch.empty(2, _STRETCHES, width).unbind()
        kernels.call("layer_norm_back", x, dy.contiguous(), weight, mean, rstd, dx, dw, db, rows, width, _STRETCHES)
        return dx, dw.sum(0), db.sum(0), None


def geglu(x: Tensor) -> Tensor:
    """First half of the last dimension times GELU of the second half (Shazeer 2020)."""
    if _compiled(x):
        return _Geglu.apply(x)
    value, gate = x.chunk(2, -1)
    return value * F.gelu(gate)


class _Geglu(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        x = x.contiguous()
        half = x.shape[-1] // 2
        y = x.new_empty((*x.shape[:-1], half))
        kernels.call("geglu", x, y, y.numel() // half, half)
        ctx.save_for_backward(x)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        dx = torch.empty_like(x)
        half = dy.shape[-1]
        kernels.call("geglu_back", x, dy.contiguous(), dx, dy.numel() // half, half)
        return dx


def attention(query: Tensor, key: Tensor, value: Tensor, causal: bool = False) -> Tensor:
    """Scaled dot-product attention: query [B,h,N,d], key and value [B,h,T,d] -> [B,h,N,d]."""
    if _compiled(query) and key.shape[2] <= kernels.LONGEST_ROW:
        scores = query @ key.transpose(2, 3)
        return _Softmax.apply(scores, query.shape[-1] ** -0.5, causal) @ value
    return F.scaled_dot_product_attention(query, key, value, is_causal=causal)


class _Softmax(Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor, scale: float, causal: bool) -> Tensor:
        scores = scores.contiguous()
        y = torch.empty_like(scores)
        width = scores.shape[-1]
        kernels.call("softmax", scores, y, scores.numel() // width, width, int(causal), scale)
        ctx.save_for_backward(y)
        ctx.scale = scale
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None, None]:
        (y,) = ctx.saved_tensors
        dx = torch.empty_like(y)
        width = y.shape[-1]
        kernels.call("softmax_back", y, dy.contiguous(), dx, y.numel() // width, width, ctx.scale)
        return dx, None, None
