"""A start for the autoencoder at which it already codes each 8x8 block by its mean colour.

Mean colours run along the residual path: halvings average, doublings repeat, and the first channels carry each colour
twice with opposite signs, because silu(x) - silu(-x) = x, between constants that keep group normalisation from
scaling colour away. The residual blocks begin with nothing to add and learn the rest.
"""

from __future__ import annotations

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from torch import Tensor, nn

from tools.miniature import nets

ANCHOR = 3.0
_USED = 12  # channels: for each colour x, -x, ANCHOR, -ANCHOR
LANES = 16  # channels that pass unchanged at first
_COLOURS = 3


@torch.no_grad()
def start_linear(vae: AutoencoderKL, pictures: Tensor) -> None:
    """Set the weights of a new `vae`; `pictures` [B,3,H,W] in -1..1 decide the scale of the code."""
    lanes = min(LANES, vae.config["block_out_channels"][0])
    for half in (vae.encoder, vae.decoder):
        _carry(half, lanes)
    encoder, decoder = vae.encoder, vae.decoder
    _enter(encoder.conv_in, torch.eye(_COLOURS), torch.zeros(_COLOURS), lanes)
    _leave(encoder.conv_norm_out, encoder.conv_out, lanes, noise=0.3)
    _identity(vae.quant_conv, 4)
    _identity(vae.post_quant_conv, 4)
    codes = nets.encode(vae, pictures)
    matrix, mean = whitening(codes)
    into_quant(vae, matrix, mean, 1.0)
    _identity(vae.post_quant_conv, 4)
    codes = nets.encode(vae, pictures).movedim(1, -1).flatten(0, 2)
    wanted = nn.functional.avg_pool2d(pictures, 8).movedim(1, -1).flatten(0, 2)
    design = torch.cat([codes, torch.ones(len(codes), 1)], 1)
    solved = torch.linalg.lstsq(design, wanted).solution
    _enter(decoder.conv_in, solved[:-1].T, solved[-1], lanes)
    _leave(decoder.conv_norm_out, decoder.conv_out, lanes, noise=0.0)


def whitening(codes: Tensor) -> tuple[Tensor, Tensor]:
    """Matrix [4,4] and mean [4] that make codes [B,4,h,w] uncorrelated with mean 0 and variance 1 (ZCA)."""
    rows = codes.movedim(1, -1).flatten(0, 2).double()
    mean = rows.mean(0)
    values, vectors = torch.linalg.eigh(torch.cov((rows - mean).T))
    matrix = vectors @ torch.diag(values.clamp(min=1e-8).rsqrt()) @ vectors.T
    return matrix.float(), mean.float()


@torch.no_grad()
def into_quant(vae: AutoencoderKL, matrix: Tensor, mean: Tensor, scale: float) -> None:
    """Put `matrix` (code - `mean`) / `scale` into the quant convolution, its inverse into the other.

    The variance that the format also asks for becomes a constant near 0.
    """
    quant, post = vae.quant_conv, vae.post_quant_conv
    channels = len(mean)
    matrix = matrix / scale
    inverse = torch.linalg.inv(matrix.double()).float()
    weight, bias = quant.weight[:channels, :, 0, 0].clone(), quant.bias[:channels].clone()
    quant.weight.zero_()
    quant.weight[:channels, :, 0, 0] = matrix @ weight
    quant.bias.fill_(-12.0)
    quant.bias[:channels] = matrix @ (bias - mean)
    weight = post.weight[:, :, 0, 0].clone()
    post.weight[:, :, 0, 0] = weight @ inverse
    post.bias += weight @ mean


def _identity(conv: nn.Conv2d, channels: int) -> None:
    conv.weight.zero_()
    conv.bias.zero_()
    for k in range(channels):
        conv.weight[k, k, 0, 0] = 1


def _carry(half: nn.Module, lanes: int) -> None:
    """Let the first channels pass unchanged, and every residual block add nothing."""
    for name, layer in half.named_modules():
        if name.endswith("conv2"):
            layer.weight.mul_(0.1)
            layer.weight[:lanes] = 0
            layer.bias.zero_()
        elif name.endswith("conv_shortcut"):
            _pass(layer, lanes, [(0, 0, 1.0)])
        elif name.endswith("downsamplers.0.conv"):
            _pass(layer, lanes, [(y, x, 0.25) for y in (0, 1) for x in (0, 1)])
        elif name.endswith("upsamplers.0.conv"):
            _pass(layer, lanes, [(1, 1, 1.0)])
        elif name.endswith("to_out.0"):
            layer.weight.zero_()
            layer.bias.zero_()


def _pass(conv: nn.Conv2d, lanes: int, taps: list[tuple[int, int, float]]) -> None:
    conv.weight[:lanes] = 0
    conv.bias[:lanes] = 0
    for k in range(lanes):
        for y, x, value in taps:
            conv.weight[k, k, y, x] = value


def _enter(conv: nn.Conv2d, colours: Tensor, constant: Tensor, lanes: int) -> None:
    """`colours` [3, inputs]: what makes each colour from the inputs, at the middle of the kernel."""
    conv.weight[:lanes] = 0
    conv.bias[:lanes] = 0
    for k in range(_COLOURS):
        for lane, sign in ((4 * k, 1.0), (4 * k + 1, -1.0)):
            conv.weight[lane, :, 1, 1] = sign * colours[k]
            conv.bias[lane] = sign * constant[k]
        conv.bias[4 * k + 2], conv.bias[4 * k + 3] = ANCHOR, -ANCHOR


def _leave(norm: nn.GroupNorm, conv: nn.Conv2d, lanes: int, noise: float) -> None:
    """Colours back from the lanes; what comes out after them starts from the other channels, times `noise`."""
    width = norm.num_channels // norm.num_groups
    kinds = torch.tensor([1.0, 1.0, ANCHOR**2, ANCHOR**2] * _COLOURS + [0.0] * (norm.num_channels - _USED))
    kinds[lanes:] = 1.0
    variance = (kinds * torch.where(kinds == 1.0, 0.4, 1.0)).unflatten(0, (-1, width)).mean(1)
    norm.weight[:lanes] = variance.sqrt().repeat_interleave(width)[:lanes]
    conv.weight.mul_(noise)
    conv.bias.zero_()
    conv.weight[:_COLOURS] = 0
    for k in range(_COLOURS):
        conv.weight[k, 4 * k, 1, 1], conv.weight[k, 4 * k + 1, 1, 1] = 1.0, -1.0
