"""Noise schedules: in how many steps, and through which levels, the noise is taken away.

Each is a function of `_Range` to a falling list of sigmas; all but KL Optimal get a 0 at their end. Where one does
not use the bounds or rho, they have no effect, as in A1111.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from modules.engine.diffusion.incomplete_beta import beta_quantile
from modules.engine.diffusion.schedule import NoiseSchedule
from modules.schema.errors import BadRequest
from modules.schema.samplers import AUTOMATIC, SCHEDULES

# fmt: off
_AYS = {  # Align Your Steps (Sabour et al. 2024), the authors' published values
    "sd1": (14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029),
    "sdxl": (14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029),
}
_AYS_32 = {  # the same, in 32 steps
    "sd1": (14.615, 11.23951352, 8.64363081, 6.64729424, 5.57250862, 4.71648546, 3.99196065, 3.5195609, 3.13490466,
            2.79228788, 2.48773628, 2.21663865, 1.97508351, 1.7793172, 1.61475335, 1.46540953, 1.314849, 1.16642497,
            1.03475547, 0.91573744, 0.80748169, 0.71202361, 0.621739, 0.53065202, 0.4529096, 0.37491455, 0.27461819,
            0.2011529, 0.14105873, 0.06682881, 0.03166121, 0.015),
    "sdxl": (14.615, 11.1491618, 8.50522127, 6.48827151, 5.43707402, 4.60398619, 3.89854704, 3.27407457, 2.74396527,
             2.29968659, 1.95448514, 1.67108715, 1.42878152, 1.23181009, 1.06789649, 0.92579443, 0.80290886,
             0.69660121, 0.60436903, 0.52852552, 0.46773344, 0.41393379, 0.36258186, 0.31008517, 0.26518925,
             0.22326461, 0.17653877, 0.13959192, 0.10587381, 0.05519369, 0.02877334, 0.015),
}
_GITS = {  # geometry-inspired time scheduling (Chen et al. 2024)
    "sd1": (14.615, 4.617, 2.507, 1.236, 0.702, 0.402, 0.240, 0.156, 0.104, 0.094, 0.029),
    "sdxl": (14.615, 4.734, 2.567, 1.529, 0.987, 0.652, 0.418, 0.268, 0.179, 0.127, 0.029),
}
# fmt: on


@dataclass(frozen=True)
class _Range:
    """What a schedule is made from: `n` levels between `low` and `high` of the model's `noise`."""

    n: int
    noise: NoiseSchedule
    low: float
    high: float
    rho: float
    beta_alpha: float
    beta_beta: float
    table: str


def linear(start: float, end: float, n: int) -> list[float]:
    """`n` evenly spaced values from `start` to `end`; `start` alone when n is 1."""
    return [start + (end - start) * i / (n - 1) for i in range(n)] if n > 1 else [start]


def _log_linear(values: tuple[float, ...], n: int) -> list[float]:
    """`values` resampled to `n` points, linearly in their logarithms over evenly spaced places."""
    if n == len(values):
        return list(values)
    logs = [math.log(value) for value in values]
    points: list[float] = []
    for place in linear(0, len(values) - 1, n):
        left = min(int(place), len(values) - 2)
        points.append(math.exp(logs[left] + (place - left) * (logs[left + 1] - logs[left])))
    return points


def karras(n: int, low: float, high: float, rho: float = 7.0) -> list[float]:
    """`n` levels from `high` to `low` (Karras et al. 2022, equation 5), without the final 0."""
    return [root**rho for root in linear(high ** (1 / rho), low ** (1 / rho), n)]


def _uniform(r: _Range) -> list[float]:
    return [r.noise.t_to_sigma(t) for t in linear(len(r.noise.levels) - 1, 0, r.n)]


def _karras(r: _Range) -> list[float]:
    return karras(r.n, r.low, r.high, r.rho)


def _exponential(r: _Range) -> list[float]:
    return [math.exp(log) for log in linear(math.log(r.high), math.log(r.low), r.n)]


def _polyexponential(r: _Range) -> list[float]:
    log_low, log_high = math.log(r.low), math.log(r.high)
    return [math.exp(ramp**r.rho * (log_high - log_low) + log_low) for ramp in linear(1, 0, r.n)]


def _between_timesteps(r: _Range, n: int) -> list[float]:
    start, end = r.noise.sigma_to_t(r.high), r.noise.sigma_to_t(r.low)
    return [r.noise.t_to_sigma(t) for t in linear(start, end, n)]


