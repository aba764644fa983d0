"""Samplers over trained timesteps, in the variance-preserving scale x_t = sqrt(a) x0 + sqrt(1 - a) noise.

They ask the same `denoise` as all others, which wants the scale x / sqrt(a). Each pair of neighbouring timesteps is
one step; the last ends at timestep 1, not at a clean latent, as in A1111.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from modules.engine.diffusion.samplers import with_noise
from modules.engine.diffusion.steps import Denoise, Noise, Plan, Step


def ddim_timesteps(steps: int, count: int = 1000) -> tuple[int, ...]:
    """Falling timesteps: every (count // steps)th of the training's, plus one; `steps` or `steps` + 1 of them.

    A single step would have no pair to go between: it goes from the last timestep to the first.
    """
    rising = [min(t + 1, count - 1) for t in range(0, count, max(count // steps, 1))]
    return tuple(reversed(rising)) if len(rising) > 1 else (count - 1, 1)


def _pairs(plan: Plan) -> list[tuple[float, float]]:
    """(sigma, next sigma) of every step."""
    levels = [plan.noise.levels[t] for t in plan.timesteps]
    return list(zip(levels[:-1], levels[1:], strict=True))


def root_alpha(sigma: float) -> float:
    """sqrt(a) of a noise level: the scale of the picture in the variance-preserving form."""
    return 1 / math.sqrt(1 + sigma * sigma)


def _noise_share(sigma: float, sigma_next: float, eta: float) -> float:
    """Standard deviation of the fresh noise of a DDIM step (Song et al. 2021, equation 16)."""
    a, a_next = root_alpha(sigma) ** 2, root_alpha(sigma_next) ** 2
    return eta * math.sqrt((1 - a_next) / (1 - a) * (1 - a / a_next))


def _predicted_noise(x: Tensor, denoised: Tensor, sigma: float) -> Tensor:
    """The noise in x, of unit variance, that goes with an estimate."""
    return torch.add(x * (1 / root_alpha(sigma)), denoised, alpha=-1).div_(sigma)


def _ddim_step(denoised: Tensor, eps: Tensor, sigma_next: float, fresh: float = 0.0) -> Tensor:
    """The latent at sigma_next from an estimate, a direction and room for `fresh` noise (equation 12)."""
    root = root_alpha(sigma_next)
    direction = math.sqrt(max(1 - root**2 - fresh**2, 0.0))
    return torch.add(denoised * root, eps, alpha=direction)


def ddim(denoise: Denoise, x: Tensor, plan: Plan, noise: Noise) -> Iterator[Step]:
    """Song et al. 2021; eta 0 is deterministic, eta 1 is DDPM."""
    for i, (sigma, sigma_next) in enumerate(_pairs(plan), 1):
        denoised = denoise(x * (1 / root_alpha(sigma)), sigma)
        fresh = _noise_share(sigma, sigma_next, plan.options.eta)
        eps = _predicted_noise(x, denoised, sigma)
        x = with_noise(_ddim_step(denoised, eps, sigma_next, fresh), noise, fresh)
        yield Step(i, plan.total_steps, x, denoised, sigma)


def ddim_cfgpp(denoise: Denoise, x: Tensor, plan: Plan, noise: Noise) -> Iterator[Step]:
    """CFG++ (Chung et al. 2024): the estimate is guided, the direction back is the negative prompt's."""
    for i, (sigma, sigma_next) in enumerate(_pairs(plan), 1):
        denoised, unguided = denoise.both(x * (1 / root_alpha(sigma)), sigma)
        fresh = _noise_share(sigma, sigma_next, plan.options.eta)
        eps = _predicted_noise(x, unguided, sigma)
        x = with_noise(_ddim_step(denoised, eps, sigma_next, fresh), noise, fresh)
        yield Step(i, plan.total_steps, x, denoised, sigma)


_PLMS_WEIGHTS = ((1.0,), (3 / 2, -1 / 2), (23 / 12, -16 / 12, 5 / 12), (55 / 24, -59 / 24, 37 / 24, -9 / 24))


def plms(denoise: Denoise, x: Tensor, plan: Plan, noise: Noise) -> Iterator[Step]:
    """Pseudo linear multistep (Liu et al. 2022): DDIM by noise extrapolated from the last four; the first step is
    an improved Euler step, of two model calls."""

    def predicted(x: Tensor, sigma: float) -> Tensor:
        return _predicted_noise(x, denoise(x * (1 / root_alpha(sigma)), sigma), sigma)

    def transfer(x: Tensor, eps: Tensor, sigma: float, sigma_next: float) -> tuple[Tensor, Tensor]:
        estimate = torch.add(x * (1 / root_alpha(sigma)), eps, alpha=-sigma)
        return _ddim_step(estimate, eps, sigma_next), estimate

    past: list[Tensor] = []
    for i, (sigma, sigma_next) in enumerate(_pairs(plan), 1):
        now = predicted(x, sigma)
        past = [now, *past[:3]]
        if len(past) == 1:
            eps = (now + predicted(transfer(x, now, sigma, sigma_next)[0], sigma_next)) / 2
        else:
            weights = _PLMS_WEIGHTS[len(past) - 1]
            eps = now * weights[0]
            for weight, older in zip(weights[1:], past[1:], strict=True):
                eps.add_(older, alpha=weight)
        x, denoised = transfer(x, eps, sigma, sigma_next)
        yield Step(i, plan.total_steps, x, denoised, sigma)
