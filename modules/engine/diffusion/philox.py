"""Normal numbers as an NVIDIA card draws them, on any device: Philox 4x32-10 and Box-Muller.

Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3" (2011). The counter is (offset, 0, element, 0), the key
the seed; of an element's four words the first two are used, as cuRAND does for a tensor of one wave of threads.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

_MASK = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
# cuRAND's constants are single precision.
_TO_UNIT = 2.0**-32
_TO_ANGLE = float(np.float32(2 * math.pi)) * 2.0**-32


def philox_words(seeds: Sequence[int], offset: int, count: int, device: torch.device) -> tuple[Tensor, ...]:
    """The four 32-bit words of elements 0 to `count` - 1 for each seed: int64 [S, count] each.

    Seeds are taken modulo 2^64.
    """
    elements = torch.arange(count, dtype=torch.int64, device=device)[None]
    low, high = (
        torch.tensor([(seed >> shift) & _MASK for seed in seeds], dtype=torch.int64, device=device)[:, None]
        for shift in (0, 32)
    )
    zero = torch.zeros_like(low)
    words = (zero + (offset & _MASK), zero, elements, zero)
    for number in range(_ROUNDS):
        keys = ((low + number * _KEY_STEPS[0]) & _MASK, (high + number * _KEY_STEPS[1]) & _MASK)
        words = _round(words, keys)
    return words


def _round(words: tuple[Tensor, ...], keys: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
    # The 64-bit product wraps into the sign, which shift and mask undo.
    first, second = words[0] * _MULTIPLIERS[0], words[2] * _MULTIPLIERS[1]
    return (
        (second >> 32).bitwise_and_(_MASK).bitwise_xor(words[1] ^ keys[0]),
        second.bitwise_and_(_MASK),
        (first >> 32).bitwise_and_(_MASK).bitwise_xor(words[3] ^ keys[1]),
        first.bitwise_and_(_MASK),
    )


def philox_normal(seeds: Sequence[int], shape: tuple[int, ...], *, offset: int, device: torch.device) -> Tensor:
    """Standard normal numbers float32 [S, *shape], one tensor a seed, in C order; `offset` counts earlier tensors."""
    words = philox_words(seeds, offset, math.prod(shape), device)
    radius = (words[0].double() + 0.5).mul_(_TO_UNIT).log_().mul_(-2.0).sqrt_()
    angle = (words[1].double() + 0.5).mul_(_TO_ANGLE)
    return radius.mul_(angle.sin_()).float().reshape(len(seeds), *shape)
