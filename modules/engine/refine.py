"""The refiner: another checkpoint takes over where most of the noise is gone, and keeps the latent as it is."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from modules.engine.diffusion.sampling import Denoise, Plan
from modules.engine.diffusion.schedule import NoiseSchedule
from modules.schema.parts import Refiner


class Refined:
    """`denoise` until the switch is due, from then on what `successor` gives; it is asked for once."""

    def __init__(self, denoise: Denoise, successor: Callable[[], Denoise], due: Callable[[float], bool]) -> None:
        self._denoise = denoise
        self._successor: Callable[[], Denoise] | None = successor
        self._due = due

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        return self._current(sigma)(x, sigma)

    def both(self, x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        """For CFG++."""
        return self._current(sigma).both(x, sigma)

    def _current(self, sigma: float) -> Denoise:
        if self._successor is not None and self._due(sigma):
            self._denoise, self._successor = self._successor(), None
        return self._denoise


def switch_rule(refiner: Refiner, schedule: NoiseSchedule, steps: Plan) -> Callable[[float], bool]:
    """When the switch is due, asked once for every call: by the timestep that the noise level belongs to, 0 at the
    most noise and near 1 at none; or by the calls made so far.
    """
    last = len(schedule.levels) - 1
    calls = 0

    def by_noise(sigma: float) -> bool:
        return (last - schedule.sigma_to_t(sigma, quantize=True)) / (last + 1) >= refiner.switch_at

    def by_calls(sigma: float) -> bool:
        nonlocal calls
        calls += 1
        return (calls - 1) / max(steps.total_calls, 1) >= refiner.switch_at

    return by_calls if refiner.by_steps else by_noise