def _sgm_uniform(r: _Range) -> list[float]:
    return _between_timesteps(r, r.n + 1)[:-1]


def _normal(r: _Range) -> list[float]:
    return _between_timesteps(r, r.n)


def _kl_optimal(r: _Range) -> list[float]:
    """n + 1 levels that end at sigma_min instead of 0 (Sabour et al. 2024, the closed form of a Gaussian)."""
    return [math.tan(angle) for angle in linear(math.atan(r.high), math.atan(r.low), r.n + 1)]


def _simple(r: _Range) -> list[float]:
    levels = r.noise.levels
    return [levels[-1 - int(i * (len(levels) / r.n))] for i in range(r.n)]


def _ddim(r: _Range) -> list[float]:
    """May have one level more than asked for."""
    return list(reversed(r.noise.levels[1 :: max(len(r.noise.levels) // r.n, 1)]))


def _beta(r: _Range) -> list[float]:
    """Quantiles of a Beta distribution (Lee et al. 2024), taken in sigma as A1111 does."""
    return [
        r.low + beta_quantile(1 - place, r.beta_alpha, r.beta_beta) * (r.high - r.low) for place in linear(0, 1, r.n)
    ]


def _turbo(r: _Range) -> list[float]:
    count = len(r.noise.levels)
    return [r.noise.levels[min(max(round((r.n - i) * (count / r.n) - 1), 0), count - 1)] for i in range(r.n)]


def _table(tables: dict[str, tuple[float, ...]]) -> Callable[[_Range], list[float]]:
    return lambda r: _log_linear(tables[r.table], r.n)


_SCHEDULES: dict[str, Callable[[_Range], list[float]]] = {
    "uniform": _uniform,
    "karras": _karras,
    "exponential": _exponential,
    "polyexponential": _polyexponential,
    "sgm_uniform": _sgm_uniform,
    "kl_optimal": _kl_optimal,
    "align_your_steps": _table(_AYS),
    "simple": _simple,
    "normal": _normal,
    "ddim": _ddim,
    "beta": _beta,
    "turbo": _turbo,
    "align_your_steps_GITS": _table(_GITS),
    "align_your_steps_11": _table(_AYS),
    "align_your_steps_32": _table(_AYS_32),
}


def add_schedule(name: str, function: Callable[[int, float, float], Sequence[float]]) -> Callable[[], None]:
    """Take in a further schedule: (n, lowest, highest) to n falling levels; gives back what undoes that."""
    _SCHEDULES[name] = lambda r: [float(level) for level in function(r.n, r.low, r.high)]
    return lambda: _SCHEDULES.pop(name, None) and None


def build_sigmas(
    name: str,
    n: int,
    schedule: NoiseSchedule,
    *,
    sigma_min: float = 0.0,
    sigma_max: float = 0.0,
    rho: float = 0.0,
    beta_alpha: float = 0.6,
    beta_beta: float = 0.6,
    discard: bool = False,
    table: str = "sd1",
) -> Tensor:
    """The noise levels of `n` steps: falling, n + 1 values for most schedules, the last one 0 but for KL Optimal.

    name: id, label or alias of a schedule; "Automatic" is Uniform here, for it is the sampler that knows better.
    sigma_min, sigma_max, rho: 0 takes the model's bounds and the schedule's own rho.
    discard: make one level more and leave out the last but one.
    table: which family's values the table schedules take, "sd1" or "sdxl".
    Returns float64 [steps + 1]. Raises UnknownName, and BadRequest where sigma_min is not below sigma_max.
    """
    facts = SCHEDULES.get(name or AUTOMATIC, "scheduler")
    low, high = sigma_min or schedule.sigma_min, sigma_max or schedule.sigma_max
    if low >= high:
        raise BadRequest(
            f"Schedule min sigma ({low:g}) must be below schedule max sigma ({high:g}); 0 takes the model's own.",
            "sigma_min",
        )
    count = n + 1 if discard else n
    bend = rho if rho and facts.default_rho > 0 else facts.default_rho
    if facts.label != AUTOMATIC and facts.name not in _SCHEDULES:
        raise BadRequest(f"The extension of the schedule {facts.label} gave no function for it.", "scheduler")
    make = _SCHEDULES["uniform" if facts.label == AUTOMATIC else facts.name]
    sigmas = make(_Range(count, schedule, low, high, bend, beta_alpha, beta_beta, table))
    if facts.name != "kl_optimal":
        sigmas.append(0.0)
    if discard:
        del sigmas[-2]
    return torch.tensor(sigmas, dtype=torch.float64)
