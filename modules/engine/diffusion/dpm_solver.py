"""DPM-Solver (Lu et al. 2022): single steps of order 1 to 3 in t = -log(sigma); a fixed and an adaptive walk.

Both walks go from the first sigma to the smallest above 0 and stop there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from modules.engine.diffusion.samplers import ancestral_step, slope, with_noise
from modules.engine.diffusion.steps import Denoise, Noise, Plan, Step


class _SingleStep:
    """The steps of order 1, 2 and 3 that start at x and sigma; they share their model calls."""

    def __init__(self, denoise: Denoise, x: Tensor, sigma: float) -> None:
        self._denoise, self._x, self._sigma = denoise, x, sigma
        self.denoised = denoise(x, sigma)
        self._eps = slope(x, self.denoised, sigma)
        self._inner: dict[float, Tensor] = {}

    def _level(self, h: float, part: float) -> float:
        return self._sigma * math.exp(-part * h)

    def first(self, h: float, part: float = 1.0) -> Tensor:
        """x after `part` of a step of length h, by the noise at its start."""
        return torch.add(self._x, self._eps, alpha=-self._level(h, part) * math.expm1(part * h))

    def _change(self, h: float, part: float, at: Tensor) -> Tensor:
        """How the predicted noise differs at `at`, which lies `part` of the way; one call for each part."""
        if part not in self._inner:
            level = self._level(h, part)
            self.denoised = self._denoise(at, level)
            self._inner[part] = slope(at, self.denoised, level) - self._eps
        return self._inner[part]

    def second(self, h: float, r: float = 0.5) -> Tensor:
        change = self._change(h, r, self.first(h, r))
        return self.first(h).sub_(change, alpha=self._level(h, 1) * math.expm1(h) / (2 * r))

    def third(self, h: float, r_1: float = 1 / 3, r_2: float = 2 / 3) -> Tensor:
        early = self._change(h, r_1, self.first(h, r_1))
        bend = (math.expm1(r_2 * h) / (r_2 * h) - 1) * r_2 / r_1
        inner = self.first(h, r_2).sub_(early, alpha=self._level(h, r_2) * bend)
        late = self._change(h, r_2, inner)
        return self.first(h).sub_(late, alpha=self._level(h, 1) / r_2 * (math.expm1(h) / h - 1))

    def of_order(self, order: int, h: float) -> Tensor:
        return (self.first, self.second, self.third)[order - 1](h)


def _down_and_up(sigma: float, sigma_next: float, sigma_end: float, eta: float) -> tuple[float, float]:
    """An ancestral step that never goes below `sigma_end`: (sigma to go down to, sigma of the noise to add)."""
    down = max(ancestral_step(sigma, sigma_next, eta)[0], sigma_end)
    return down, math.sqrt(max(sigma_next**2 - down**2, 0.0))


def fast_orders(calls: int) -> list[int]:
    """Orders of the steps that spend `calls` model calls: threes, and lower ones at the end."""
    rest = calls % 3
    return [3] * (calls // 3 - 1) + [2, 1] if rest == 0 else [3] * (calls // 3) + [rest]


def dpm_fast(denoise: Denoise, x: Tensor, plan: Plan, noise: Noise) -> Iterator[Step]:
    """DPM-Solver-fast: as many model calls as steps were asked for, evenly spaced in log sigma."""
    start, end, options = plan.sigmas[0], plan.sigma_min, plan.options
    orders = fast_orders(plan.total_calls)
    stride = math.log(start / end) / len(orders)
    sigma = start
    for i, order in enumerate(orders, 1):
        sigma_next = end if i == len(orders) else start * math.exp(-stride * i)
        down, up = _down_and_up(sigma, sigma_next, end, options.eta)
        solver = _SingleStep(denoise, x, sigma)
        x = with_noise(solver.of_order(order, math.log(sigma / down)), noise, up * options.s_noise)
        yield Step(i, plan.total_steps, x, solver.denoised, sigma)
        sigma = sigma_next


class _StepSize:
    """Chooses the length of the next step from the error of the last; an integral controller (k-diffusion's PID)."""

    def __init__(self, length: float, order: float, safety: float = 0.81) -> None:
        self.length = length
        self._power = 1 / order
        self._safety = safety

    def accepts(self, error: float) -> bool:
        """Whether a step of that error (1 is what is tolerated) may stand; sets the next length either way."""
        factor = 1 + math.atan((1 / (error + 1e-8)) ** self._power - 1)
        self.length *= factor
        return factor >= self._safety


RELATIVE_TOLERANCE = 0.05
ABSOLUTE_TOLERANCE = 0.0078


def _error(low: Tensor, high: Tensor, last: Tensor) -> float:
    """Root mean square difference of two orders in units of what is tolerated."""
    tolerated = torch.maximum(low.abs(), last.abs()).mul_(RELATIVE_TOLERANCE).clamp_(min=ABSOLUTE_TOLERANCE)
    return ((low - high) / tolerated).square_().mean().sqrt().item()


def dpm_adaptive(denoise: Denoise, x: Tensor, plan: Plan, noise: Noise) -> Iterator[Step]:
    """DPM-Solver-12/23 with the step size chosen by the error: yields for every try, refused ones too.

    The number of steps is not known beforehand; `Step.total` is an estimate from the way that lies behind.
    """
    start, end, options = plan.sigmas[0], plan.sigma_min, plan.options
    size = _StepSize(0.05, 1.5 if options.eta else 3)
    sigma, last, tries, way = start, x, 0, math.log(start / end)
    if way <= 1e-5:  # a low denoising strength can leave nothing of the way
        yield Step(1, 1, x, denoise(x, start), start)
    while math.log(sigma / end) > 1e-5:
        sigma_next = max(sigma * math.exp(-size.length), end)
        down, up = _down_and_up(sigma, sigma_next, end, options.eta)
        solver, h, began = _SingleStep(denoise, x, sigma), math.log(sigma / down), sigma
        low, high = solver.second(h, 1 / 3), solver.third(h)
        if size.accepts(_error(low, high, last)):
            last, sigma = low, sigma_next
            x = with_noise(high, noise, up * options.s_noise)
        tries += 1
        left = math.log(sigma / end) / way
        total = tries if left <= 1e-5 / way else max(tries + 1, round(tries / max(1 - left, 1e-3)))
        yield Step(tries, total, x, solver.denoised, began)
