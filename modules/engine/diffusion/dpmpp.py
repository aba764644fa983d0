"""The DPM-Solver++ family (Lu et al. 2022b) and its stochastic forms, in the exponential-integrator form.

In half-log-SNR time t = -log(sigma) the linear part of the equation is solved exactly: over a step of length h,
x_next = exp(-h) x + (1 - exp(-h)) D, where exp(-h) = sigma_next / sigma and D is an extrapolated estimate. The
stochastic forms with noise strength eta go down by exp(-h (1 + eta)) instead and add noise.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from modules.engine.diffusion.samplers import ancestral_step, toward, with_noise
from modules.engine.diffusion.steps import Denoise, Noise, Plan, Step


def dpmpp_2m(denoise: Denoise, x: Tensor, plan: Plan, noise: Noise) -> Iterator[Step]:
    """Second order by the estimate of the step before."""
    total = plan.total_steps
    before: Tensor | None = None
    h_before = 0.0
    for i, (sigma, sigma_next) in enumerate(plan.intervals, 1):
        denoised = denoise(x, sigma)
        if not sigma_next:
            x = denoised
        else:
            h = math.log(sigma / sigma_next)
            ahead = denoised if before is None else torch.lerp(before, denoised, 1 + h / (2 * h_before))
            x, h_before = toward(ahead, x, sigma_next / sigma), h
        before = denoised
        yield Step(i, total, x, denoised, sigma)


def dpmpp_2s_ancestral(denoise: Denoise, x: Tensor, plan: Plan, noise: Noise) -> Iterator[Step]:
    """Second order by an estimate in the middle of the step, then ancestral noise."""
    total, options = plan.total_steps, plan.options
    for i, (sigma, sigma_next) in enumerate(plan.intervals, 1):
        denoised = denoise(x, sigma)
        down, up = ancestral_step(sigma, sigma_next, options.eta)
        if down:
            middle = math.sqrt(sigma * down)
            denoised = denoise(toward(denoised, x, middle / sigma), middle)
        x = with_noise(toward(denoised, x, down / sigma), noise, up * options.s_noise)
        yield Step(i, total, x, denoised, sigma)


def dpmpp_sde(denoise: Denoise, x: Tensor, plan: Plan, noise: Noise) -> Iterator[Step]:
    """As 2S, with noise from one Brownian path in the middle of the step as well as at its end."""
    total, options = plan.total_steps, plan.options
    path = noise.brownian(plan.sigma_min, plan.largest_sigma)
    for i, (sigma, sigma_next) in enumerate(plan.intervals, 1):
        denoised = denoise(x, sigma)
        down = 0.0
        up = 0.0
        if sigma_next:
            middle = math.sqrt(sigma * sigma_next)
            down, up = ancestral_step(sigma, middle, options.eta)
            half = toward(denoised, x, down / sigma)
            if up:
                half = torch.add(half, path(sigma, middle), alpha=up * options.s_noise)
            denoised = denoise(half, middle)
            down, up = ancestral_step(sigma, sigma_next, options.eta)
        x = toward(denoised, x, down / sigma)
        if up:
            x = torch.add(x, path(sigma, sigma_next), alpha=up * options.s_noise)
        yield Step(i, total, x, denoised, sigma)


def _stochastic(x: Tensor, denoised: Tensor, h: float, eta: float) -> Tensor:
    """The first-order part of a step: exp(-h (1 + eta)) x + (1 - exp(-h (1 + eta))) denoised."""
    return toward(denoised, x, math.exp(-h * (1 + eta)))


def _noise_level(sigma_next: float, h: float, eta: float) -> float:
    """Standard deviation of the noise that a step of length h adds."""
    return sigma_next * math.sqrt(-math.expm1(-2 * h * eta))


def _phi_2(h: float) -> float:
    return math.expm1(-h) / h + 1


def _dpmpp_2m_sde(denoise: Denoise, x: Tensor, plan: Plan, noise: Noise, *, heun: bool) -> Iterator[Step]:
    total, options = plan.total_steps, plan.options
    path = noise.brownian(plan.sigma_min, plan.largest_sigma)
    before: Tensor | None = None
    h_before = 0.0
    for i, (sigma, sigma_next) in enumerate(plan.intervals, 1):
        denoised = denoise(x, sigma)
        if not sigma_next:
            x = denoised
        else:
            h = math.log(sigma / sigma_next)
            x = _stochastic(x, denoised, h, options.eta)
            if before is not None:
                length = h * (1 + options.eta)
                weight = _phi_2(length) if heun else -0.5 * math.expm1(-length)
                x.add_(denoised - before, alpha=weight * h / h_before)
            if options.eta:
                x.add_(path(sigma, sigma_next), alpha=_noise_level(sigma_next, h, options.eta) * options.s_noise)
            h_before = h
        before = denoised
        yield Step(i, total, x, denoised, sigma)


def dpmpp_2m_sde(denoise: Denoise, x: Tensor, plan: Plan, noise: Noise) -> Iterator[Step]:
    """Stochastic 2M, midpoint form of the correction."""
    return _dpmpp_2m_sde(denoise, x, plan, noise, heun=False)


def dpmpp_2m_sde_heun(denoise: Denoise, x: Tensor, plan: Plan, noise: Noise) -> Iterator[Step]:
    """Stochastic 2M, Heun form of the correction."""
    return _dpmpp_2m_sde(denoise, x, plan, noise, heun=True)


def _second_order(x: Tensor, now: Tensor, past: list[tuple[Tensor, float]], h: float, length: float) -> None:
    """Add to x what one past estimate tells of the estimate's change."""
    (one, h_1), *_ = past
    x.add_(now - one, alpha=_phi_2(length) * h / h_1)


def _third_order(x: Tensor, now: Tensor, past: list[tuple[Tensor, float]], h: float, length: float) -> None:
    """Add to x what two past estimates tell of the estimate's change and its curvature."""
    (one, h_1), (two, h_2) = past
    r_0, r_1 = h_1 / h, h_2 / h
    late, early = (now - one) / r_0, (one - two) / r_1
    bend = (late - early) / (r_0 + r_1)
    phi_2 = _phi_2(length)
    x.add_(torch.add(late, bend, alpha=r_0), alpha=phi_2).sub_(bend, alpha=phi_2 / length - 0.5)


def dpmpp_3m_sde(denoise: Denoise, x: Tensor, plan: Plan, noise: Noise) -> Iterator[Step]:
    """Stochastic, third order by the estimates of the two steps before."""
    total, options = plan.total_steps, plan.options
    path = noise.brownian(plan.sigma_min, plan.largest_sigma)
    past: list[tuple[Tensor, float]] = []
    for i, (sigma, sigma_next) in enumerate(plan.intervals, 1):
        denoised = denoise(x, sigma)
        if not sigma_next:
            x = denoised
        else:
            h = math.log(sigma / sigma_next)
            length = h * (1 + options.eta)
            x = _stochastic(x, denoised, h, options.eta)
            if past:
                (_second_order if len(past) == 1 else _third_order)(x, denoised, past, h, length)
            if options.eta:
                x.add_(path(sigma, sigma_next), alpha=_noise_level(sigma_next, h, options.eta) * options.s_noise)
            past = [(denoised, h), *past[:1]]
        yield Step(i, total, x, denoised, sigma)
