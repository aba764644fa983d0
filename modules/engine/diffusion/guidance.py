"""Classifier-free guidance (Ho & Salimans 2022): away from the negative prompt, towards the prompt."""

from __future__ import annotations

import torch
from torch import Tensor

from modules.engine.diffusion.prediction import Estimate

CFGPP_DIVISOR = 12.5
"""A1111's CFG++ takes the ordinary CFG slider: its scale 12.5 is the paper's 1 (Chung et al. 2024)."""


class Guidance:
    """`denoise(x, sigma)` for a sampler: prompt and negative prompt in one batched call where their lengths agree.

    cond [B,T,D], uncond [B,T2,D] or None (nothing to steer away from). The negative is left out
    - at CFG 1;
    - on odd calls (every call with `s_min_uncond_all`) while sigma < `s_min_uncond`;
    - while calls / `total_calls` <= `skip_early_cond`, where that is not 0.
    One object serves one run of a sampler: it counts its calls.
    """

    def __init__(
        self,
        denoise: Estimate,
        cond: Tensor,
        uncond: Tensor | None,
        cfg_scale: float,
        *,
        s_min_uncond: float = 0.0,
        s_min_uncond_all: bool = False,
        skip_early_cond: float = 0.0,
        total_calls: int = 1,
    ) -> None:
        self._denoise = denoise
        self._cond = cond
        self._uncond = uncond
        self._scale = cfg_scale
        self._s_min_uncond = s_min_uncond
        self._every_call = s_min_uncond_all
        self._early = skip_early_cond
        self._total = max(total_calls, 1)
        self._calls = 0
        one_call = uncond is not None and uncond.shape[1] == cond.shape[1]
        self._both_prompts = torch.cat((cond, uncond)) if one_call and uncond is not None else None

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """x [B,C,h,w] with noise of level sigma -> guided x0 [B,C,h,w]."""
        if self._leaves_out_negative(sigma) or self._scale == 1:
            return self._denoise(x, sigma, self._cond)
        cond, uncond = self._pair(x, sigma)
        return torch.lerp(uncond, cond, self._scale)

    def both(self, x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        """(guided x0 at CFG / 12.5, x0 of the negative prompt), for CFG++, which needs the negative at CFG 1 too."""
        if self._leaves_out_negative(sigma):
            cond = self._denoise(x, sigma, self._cond)
            return cond, cond
        cond, uncond = self._pair(x, sigma)
        return torch.lerp(uncond, cond, self._scale / CFGPP_DIVISOR), uncond

    def _leaves_out_negative(self, sigma: float) -> bool:
        call = self._calls
        self._calls += 1
        if self._uncond is None:
            return True
        if self._early and call / self._total <= self._early:
            return True
        return sigma < self._s_min_uncond and (self._every_call or call % 2 == 1)

    def _pair(self, x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        """x0 of the prompt, x0 of the negative prompt."""
        if self._both_prompts is None:
            assert self._uncond is not None
            return self._denoise(x, sigma, self._cond), self._denoise(x, sigma, self._uncond)
        cond, uncond = self._denoise(torch.cat((x, x)), sigma, self._both_prompts).chunk(2)
        return cond, uncond
