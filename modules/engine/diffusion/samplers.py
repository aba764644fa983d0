"""Samplers over sigmas: each takes x from plan.sigmas[0] down to plan.sigmas[-1] and yields once a step.

The equations are those of Karras et al. 2022 (Euler, Heun, churn) and of the k-diffusion conventions that A1111's
pictures depend on: what an ancestral step is, and when noise is drawn. In the form used here an Euler step from sigma
to sigma_next is a line from x to the estimate: x_next = denoised + (x - denoised) * sigma_next / sigma.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from modules.engine.diffusion.sigmas import karras
from modules.engine.diffusion.steps import Denoise, Noise, Plan, SamplerOptions, Step

MAX_CHURN = math.sqrt(2) - 1


def ancestral_step(sigma: float, sigma_next: float, eta: float) -> tuple[float, float]:
    """(sigma to go down to, sigma of the noise to add) so that both together have the level `sigma_next`."""
    if not eta or not sigma_next:
        return sigma_next, 0.0
    up = eta * math.sqrt(sigma_next**2 * (sigma**2 - sigma_next**2) / sigma**2)
    up = min(sigma_next, up)
    return math.sqrt(max(sigma_next**2 - up**2, 0.0)), up


def toward(denoised: Tensor, x: Tensor, ratio: float) -> Tensor:
    """Euler's line: `denoised` at ratio 0, `x` at ratio 1."""
    return torch.lerp(denoised, x, ratio)


def slope(x: Tensor, denoised: Tensor, sigma: float) -> Tensor:
    """dx / dsigma at x."""
    return (x - denoised) / sigma


def with_noise(x: Tensor, noise: Noise, scale: float) -> Tensor:
    """x with a draw of `scale` added; nothing is drawn for 0."""
    return torch.add(x, noise.next(), alpha=scale) if scale else x


def _churn(x: Tensor, sigma: float, steps: int, options: SamplerOptions, noise: Noise) -> tuple[Tensor, float]:
    """Noise put back before a step (Karras et al. 2022, algorithm 2): (x, its new sigma)."""
    if not options.s_churn or not options.s_tmin <= sigma <= options.s_tmax:
        return x, sigma
    raised = sigma * (1 + min(options.s_churn / steps, MAX_CHURN))
    return with_noise(x, noise, options.s_noise * math.sqrt(raised**2 - sigma**2)), raised


def euler(denoise: Denoise, x: Tensor, plan: Plan, noise: Noise) -> Iterator[Step]:
    total = plan.total_steps
    for i, (sigma, sigma_next) in enumerate(plan.intervals, 1):
        x, raised = _churn(x, sigma, total, plan.options, noise)
        denoised = denoise(x, raised)
        x = toward(denoised, x, sigma_next / raised)
        yield Step(i, total, x, denoised, sigma)


def euler_ancestral(denoise: Denoise, x: Tensor, plan: Plan, noise: Noise) -> Iterator[Step]:
    total, options = plan.total_steps, plan.options
    for i, (sigma, sigma_next) in enumerate(plan.intervals, 1):
        denoised = denoise(x, sigma)
        down, up = ancestral_step(sigma, sigma_next, options.eta)
        x = with_noise(toward(denoised, x, down / sigma), noise, up * options.s_noise)
        yield Step(i, total, x, denoised, sigma)


def _heun_step(denoise: Denoise, x: Tensor, sigma: float, sigma_next: float) -> tuple[Tensor, Tensor]:
    """(x, newest estimate) after a step by the mean of the slopes at its two ends; Euler's into 0."""
    denoised = denoise(x, sigma)
    if not sigma_next:
        return denoised, denoised
    first = slope(x, denoised, sigma)
    end = torch.add(x, first, alpha=sigma_next - sigma)
    denoised = denoise(end, sigma_next)
    both = first.add_(slope(end, denoised, sigma_next))
    return torch.add(x, both, alpha=(sigma_next - sigma) / 2), denoised


def heun(denoise: Denoise, x: Tensor, plan: Plan, noise: Noise) -> Iterator[Step]:
    total = plan.total_steps
    for i, (sigma, sigma_next) in enumerate(plan.intervals, 1):
        x, raised = _churn(x, sigma, total, plan.options, noise)
        x, denoised = _heun_step(denoise, x, raised, sigma_next)
        yield Step(i, total, x, denoised, sigma)


def _midpoint_step(denoise: Denoise, x: Tensor, sigma: float, sigma_next: float) -> tuple[Tensor, Tensor]:
    """(x, newest estimate) after a step by the slope at the (geometric) middle; DPM-Solver-2, Lu et al. 2022."""
    denoised = denoise(x, sigma)
    if not sigma_next:
        return denoised, denoised
    middle = math.sqrt(sigma * sigma_next)
    half = toward(denoised, x, middle / sigma)
    denoised = denoise(half, middle)
    return torch.add(x, slope(half, denoised, middle), alpha=sigma_next - sigma), denoised


def dpm_2(denoise: Denoise, x: Tensor, plan: Plan, noise: Noise) -> Iterator[Step]:
    total = plan.total_steps
    for i, (sigma, sigma_next) in enumerate(plan.intervals, 1):
        x, raised = _churn(x, sigma, total, plan.options, noise)
        x, denoised = _midpoint_step(denoise, x, raised, sigma_next)
        yield Step(i, total, x, denoised, sigma)


