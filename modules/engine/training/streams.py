"""Random numbers that depend on nothing but where they are used: seed, step and purpose.

So a run that was stopped and went on, or gave way to a generation in between, draws the same numbers as one that was
left alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Streams:
    """Generators of a run. `falls`: how often the run went back; what led to a fall is not drawn again."""

    seed: int
    falls: int = 0

    def generator(self, purpose: str, *where: int) -> torch.Generator:
        """A generator on the CPU for `purpose` at a place (a step, an epoch, a picture)."""
        words = "/".join(map(str, (self.seed, self.falls, purpose, *where)))
        digest = hashlib.blake2b(words.encode(), digest_size=8).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)

    def normal(self, shape: Sequence[int], purpose: str, *where: int) -> Tensor:
        """float32 normal numbers on the CPU."""
        return torch.randn(tuple(shape), generator=self.generator(purpose, *where))

    def below(self, bound: int, count: int, purpose: str, *where: int) -> list[int]:
        """`count` whole numbers from 0 to `bound` - 1."""
        return torch.randint(bound, (count,), generator=self.generator(purpose, *where)).tolist()

    def shuffled(self, count: int, purpose: str, *where: int) -> list[int]:
        """0 to `count` - 1 in random order."""
        return torch.randperm(count, generator=self.generator(purpose, *where)).tolist()
