"""From a gradient to the next vectors: Adam, and three ways to treat the vectors' lengths.

Free: Adam alone, as A1111; lengths then grow far beyond those of words (from 0.4 to over 20 in SD1), and a prompt's
other words lose their weight. Keep: after each step a vector that left the band of the words' lengths is brought back
to its border. Direction: lengths are fixed, and only directions are learned, on the sphere (arXiv 2512.13672): the
gradient's part along the vector is left out, the step is taken along the great circle, and its size is adapted for
each vector as a whole (Becigneul & Ganea 2019), so that a rate means steps as large as Adam's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from modules.schema.training import NormControl

_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8
# How far from the words' usual length a vector may go; lengths in SD1 spread by about this much.
_BAND = 1.25


@dataclass
class Moments:
    """Running means of the gradients and of their squares, flat like the numbers that are learned."""

    first: Tensor
    second: Tensor

    @classmethod
    def zero(cls, flat: Tensor) -> Moments:
        return cls(torch.zeros_like(flat), torch.zeros_like(flat))


class Rule(Protocol):
    """`update` changes the flat numbers and the moments in place; `number` counts the updates from 1."""

    def update(self, flat: Tensor, gradient: Tensor, moments: Moments, rate: float, number: int) -> None: ...

    def settle(self, flat: Tensor) -> None:
        """Bring the numbers to where the rule keeps them (a mean of them may have left it)."""
        ...


class Adam:
    """Kingma & Ba 2015, without weight decay: AdamW as it is used here."""

    def update(self, flat: Tensor, gradient: Tensor, moments: Moments, rate: float, number: int) -> None:
        moments.first.lerp_(gradient, 1 - _BETA1)
        moments.second.mul_(_BETA2).addcmul_(gradient, gradient, value=1 - _BETA2)
        spread = (moments.second / (1 - _BETA2**number)).sqrt_().add_(_EPSILON)
        flat.addcdiv_(moments.first, spread, value=-rate / (1 - _BETA1**number))

    def settle(self, flat: Tensor) -> None:
        """Anywhere is right."""


@dataclass
class KeptLength(Adam):
    """Adam on rows of `width` whose lengths stay between `least` and `most`."""

    width: int
    least: float
    most: float

    def update(self, flat: Tensor, gradient: Tensor, moments: Moments, rate: float, number: int) -> None:
        super().update(flat, gradient, moments, rate, number)
        self.settle(flat)

    def settle(self, flat: Tensor) -> None:
        rows = flat.view(-1, self.width)
        lengths = rows.norm(dim=1, keepdim=True)
        # Only what is too long or too short changes a bit.
        wanted = lengths.clamp(self.least, self.most)
        rows.copy_(torch.where((wanted == lengths) | (lengths == 0), rows, rows * (wanted / lengths)))


@dataclass
class OnSphere:
    """Adam on the sphere: rows of `width` of the given lengths [n, 1]."""

    width: int
    lengths: Tensor

    def update(self, flat: Tensor, gradient: Tensor, moments: Moments, rate: float, number: int) -> None:
        rows = flat.view(-1, self.width)
        directions = torch.nn.functional.normalize(rows, dim=1)
        tangent = _tangent(gradient.view_as(rows), directions)
        first, second = moments.first.view_as(rows), moments.second.view_as(rows)
        first.lerp_(tangent, 1 - _BETA1)
        second.mul_(_BETA2).add_(tangent.square().mean(1, keepdim=True), alpha=1 - _BETA2)
        spread = (second / (1 - _BETA2**number)).sqrt_().add_(_EPSILON)
        move = -rate / (1 - _BETA1**number) * first / spread
        length = move.norm(dim=1, keepdim=True)
        angle = length / self.lengths.to(rows)
        turned = directions * angle.cos() + move / length.clamp_min(_EPSILON) * angle.sin()
        turned = torch.nn.functional.normalize(turned, dim=1)
        # The mean of the gradients is taken along to the new place.
        first.copy_(_tangent(first, turned))
        rows.copy_(turned * self.lengths.to(rows))

    def settle(self, flat: Tensor) -> None:
        rows = flat.view(-1, self.width)
        rows.copy_(torch.nn.functional.normalize(rows, dim=1) * self.lengths.to(rows))


def rule_for(control: NormControl, start: Tensor, usual: float) -> Rule:
    """The rule for vectors that begin as `start` [n, D]; `usual` is the length of the model's own words."""
    width = start.shape[1]
    if control == "Free":
        return Adam()
    if control == "Keep":
        return KeptLength(width, usual / _BAND, usual * _BAND)
    return OnSphere(width, torch.full((len(start), 1), usual))


def _tangent(rows: Tensor, directions: Tensor) -> Tensor:
    """`rows` without their parts along `directions` (of length 1)."""
    return rows - (rows * directions).sum(1, keepdim=True) * directions


def clip(gradient: Tensor, mode: str, amount: float) -> None:
    """Limit a gradient in place: each number to +-`amount`, or the whole's length to `amount`."""
    if mode == "value":
        gradient.clamp_(-amount, amount)
    elif mode == "norm":
        length = float(gradient.norm())
        if length > amount:
            gradient.mul_(amount / length)
