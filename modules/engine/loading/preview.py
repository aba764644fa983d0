"""Latents to small RGB pictures by one matrix: cheap enough to look at a picture while it is drawn."""

from __future__ import annotations

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from torch import Tensor
from torch.nn import functional as F

_PICTURES, _CELLS, _CELL = 8, 4, 16


def as_pixels(picture: Tensor) -> Tensor:
    """RGB in -1..1, channels last, to uint8."""
    return picture.add(1).mul(127.5).round_().clamp_(0, 255).to(torch.uint8)


def preview(latents: Tensor, matrix: Tensor) -> Tensor:
    """uint8 [B,h,w,3] of latents [B,C,h,w] in the network's scale; `matrix` [C+1,3], its last row the constant."""
    pixels = latents.float().movedim(1, -1) @ matrix[:-1] + matrix[-1]
    return as_pixels(torch.nan_to_num(pixels))


def fit_matrix(vae: AutoencoderKL, scale: float, factor: int) -> Tensor:
    """The matrix [C+1,3] that best gives back random pictures' colours from their latents (least squares).

    For autoencoders with a latent space of their own. Deterministic; costs one small encoding.
    """
    weight = vae.encoder.conv_out.bias
    generator = torch.Generator().manual_seed(0)
    colours = torch.rand(_PICTURES, 3, _CELLS, _CELLS, generator=generator) * 2 - 1
    flat = F.interpolate(colours[: _PICTURES // 2], scale_factor=_CELL, mode="nearest")
    smooth = F.interpolate(colours[_PICTURES // 2 :], scale_factor=_CELL, mode="bilinear")
    pictures = torch.cat([flat, smooth])
    latents = vae.encode(pictures.to(weight.device, weight.dtype)).latent_dist.mode().float().cpu() * scale
    rows = latents.movedim(1, -1).flatten(0, 2)
    wanted = F.avg_pool2d(pictures, factor).movedim(1, -1).flatten(0, 2)
    constant = torch.ones(len(rows), 1)
    # A light ridge keeps the solution finite where latent channels say the same; it is far below the latents' size.
    design = torch.cat([torch.nan_to_num(rows), constant], 1)
    normal = design.T @ design + 1e-3 * torch.eye(design.shape[1])
    return torch.linalg.solve(normal, design.T @ wanted)
