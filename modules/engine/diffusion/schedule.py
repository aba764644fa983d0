"""The noise a model was trained on: how much of picture and noise is left at each of its timesteps.

Two views of one thing: `alphas_cumprod` (variance preserving: x_t = sqrt(a) x0 + sqrt(1 - a) noise; DDPM, Ho et al.
2020) and `sigmas` (x = x0 + sigma noise; Karras et al. 2022), joined by sigma^2 = (1 - a) / a.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

ZERO_SNR_ALPHA = 4.8973451890853435e-08
"""What the last alpha of a zero-terminal-SNR schedule is set to, so that sigma stays finite (about 4518.8)."""


@dataclass(frozen=True, eq=False)
class NoiseSchedule:
    """`alphas_cumprod`: float32 [n], falling, in (0, 1); n is 1000 for every model of the SD family.

    Sigmas and timesteps are plain floats here: a sampler asks once a step, and a float never waits for the device.
    """

    alphas_cumprod: Tensor

    @cached_property
    def sigmas(self) -> Tensor:
        """float64 [n], rising, on the CPU."""
        alphas = self.alphas_cumprod.double().cpu()
        return ((1 - alphas) / alphas).sqrt()

    @cached_property
    def log_sigmas(self) -> Tensor:
        """float64 [n], rising, on the CPU."""
        return torch.tensor(self._logs, dtype=torch.float64)

    @cached_property
    def levels(self) -> tuple[float, ...]:
        """`sigmas` as floats, rising."""
        return tuple(float(sigma) for sigma in self.sigmas)

    @cached_property
    def _logs(self) -> tuple[float, ...]:
        return tuple(math.log(sigma) for sigma in self.levels)

    @property
    def sigma_min(self) -> float:
        return self.levels[0]

    @property
    def sigma_max(self) -> float:
        return self.levels[-1]

    def t_to_sigma(self, t: float) -> float:
        """Sigma of a timestep in 0..n-1; between two timesteps log(sigma) is linear."""
        low = min(max(math.floor(t), 0), len(self._logs) - 2)
        part = min(max(t - low, 0.0), 1.0)
        return math.exp((1 - part) * self._logs[low] + part * self._logs[low + 1])

    def sigma_to_t(self, sigma: float, quantize: bool = False) -> float:
        """Inverse of `t_to_sigma`, kept within 0..n-1; `quantize` takes the nearest timestep (in log sigma)."""
        logs, log = self._logs, math.log(sigma)
        low = min(max(bisect_right(logs, log) - 1, 0), len(logs) - 2)
        below, above = logs[low], logs[low + 1]
        if quantize:
            return float(low if abs(log - below) <= abs(log - above) else low + 1)
        gap = above - below
        return low + (min(max((log - below) / gap, 0.0), 1.0) if gap else 0.0)


def scaled_linear(start: float = 0.00085, end: float = 0.012, n: int = 1000) -> NoiseSchedule:
    """Betas whose square roots are linear (Rombach et al. 2022; SD1, SD2 and SDXL use the defaults)."""
    betas = torch.linspace(start**0.5, end**0.5, n, dtype=torch.float64) ** 2
    return NoiseSchedule(torch.cumprod(1 - betas, 0).float())


def zero_terminal_snr(schedule: NoiseSchedule) -> NoiseSchedule:
    """Shift and scale sqrt(alpha) so that the last step is pure noise (Lin et al. 2023, algorithm 1)."""
    roots = schedule.alphas_cumprod.double().sqrt()
    first, last = roots[0], roots[-1]
    alphas = ((roots - last) * first / (first - last)) ** 2
    alphas[-1] = ZERO_SNR_ALPHA
    return NoiseSchedule(alphas.float())


def downcast(schedule: NoiseSchedule) -> NoiseSchedule:
    """Alphas rounded to fp16, as every picture made with A1111 before 1.8 had them."""
    return NoiseSchedule(schedule.alphas_cumprod.half().float())
