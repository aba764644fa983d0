"""Known denoisers, a seeded noise source and a way to walk any sampler over any levels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from modules.engine.diffusion.sampling import SAMPLER_FUNCTIONS, Plan, SamplerOptions, Step, run
from modules.engine.diffusion.schedule import NoiseSchedule, scaled_linear
from modules.schema.samplers import SAMPLERS

SD1 = scaled_linear()


class FakeNoise:
    """Independent draws; the Brownian path is a real one (draws are remembered), so pieces of it add up."""

    def __init__(self, shape: Sequence[int], seed: int = 0, dtype: torch.dtype = torch.float32) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.shape, self.dtype, self.draws = tuple(shape), dtype, 0

    def next(self) -> Tensor:
        self.draws += 1
        return torch.randn(self.shape, generator=self.generator, dtype=self.dtype)

    def brownian(self, sigma_min: float, sigma_max: float) -> Callable[[float, float], Tensor]:
        known: dict[float, Tensor] = {sigma_max: torch.zeros(self.shape, dtype=self.dtype)}

        def at(sigma: float) -> Tensor:
            """Value of the path, begun at sigma_max: a bridge between known neighbours, or onwards from the last."""
            if sigma not in known:
                above = min(s for s in known if s > sigma)
                below = max((s for s in known if s < sigma), default=None)
                if below is None:
                    known[sigma] = known[above] + self.next() * math.sqrt(above - sigma)
                else:
                    part = (above - sigma) / (above - below)
                    spread = math.sqrt((above - sigma) * (sigma - below) / (above - below))
                    known[sigma] = torch.lerp(known[above], known[below], part) + self.next() * spread
            return known[sigma]

        def increment(sigma_from: float, sigma_to: float) -> Tensor:
            assert sigma_min * (1 - 1e-6) <= min(sigma_from, sigma_to), "left the range that was asked for"
            assert max(sigma_from, sigma_to) <= sigma_max * (1 + 1e-6), "left the range that was asked for"
            return (at(sigma_to) - at(sigma_from)) / math.sqrt(abs(sigma_to - sigma_from))

        return increment


class Gaussian:
    """The best denoiser there can be for data ~ N(mean, std^2), and its exact solutions."""

    def __init__(self, mean: float = 0.7, std: float = 0.5) -> None:
        self.mean, self.std, self.calls = mean, std, 0

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        self.calls += 1
        return self.mean + (x - self.mean) * (self.std**2 / (self.std**2 + sigma**2))

    def both(self, x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        estimate = self(x, sigma)
        return estimate, estimate

    def spread(self, sigma: float) -> float:
        """Standard deviation of noisy data."""
        return math.hypot(self.std, sigma)

    def noisy(self, noise: Tensor, sigma: float) -> Tensor:
        return self.mean + noise * self.spread(sigma)

    def flow(self, x: Tensor, sigma: float, sigma_end: float) -> Tensor:
        """Where the probability-flow ODE takes x."""
        return self.mean + (x - self.mean) * (self.spread(sigma_end) / self.spread(sigma))


class Wavy:
    """A smooth denoiser that no formula of a sampler is exact for."""

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        scaled = x / math.hypot(1, sigma)
        return 0.8 * torch.sin(1.3 * scaled + 0.2) + 0.3 * scaled / (1 + sigma)

    def both(self, x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        estimate = self(x, sigma)
        return estimate, 0.9 * estimate - 0.05


def plan_for(
    name: str,
    sigmas: Sequence[float] = (),
    *,
    timesteps: Sequence[int] = (),
    total: int | None = None,
    noise: NoiseSchedule = SD1,
    **options: object,
) -> Plan:
    """A plan over given levels, past all requests."""
    steps = len(sigmas or timesteps) - 1 if total is None else total
    facts = SAMPLERS.get(name)
    assert facts.name in SAMPLER_FUNCTIONS
    chosen = SamplerOptions(**options)  # type: ignore[arg-type]
    return Plan(facts, noise, tuple(sigmas), tuple(timesteps), chosen, None, steps, steps * facts.calls_per_step)


def walk(plan: Plan, denoise: object, x: Tensor, noise: object) -> Tensor:
    """The last latent."""
    return [step.x for step in run(plan, denoise, x, noise)][-1]  # type: ignore[arg-type]


def steps_of(plan: Plan, denoise: object, x: Tensor, noise: object) -> Iterator[Step]:
    return run(plan, denoise, x, noise)  # type: ignore[arg-type]
