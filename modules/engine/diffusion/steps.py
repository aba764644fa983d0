"""What goes into a sampler and what comes out of it: small values, shared by all samplers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from torch import Tensor

from modules.engine.diffusion.schedule import NoiseSchedule
from modules.schema.request import GenerationRequest
from modules.schema.samplers import SamplerFacts, ScheduleFacts


class Denoise(Protocol):
    """A noisy latent [B,C,h,w] with noise of level sigma -> an estimate of it without noise."""

    def __call__(self, x: Tensor, sigma: float) -> Tensor: ...

    def both(self, x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        """(guided estimate for CFG++, estimate of the negative prompt); asked for by CFG++ samplers only."""
        ...


class Noise(Protocol):
    """Where the random numbers of a batch come from: every picture has its own stream."""

    def next(self) -> Tensor:
        """The next draw of every picture, [B,C,h,w], of unit variance."""
        ...

    def brownian(self, sigma_min: float, sigma_max: float) -> Callable[[float, float], Tensor]:
        """(sigma_from, sigma_to) -> increment of a Brownian path over that range, scaled to unit variance."""
        ...


@dataclass(frozen=True)
class SamplerOptions:
    """The sampler's share of a request; `s_tmax` is inf where there is no limit."""

    eta: float = 1.0
    s_churn: float = 0.0
    s_tmin: float = 0.0
    s_tmax: float = math.inf
    s_noise: float = 1.0
    sgm_noise_multiplier: bool = False
    unipc_variant: str = "bh1"
    unipc_skip_type: str = "time_uniform"
    unipc_order: int = 3
    unipc_lower_order_final: bool = True

    @classmethod
    def from_request(cls, request: GenerationRequest) -> SamplerOptions:
        """Options of a sampler of the sigma family; `for_sampler` fits them to a certain one."""
        return cls(
            eta=1.0 if request.eta is None else request.eta,
            s_churn=request.s_churn,
            s_tmin=request.s_tmin,
            s_tmax=request.s_tmax or math.inf,
            s_noise=request.s_noise,
            sgm_noise_multiplier=request.sgm_noise_multiplier,
            unipc_variant=request.unipc_variant,
            unipc_skip_type=request.unipc_skip_type,
            unipc_order=request.unipc_order,
            unipc_lower_order_final=request.unipc_lower_order_final,
        )

    def for_sampler(self, facts: SamplerFacts, request: GenerationRequest) -> SamplerOptions:
        """Without what that sampler does not honour; a timestep sampler's eta is `eta_ddim` unless eta is given."""
        timestep_eta = request.eta_ddim if request.eta is None else request.eta
        return replace(
            self,
            eta=timestep_eta if facts.domain == "timestep" else self.eta,
            s_churn=self.s_churn if facts.churn else 0.0,
            s_noise=self.s_noise if facts.s_noise else 1.0,
        )


@dataclass(frozen=True)
class Entry:
    """How a run begins with a picture instead of pure noise.

    `strength` 0..1: how much of the schedule is walked; 0 walks none of it. `exact`: as many steps as were asked for,
    at the end of a longer schedule, instead of about steps x strength.
    """

    strength: float
    exact: bool = False


@dataclass(frozen=True, eq=False)
class Plan:
    """All that is settled before the first step.

    sigmas: noise levels from the first step to the end, falling; the last is 0 but for KL Optimal.
    timesteps: for samplers of the timestep family instead, falling trained timesteps (sigmas is empty).
    schedule_type: the schedule that made `sigmas`, "Automatic" resolved; None where the sampler ignores schedules.
    total_steps: how many `Step`s will come (an estimate for DPM adaptive).
    total_calls: model calls by A1111's count, which fractions of the sampling refer to.
    one_by_one: a picture depends on the others of its batch, so sample them singly for the same picture each time.
    sigma_max: largest level of the whole schedule, of which `sigmas` may be the end; 0 is the first of `sigmas`.
    entry_level: sigma of the noise to put on the picture that the run begins with; None: it begins with pure noise.
    """

    facts: SamplerFacts
    noise: NoiseSchedule
    sigmas: tuple[float, ...]
    timesteps: tuple[int, ...]
    options: SamplerOptions
    schedule_type: ScheduleFacts | None
    total_steps: int
    total_calls: int
    one_by_one: bool = False
    sigma_max: float = 0.0
    entry_level: float | None = None

    @property
    def largest_sigma(self) -> float:
        """Where the Brownian path of a run ends, however much of it is walked."""
        return self.sigma_max or self.sigmas[0]

    @property
    def sigma_min(self) -> float:
        """Smallest level above 0."""
        return min(sigma for sigma in self.sigmas if sigma > 0)

    @property
    def intervals(self) -> list[tuple[float, float]]:
        """(sigma, next sigma) of every step."""
        return list(zip(self.sigmas[:-1], self.sigmas[1:], strict=True))


@dataclass(frozen=True, eq=False)
class Step:
    """After step `index` (from 1) of `total`: the latent `x` [B,C,h,w] as it now is, in the model's own scale.

    denoised: the newest estimate of the finished latent [B,C,h,w]. sigma: the noise level this step began at.
    """

    index: int
    total: int
    x: Tensor
    denoised: Tensor
    sigma: float


Sampler = Callable[[Denoise, Tensor, Plan, Noise], Iterator[Step]]
