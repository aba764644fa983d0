"""Classifier-free guidance (Ho & Salimans 2022): away from the negative prompt, towards the prompt; of several
prompts, towards each by its weight (composable diffusion, Liu et al. 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from modules.engine.diffusion.prediction import Estimate

CFGPP_DIVISOR = 12.5
"""A1111's CFG++ takes the ordinary CFG slider: its scale 12.5 is the paper's 1 (Chung et al. 2024)."""
_KEPT_BATCHES = 4


@dataclass(frozen=True, eq=False)
class Words:
    """What a model call is told: `pieces`, each [1 or B,T,D], with their `weights`, and `uncond` [1 or B,T2,D], or
    None where there is nothing to steer away from."""

    pieces: tuple[Tensor, ...]
    uncond: Tensor | None
    weights: tuple[float, ...] = (1.0,)

    def at(self, call: int) -> Words:
        """The same at every call: words that do not change with the steps."""
        return self


class Timeline(Protocol):
    """Words that may change with the steps."""

    def at(self, call: int) -> Words:
        """The words of model call `call` (from 0); the same object where they are the same."""
        ...


class Guidance:
    """`denoise(x, sigma)` for a sampler: all prompts in one batched call where their lengths agree.

    The negative is left out
    - at CFG 1, where the weights add up to 1;
    - on odd calls (every call with `s_min_uncond_all`) while sigma < `s_min_uncond`;
    - while calls / `total_calls` <= `skip_early_cond`, where that is not 0.
    One object serves one run of a sampler: it counts its calls, on from `calls_before` of a model that it succeeds.
    """

    def __init__(
        self,
        denoise: Estimate,
        words: Timeline,
        cfg_scale: float,
        *,
        s_min_uncond: float = 0.0,
        s_min_uncond_all: bool = False,
        skip_early_cond: float = 0.0,
        total_calls: int = 1,
        calls_before: int = 0,
    ) -> None:
        self._denoise = denoise
        self._words = words
        self._scale = cfg_scale
        self._s_min_uncond = s_min_uncond
        self._every_call = s_min_uncond_all
        self._early = skip_early_cond
        self._total = max(total_calls, 1)
        self._calls = calls_before
        self._batches: list[tuple[Words, bool, list[Tensor]]] = []

    @property
    def calls(self) -> int:
        """Calls made in this run so far."""
        return self._calls

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """x [B,C,h,w] with noise of level sigma -> guided x0 [B,C,h,w]."""
        words, alone = self._next(sigma)
        if alone or (self._scale == 1 and sum(words.weights) == 1):
            return self._without_negative(x, sigma, words)
        return self._guided(x, sigma, words, self._scale)[0]

    def both(self, x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        """(guided x0 at CFG / 12.5, x0 of the negative prompt), for CFG++, which needs the negative at CFG 1 too."""
        words, alone = self._next(sigma)
        if alone:
            cond = self._without_negative(x, sigma, words)
            return cond, cond
        return self._guided(x, sigma, words, self._scale / CFGPP_DIVISOR)

    def _next(self, sigma: float) -> tuple[Words, bool]:
        """The words of the next call, and whether it leaves out the negative."""
        call = self._calls
        self._calls += 1
        words = self._words.at(call)
        if words.uncond is None or (self._early and call / self._total <= self._early):
            return words, True
        return words, sigma < self._s_min_uncond and (self._every_call or call % 2 == 1)

    def _guided(self, x: Tensor, sigma: float, words: Words, scale: float) -> tuple[Tensor, Tensor]:
        """(guided x0, x0 of the negative prompt)."""
        *pieces, uncond = self._estimates(x, sigma, words, with_negative=True)
        if len(pieces) == 1:
            return torch.lerp(uncond, pieces[0], scale * words.weights[0]), uncond
        return _towards(uncond, pieces, [scale * weight for weight in words.weights]), uncond

    def _without_negative(self, x: Tensor, sigma: float, words: Words) -> Tensor:
        """x0 of the prompts; the first stands in for the negative where there are several, as in A1111."""
        first, *others = self._estimates(x, sigma, words, with_negative=False)
        return _towards(first, others, words.weights[1:])

    def _estimates(self, x: Tensor, sigma: float, words: Words, *, with_negative: bool) -> list[Tensor]:
        """x0 for each prompt, the negative's last."""
        found: list[Tensor] = []
        for cross in self._batched(words, len(x), with_negative):
            count = len(cross) // len(x)
            found += self._denoise(torch.cat([x] * count) if count > 1 else x, sigma, cross).chunk(count)
        return found

    def _batched(self, words: Words, images: int, with_negative: bool) -> list[Tensor]:
        """All prompts of one length in one tensor [B * prompts,T,D].

        The same words give the same tensors: attention knows by them what it has computed of the words already.
        """
        for known, negative, batch in self._batches:
            if known is words and negative == with_negative:
                return batch
        groups: list[Sequence[Tensor]] = [words.pieces]
        if with_negative and words.uncond is not None:
            same_length = words.uncond.shape[1] == words.pieces[0].shape[1]
            groups = [(*words.pieces, words.uncond)] if same_length else [words.pieces, (words.uncond,)]
        batch = [_joined(group, images) for group in groups]
        self._batches = [(words, with_negative, batch), *self._batches[: _KEPT_BATCHES - 1]]
        return batch


def _joined(prompts: Sequence[Tensor], images: int) -> Tensor:
    expanded = [prompt.expand(images, -1, -1) for prompt in prompts]
    return torch.cat(expanded) if len(expanded) > 1 else expanded[0]


def _towards(start: Tensor, ends: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """`start` plus the way to each of `ends` times its weight."""
    result = start
    for end, weight in zip(ends, weights, strict=True):
        result = torch.add(result, end - start, alpha=weight)
    return result
