"""Latents with what is known of their pictures, in memory, drawn by level of difficulty."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tools.miniature.dataset import SIZES, Shard, read_samples
from tools.miniature.world.facts import Facts
from tools.miniature.world.sampling import LEVELS

OTHER_SIZES_EVERY = 10  # steps
# (fraction of the run, shares of the levels); between two of them shares change evenly.
CURRICULUM = (
    (0.0, (0.65, 0.30, 0.05, 0.00)),
    (0.15, (0.40, 0.40, 0.15, 0.05)),
    (0.4, (0.18, 0.32, 0.25, 0.25)),
    (0.7, (0.12, 0.26, 0.24, 0.38)),
    (1.0, (0.12, 0.26, 0.24, 0.38)),
)


def level_shares(fraction: float) -> tuple[float, ...]:
    """Shares of the levels at `fraction` of the run."""
    place = min(max(bisect.bisect_right(CURRICULUM, fraction, key=lambda entry: entry[0]), 1), len(CURRICULUM) - 1)
    (low, before), (high, after) = CURRICULUM[place - 1 : place + 1]
    part = min(max((fraction - low) / (high - low), 0.0), 1.0)
    return tuple(a + (b - a) * part for a, b in zip(before, after, strict=True))


@dataclass(frozen=True)
class _SizeSet:
    """All pictures of one size: latents [N,4,h,w], facts, and the places of each level's."""

    latents: Tensor
    facts: Sequence[Facts]
    of_level: Sequence[np.ndarray]


class LatentSet:
    """`device`: where batches go; the latents themselves stay in fp16 in memory."""

    def __init__(self, shards: Sequence[Shard], files: Sequence[Path], device: torch.device) -> None:
        self.device = device
        pairs = list(zip(shards, files, strict=True))
        self._sets = [_read([pair for pair in pairs if pair[0].size == size]) for size in SIZES]

    def draw(
        self, rng: np.random.Generator, count: int, fraction: float, other_size: bool
    ) -> tuple[Tensor, list[Facts]]:
        """Latents float32 [count,4,h,w] of one size and their facts."""
        held = self._sets[int(rng.integers(1, len(self._sets))) if other_size else 0]
        wanted = zip(level_shares(fraction), held.of_level, strict=True)
        shares = np.array([share if len(places) else 0.0 for share, places in wanted])
        levels = rng.choice(LEVELS, count, p=shares / shares.sum())
        places = [int(held.of_level[level][rng.integers(len(held.of_level[level]))]) for level in levels]
        return held.latents[places].float().to(self.device), [held.facts[place] for place in places]


def _read(pairs: Sequence[tuple[Shard, Path]]) -> _SizeSet:
    samples = [one for shard, _ in pairs for one in read_samples(shard)]
    latents = torch.cat([torch.from_numpy(np.load(file)) for _, file in pairs])
    levels = np.array([one.level for one in samples])
    return _SizeSet(latents, [one.facts for one in samples], [np.flatnonzero(levels == k) for k in range(LEVELS)])
