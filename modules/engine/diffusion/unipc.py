"""UniPC (Zhao et al. 2023): a predictor of any order, corrected by the estimate that the next step needs anyway.

It walks over continuous time between the trained timesteps. Latents are variance-preserving outside, as for all
timestep samplers; inside x / sqrt(a) is used, where a step is the same line toward the estimate as everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from modules.engine.diffusion.samplers import toward
from modules.engine.diffusion.schedule import NoiseSchedule
from modules.engine.diffusion.sigmas import linear
from modules.engine.diffusion.steps import Denoise, Noise, Plan, SamplerOptions, Step
from modules.engine.diffusion.timestep_samplers import root_alpha


def _level(logs: Sequence[float], index: float) -> float:
    """Sigma between two trained timesteps, where log(alpha) is linear."""
    low = min(max(math.floor(index), 0), len(logs) - 2)
    part = index - low
    return math.sqrt(math.expm1(-((1 - part) * logs[low] + part * logs[low + 1])))


def unipc_levels(skip_type: str, steps: int, schedule: NoiseSchedule, first: int | None = None) -> list[float]:
    """Falling sigmas of `steps` steps from timestep `first` (None: the last one) to the first, `steps` + 1 of them.

    skip_type: "time_uniform" (even in time), "time_quadratic" (even in its root) or "logSNR" (even in log sigma).
    """
    count = len(schedule.levels)
    first = count - 1 if first is None else first
    start = (first + 1) / count
    if skip_type == "logSNR":
        logs = linear(math.log(schedule.levels[first]), math.log(schedule.sigma_min), steps + 1)
        return [math.exp(log) for log in logs]
    alphas = [-math.log1p(sigma * sigma) for sigma in schedule.levels]
    if skip_type == "time_quadratic":
        times = [root**2 for root in linear(math.sqrt(start), math.sqrt(1 / count), steps + 1)]
    else:
        times = linear(start, 1 / count, steps + 1)
    return [_level(alphas, time * count - 1) for time in times]


def _solve_vandermonde(points: list[float], moments: list[float]) -> list[float]:
    """w with sum_j w[j] * points[j]**k == moments[k] (Bjorck & Pereyra 1970); for three points a matter of
    microseconds, which a library call is not."""
    w, last = list(moments), len(points) - 1
    for k in range(last):
        for i in range(last, k, -1):
            w[i] -= points[k] * w[i - 1]
    for k in range(last - 1, -1, -1):
        for i in range(k + 1, last + 1):
            w[i] /= points[i] - points[i - k - 1]
        for i in range(k, last):
            w[i] -= w[i + 1]
    return w


def _weights(ratios: list[float], h: float, simple: float | None) -> list[float]:
    """What each scaled difference of estimates, at `ratios` of the step, contributes to its end.

    The exact answer makes every polynomial up to their number come out right; with one difference `simple`, where
    given, stands in for it.
    """
    if not ratios:
        return []
    if len(ratios) == 1 and simple is not None:
        return [simple]
    phi, factorial = math.expm1(-h) / -h - 1, 1
    moments: list[float] = []
    for k in range(1, len(ratios) + 1):
        moments.append(phi * factorial)
        factorial *= k + 1
        phi = phi / -h - 1 / factorial
    return _solve_vandermonde(ratios, moments)


def _simple_weight(variant: str, h: float) -> float | None:
    """Half of B(h) (section 3.1): bh1 takes -h, bh2 takes exp(-h) - 1; vary_coeff is always exact."""
    return {"bh1": -h / 2, "bh2": math.expm1(-h) / 2, "vary_coeff": None}[variant]


def _order(step: int, steps: int, options: SamplerOptions) -> int:
    """As many estimates as there are, up to the order asked for; fewer again at the end, if so chosen."""
    order = min(options.unipc_order, steps)
    if step < order:
        return step
    return min(order, steps + 1 - step) if options.unipc_lower_order_final else order


def _combined(base: Tensor, differences: list[Tensor], weights: list[float]) -> Tensor:
    for difference, weight in zip(differences, weights, strict=True):
        base = torch.add(base, difference, alpha=-weight)
    return base


def unipc(denoise: Denoise, x: Tensor, plan: Plan, noise: Noise) -> Iterator[Step]:
    """As many steps as DDIM would have timesteps, which is how A1111 counts them."""
    options, steps = plan.options, plan.total_steps
    first = None if plan.entry_level is None else plan.timesteps[0]
    levels = unipc_levels(options.unipc_skip_type, steps, plan.noise, first)
    x = x * (1 / root_alpha(levels[0]))
    past = [(levels[0], denoise(x, levels[0]))]
    for i, (sigma, sigma_next) in enumerate(pairwise(levels), 1):
        newest, h = past[0][1], math.log(sigma / sigma_next)
        simple = _simple_weight(options.unipc_variant, h)
        older = past[1 : _order(i, steps, options)]
        ratios = [math.log(sigma / level) / h for level, _ in older]
        differences = [(estimate - newest) / ratio for (_, estimate), ratio in zip(older, ratios, strict=True)]
        base = toward(newest, x, sigma_next / sigma)
        x = _combined(base, differences, _weights(ratios, h, simple))
        if i < steps:
            ahead = denoise(x, sigma_next)
            x = _combined(base, [*differences, ahead - newest], _weights([*ratios, 1.0], h, simple))
            past = [(sigma_next, ahead), *past[: options.unipc_order - 1]]
        yield Step(i, steps, x * root_alpha(sigma_next), past[0][1], sigma)
