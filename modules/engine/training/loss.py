"""The loss that a model was trained with itself: how far its prediction is from the noise that was added (or from v).

Ho et al. 2020 for noise; Salimans & Ho 2022 for v.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from modules.engine.diffusion.schedule import NoiseSchedule
from modules.engine.loading.model import LoadedModel


@dataclass(frozen=True)
class Draw:
    """What a loss is computed on: `latents` and `noise` [B,C,h,w], `times` (whole timesteps) and `weights` [B,1,h,w],
    all on the CPU."""

    latents: Tensor
    noise: Tensor
    times: list[int]
    weights: Tensor | None = None

    def part(self, pictures: slice) -> Draw:
        """The same of some of its pictures."""
        weights = None if self.weights is None else self.weights[pictures]
        return Draw(self.latents[pictures], self.noise[pictures], self.times[pictures], weights)


def loss_of(model: LoadedModel, schedule: NoiseSchedule, draw: Draw, words: Tensor) -> Tensor:
    """The mean over everything, float32; `words` [B,T,D] on the model's device."""
    times = torch.tensor(draw.times)
    alphas = schedule.alphas_cumprod.cpu()[times].view(-1, 1, 1, 1)
    noisy = alphas.sqrt() * draw.latents + (1 - alphas).sqrt() * draw.noise
    target = (
        draw.noise
        if model.prediction == "epsilon"
        else alphas.sqrt() * draw.noise - (1 - alphas).sqrt() * draw.latents
    )
    given = model.predict(noisy.to(model.device), times.to(model.device), words)
    error = (given - target.to(given)).square()
    if draw.weights is not None:
        error = error * draw.weights.to(error)
    return error.mean()
