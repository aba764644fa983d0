"""Inpainting by wrapping: what the mask does not give free is the original again after every estimate.

Masks are float32 [1,1,h,w] in latent pixels; 1 is drawn anew, 0 is kept, and what lies between is mixed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from modules.engine.diffusion.steps import Denoise

Blend = Callable[[Tensor, Tensor, float], Tensor]
"""(original latents, estimate, sigma) -> what is gone on with."""


class Masked:
    """`denoise` whose every estimate is blended with the `original` latents [B,C,h,w]."""

    def __init__(self, denoise: Denoise, original: Tensor, blend: Blend) -> None:
        self._denoise = denoise
        self._original = original
        self._blend = blend

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        return self._blend(self._original, self._denoise(x, sigma), sigma)

    def both(self, x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        """For CFG++: the guided estimate and the negative prompt's, both blended."""
        guided, uncond = self._denoise.both(x, sigma)
        return self._blend(self._original, guided, sigma), self._blend(self._original, uncond, sigma)


@dataclass(frozen=True, eq=False)
class Mix:
    """A straight mix by the mask, at every noise level alike."""

    mask: Tensor

    def __call__(self, original: Tensor, estimate: Tensor, sigma: float) -> Tensor:
        return torch.lerp(original, estimate, self.mask.to(estimate.device))


@dataclass(frozen=True, eq=False)
class SoftMix:
    """A1111's soft inpainting: the mix depends on the noise level, and keeps the vectors' lengths.

    The share of the estimate is mask ** (sigma ** bias * strength): at high noise levels half-masked places are kept.
    A mix of two latents is shorter than both, which would look flat; its length is set to the p-norm mix of theirs.
    """

    mask: Tensor
    bias: float
    strength: float
    p: float

    def __call__(self, original: Tensor, estimate: Tensor, sigma: float) -> Tensor:
        share = self.mask.float().to(estimate.device) ** (max(sigma, 0.0) ** self.bias * self.strength)
        before, after = original.float(), estimate.float()
        mixed = torch.lerp(before, after, share)
        lengths = (_length(before) ** self.p * (1 - share) + _length(after) ** self.p * share) ** (1 / self.p)
        return (mixed * (lengths / (_length(mixed) + 1e-4))).to(estimate.dtype)


def _length(latents: Tensor) -> Tensor:
    """Length of each latent pixel's vector, [B,1,h,w]."""
    return torch.linalg.vector_norm(latents, dim=1, keepdim=True)
