"""What a network predicts, turned into an estimate of the clean picture; samplers never learn which it was."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from modules.engine.diffusion.schedule import NoiseSchedule

Prediction = Literal["epsilon", "v"]
Network = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(x [B,C,h,w] of unit variance, t [B], cross [B,T,D]) -> raw output [B,C,h,w]."""
Estimate = Callable[[Tensor, float, Tensor], Tensor]
"""(x [B,C,h,w] with noise of level sigma, sigma, cross [B,T,D]) -> x0 [B,C,h,w]."""


def denoiser(
    network: Network, schedule: NoiseSchedule, prediction: Prediction, quantize: bool = False
) -> Callable[[Tensor, float, Tensor], Tensor]:
    """An `Estimate` made from `network`.

    epsilon: x0 = x - sigma * eps. v (Salimans & Ho 2022): x0 = x / (sigma^2 + 1) - v * sigma / sqrt(sigma^2 + 1). The
    network sees x / sqrt(sigma^2 + 1) and the timestep of sigma, rounded to a trained one with `quantize`.
    """

    def epsilon(x: Tensor, sigma: float, cross: Tensor) -> Tensor:
        return torch.add(x, call(x, sigma, cross), alpha=-sigma)

    def velocity(x: Tensor, sigma: float, cross: Tensor) -> Tensor:
        variance = sigma * sigma + 1
        return torch.add(x * (1 / variance), call(x, sigma, cross), alpha=-sigma / math.sqrt(variance))

    def call(x: Tensor, sigma: float, cross: Tensor) -> Tensor:
        t = x.new_full((x.shape[0],), schedule.sigma_to_t(sigma, quantize))
        return network(x * (1 / math.sqrt(sigma * sigma + 1)), t, cross)

    return {"epsilon": epsilon, "v": velocity}[prediction]