def dpm_2_ancestral(denoise: Denoise, x: Tensor, plan: Plan, noise: Noise) -> Iterator[Step]:
    total, options = plan.total_steps, plan.options
    for i, (sigma, sigma_next) in enumerate(plan.intervals, 1):
        down, up = ancestral_step(sigma, sigma_next, options.eta)
        x, denoised = _midpoint_step(denoise, x, sigma, down)
        x = with_noise(x, noise, up * options.s_noise)
        yield Step(i, total, x, denoised, sigma)


def _adams_bashforth(levels: Sequence[float], start: float, end: float) -> list[float]:
    """Integral from start to end of each Lagrange polynomial over `levels` (at most 4 of them, distinct).

    Gauss's rule of two points is exact for them: their degree is at most 3.
    """
    half, middle = (end - start) / 2, (end + start) / 2
    nodes = (middle - half / math.sqrt(3), middle + half / math.sqrt(3))

    def basis(at: float, j: int) -> float:
        return math.prod((at - other) / (levels[j] - other) for k, other in enumerate(levels) if k != j)

    return [half * sum(basis(node, j) for node in nodes) for j in range(len(levels))]


def lms(denoise: Denoise, x: Tensor, plan: Plan, noise: Noise) -> Iterator[Step]:
    """Linear multistep of order 4: the slope is extrapolated from the last four."""
    total = plan.total_steps
    slopes: list[Tensor] = []
    for i, (sigma, sigma_next) in enumerate(plan.intervals, 1):
        denoised = denoise(x, sigma)
        slopes = [slope(x, denoised, sigma), *slopes[:3]]
        past = [plan.sigmas[i - 1 - k] for k in range(len(slopes))]
        for weight, direction in zip(_adams_bashforth(past, sigma, sigma_next), slopes, strict=True):
            x = torch.add(x, direction, alpha=weight)
        yield Step(i, total, x, denoised, sigma)


def restart_path(sigmas: Sequence[float]) -> list[tuple[float, float]]:
    """(from, to) of every step of Restart sampling (Xu et al. 2023), `len(sigmas) - 1` of them.

    From 20 steps on, a part of the steps is spent on going from sigma 2 to 0.1 again, after noise was added; the
    rest are a Karras schedule between the ends of `sigmas`. Below 20 steps `sigmas` are walked as they are.
    """
    steps = len(sigmas) - 1
    if steps < 20:
        return list(zip(sigmas[:-1], sigmas[1:], strict=True))
    length, times = (steps // 4, 2) if steps >= 36 else (9, 1)
    main = [*karras(steps - length * times, sigmas[-2], sigmas[0]), 0.0]
    path = list(zip(main[:-1], main[1:], strict=True))
    low = min(range(len(main)), key=lambda i: abs(main[i] - 0.1))
    high = min(range(len(main)), key=lambda i: abs(main[i] - 2.0))
    if not 0 < main[low] < main[high]:
        return path
    again = karras(length + 1, main[low], main[high])
    return path[:low] + list(zip(again[:-1], again[1:], strict=True)) * times + path[low:]


def restart(denoise: Denoise, x: Tensor, plan: Plan, noise: Noise) -> Iterator[Step]:
    reached = math.inf
    for i, (sigma, sigma_next) in enumerate(restart_path(plan.sigmas), 1):
        if sigma > reached:
            x = with_noise(x, noise, plan.options.s_noise * math.sqrt(sigma**2 - reached**2))
        x, denoised = _heun_step(denoise, x, sigma, sigma_next)
        reached = sigma_next
        yield Step(i, plan.total_steps, x, denoised, sigma)


LCM_TIMESTEPS = 50
LCM_SIGMA_DATA = 0.5
LCM_TIMESTEP_SCALE = 10.0


def lcm(denoise: Denoise, x: Tensor, plan: Plan, noise: Noise) -> Iterator[Step]:
    """Latent consistency models (Luo et al. 2023): jump to the estimate, put fresh noise of the next level on it.

    Such a model was distilled at every 20th timestep only. So it is asked at the nearest of these, with its input
    scaled to look alike; its noise prediction is then taken at the true sigma.
    """
    levels = plan.noise.levels
    stride = len(levels) // LCM_TIMESTEPS
    grid = range(stride - 1, len(levels), stride)
    for i, (sigma, sigma_next) in enumerate(plan.intervals, 1):
        log = math.log(sigma)
        t = min(grid, key=lambda step: abs(math.log(levels[step]) - log))
        known, tau = levels[t], t * LCM_TIMESTEP_SCALE
        scaled = x * math.sqrt((known**2 + 1) / (sigma**2 + 1))
        predicted = slope(scaled, denoise(scaled, known), known)
        spread = math.hypot(tau, LCM_SIGMA_DATA)
        denoised = torch.add(x, predicted, alpha=-sigma) * (tau / spread)
        denoised.add_(x, alpha=(LCM_SIGMA_DATA / spread) ** 2)
        x = with_noise(denoised, noise, sigma_next)
        yield Step(i, plan.total_steps, x, denoised, sigma)
