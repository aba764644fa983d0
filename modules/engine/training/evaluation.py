"""A loss that can be read: on the same pictures, noise, times and texts every time (DVAR, arXiv 2302.04841).

The training loss jumps with the time that was drawn, far more than a run improves it; with everything fixed what is
left is what was learned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from modules.engine.diffusion.schedule import NoiseSchedule
from modules.engine.loading.model import LoadedModel
from modules.engine.training.latents import Album
from modules.engine.training.loss import Draw, loss_of
from modules.engine.training.streams import Streams
from modules.engine.training.texts import Texts

_TOGETHER = 4
# DVAR: the run is over when the newest evaluations vary by less than this share of all of them.
_WINDOW, _STILL = 10, 0.15


@dataclass(frozen=True)
class Evaluation:
    """Fixed draws in batches of one size, each with its texts."""

    batches: Sequence[tuple[Draw, tuple[str, ...]]]

    def loss(self, model: LoadedModel, schedule: NoiseSchedule, encode: Callable[[Sequence[str]], Tensor]) -> float:
        """The mean over all draws."""
        total, count = 0.0, 0
        with torch.no_grad():
            for draw, texts in self.batches:
                total += float(loss_of(model, schedule, draw, encode(texts))) * len(texts)
                count += len(texts)
        return total / count


def fixed_draws(count: int, album: Album, texts: Texts, streams: Streams, times: int) -> Evaluation:
    """`count` draws spread evenly over the pictures, and over the model's `times`."""
    order = streams.shuffled(len(album.pictures), "evaluation")
    places = streams.shuffled(count, "evaluation times")
    groups: dict[tuple[int, int], list[tuple[int, int, int]]] = {}
    for number in range(count):
        picture = order[number % len(order)]
        time = int((places[number] + 0.5) / count * times)
        groups.setdefault(album.pictures[picture].size, []).append((number, picture, time))
    batches = []
    for group in groups.values():
        for at in range(0, len(group), _TOGETHER):
            part = group[at : at + _TOGETHER]
            latents = torch.stack([album.fixed(picture) for _, picture, _ in part])
            noise = torch.stack(
                [streams.normal(latents.shape[1:], "evaluation noise", number) for number, _, _ in part]
            )
            weights = album.weights([picture for _, picture, _ in part])
            draw = Draw(latents, noise, [time for _, _, time in part], weights)
            batches.append((draw, tuple(texts.plain(picture, number) for number, picture, _ in part)))
    return Evaluation(batches)


def has_settled(values: Sequence[float]) -> bool:
    """Whether the evaluations of a run, oldest first, have stopped changing."""
    if len(values) < 2 * _WINDOW:
        return False
    everything, newest = torch.tensor(values).double(), torch.tensor(values[-_WINDOW:]).double()
    return bool(newest.var() < _STILL * everything.var())
