"""From a request to steps: `plan` decides, `start` makes the first latent, `run` walks.

plan_ = plan(request, schedule)
for step in run(plan_, guidance, start(plan_, noise.initial()), noise):
    ...
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from modules.engine.diffusion import dpm_solver, dpmpp, samplers, timestep_samplers, unipc
from modules.engine.diffusion.schedule import NoiseSchedule
from modules.engine.diffusion.sigmas import build_sigmas
from modules.engine.diffusion.steps import Denoise, Entry, Noise, Plan, Sampler, SamplerOptions, Step
from modules.schema.errors import BadRequest
from modules.schema.request import GenerationRequest
from modules.schema.samplers import AUTOMATIC, SAMPLERS, SCHEDULES, SamplerFacts, ScheduleFacts

__all__ = ["Denoise", "Entry", "Noise", "Plan", "SamplerOptions", "Step", "plan", "run", "start"]

SAMPLER_FUNCTIONS: dict[str, Sampler] = {
    "dpmpp_2m": dpmpp.dpmpp_2m,
    "dpmpp_sde": dpmpp.dpmpp_sde,
    "dpmpp_2m_sde": dpmpp.dpmpp_2m_sde,
    "dpmpp_2m_sde_heun": dpmpp.dpmpp_2m_sde_heun,
    "dpmpp_2s_a": dpmpp.dpmpp_2s_ancestral,
    "dpmpp_3m_sde": dpmpp.dpmpp_3m_sde,
    "euler_a": samplers.euler_ancestral,
    "euler": samplers.euler,
    "lms": samplers.lms,
    "heun": samplers.heun,
    "dpm_2": samplers.dpm_2,
    "dpm_2_a": samplers.dpm_2_ancestral,
    "dpm_fast": dpm_solver.dpm_fast,
    "dpm_adaptive": dpm_solver.dpm_adaptive,
    "restart": samplers.restart,
    "ddim": timestep_samplers.ddim,
    "ddim_cfgpp": timestep_samplers.ddim_cfgpp,
    "plms": timestep_samplers.plms,
    "unipc": unipc.unipc,
    "lcm": samplers.lcm,
}


def add_sampler(name: str, function: Sampler) -> Callable[[], None]:
    """Take in the function of a further sampler; gives back what undoes that."""
    SAMPLER_FUNCTIONS[name] = function
    return lambda: SAMPLER_FUNCTIONS.pop(name, None) and None


_IGNORES_SCHEDULES = ("dpm_fast", "dpm_adaptive")


def _schedule_type(request: GenerationRequest, facts: SamplerFacts) -> ScheduleFacts | None:
    """The schedule in use; None where the sampler has its own."""
    if facts.domain == "timestep" or facts.name in _IGNORES_SCHEDULES:
        return None
    chosen = SCHEDULES.get(request.scheduler, "scheduler")
    return SCHEDULES.get(facts.schedule) if chosen.label == AUTOMATIC else chosen


@dataclass(frozen=True)
class _Walk:
    """Which part of a schedule of `steps` steps is walked: its last `kept` + 1 steps; `kept` None is all of it.

    `exact`: counted from the end also where the schedule has more or fewer levels than steps.
    """

    steps: int
    kept: int | None = None
    exact: bool = False

    @classmethod
    def of(cls, steps: int, entry: Entry | None) -> _Walk:
        """Steps and strength to a part of a schedule, with A1111's rounding."""
        if entry is None:
            return cls(steps)
        strength = min(entry.strength, 0.999)
        return cls(int(steps / strength), steps - 1, True) if entry.exact else cls(steps, int(strength * steps))

    @property
    def calls(self) -> int:
        """Steps by A1111's count."""
        return self.steps if self.kept is None else self.kept + 1

    def sigmas(self, whole: list[float]) -> list[float]:
        if self.kept is None:
            return whole
        return whole[-(self.kept + 2) :] if self.exact else whole[self.steps - self.kept - 1 :]

    def timesteps(self, whole: tuple[int, ...]) -> tuple[tuple[int, ...], int | None]:
        """(falling timesteps to walk, the timestep whose noise the picture gets: as in A1111 the next above them).

        There are two timesteps at least, for between them there is one step.
        """
        if self.kept is None:
            return whole, None
        rising = whole[::-1]
        count = max(self.kept, 2)
        return rising[:count][::-1], rising[min(max(self.kept, 1), len(rising) - 1)]


def _falling(sigmas: list[float]) -> tuple[float, ...]:
    """Without repeated levels: a step of no length does nothing, and some samplers would divide by it."""
    return (sigmas[0], *(after for before, after in pairwise(sigmas) if after < before))


def _sigmas(
    request: GenerationRequest,
    facts: SamplerFacts,
    schedule: NoiseSchedule,
    kind: ScheduleFacts | None,
    table: str,
    walk: _Walk,
) -> list[float]:
    """All levels of the schedule, of which `walk` takes a part."""
    source = _lcm_schedule(schedule) if facts.name == "lcm" else schedule
    name, steps = kind.name if kind else request.scheduler, walk.steps
    if kind is None and walk.kept is None:
        # Those that ignore schedules need the two ends only; for a part of it the schedule says where it begins.
        name, steps = "exponential", 2
    sigmas = build_sigmas(
        name,
        steps,
        source,
        sigma_min=request.sigma_min,
        sigma_max=request.sigma_max,
        rho=request.rho,
        beta_alpha=request.beta_alpha,
        beta_beta=request.beta_beta,
        discard=kind is not None and (facts.discard or request.discard_penultimate),
        table=table,
    )
    return [float(sigma) for sigma in sigmas]


def _lcm_schedule(schedule: NoiseSchedule) -> NoiseSchedule:
    """The timesteps a latent consistency model was distilled at, as a schedule of its own."""
    stride = len(schedule.levels) // samplers.LCM_TIMESTEPS
    return NoiseSchedule(schedule.alphas_cumprod[stride - 1 :: stride])


def _one_between(calls: int, sigmas: tuple[float, ...], timesteps: tuple[int, ...]) -> int:
    """A step from each level to the next."""
    return len(sigmas or timesteps) - 1


_STEP_COUNTS: dict[str, Callable[[int, tuple[float, ...], tuple[int, ...]], int]] = {
    "dpm_fast": lambda calls, sigmas, timesteps: len(dpm_solver.fast_orders(calls)),
    "dpm_adaptive": lambda calls, sigmas, timesteps: calls,
    "restart": lambda calls, sigmas, timesteps: len(samplers.restart_path(sigmas)),
    "unipc": lambda calls, sigmas, timesteps: len(timesteps),
}


def plan(
    request: GenerationRequest, schedule: NoiseSchedule, *, table: str = "sd1", entry: Entry | None = None
) -> Plan:
    """Settle sampler, noise levels and counts of a request.

    schedule: the model's noise. table: whose values the Align Your Steps schedules take, "sd1" or "sdxl". entry: how
    the run begins with a picture; None begins with noise.
    Raises UnknownName for a sampler or schedule, BadRequest for bounds that leave no room.
    """
    facts = SAMPLERS.get(request.sampler, "sampler")
    if facts.name not in SAMPLER_FUNCTIONS:
        raise BadRequest(f"The extension of the sampler {facts.label} gave no function for it.", "sampler")
    kind = _schedule_type(request, facts)
    options = SamplerOptions.from_request(request).for_sampler(facts, request)
    if entry is not None and entry.strength <= 0:
        return Plan(facts, schedule, (), (), options, kind, 0, 0, entry_level=0.0)
    walk = _Walk.of(request.steps, entry)
    sigmas: tuple[float, ...] = ()
    timesteps: tuple[int, ...] = ()
    level: float | None = None
    largest = 0.0
    if facts.domain == "timestep":
        extra = 1 if request.discard_penultimate else 0
        timesteps, first = walk.timesteps(timestep_samplers.ddim_timesteps(walk.steps + extra))
        level = None if first is None else schedule.levels[first]
    else:
        whole = _sigmas(request, facts, schedule, kind, table, walk)
        sigmas, largest = _falling(walk.sigmas(whole)), whole[0]
        level = None if entry is None else sigmas[0]
    count = _STEP_COUNTS.get(facts.name, _one_between)
    return Plan(
        facts=facts,
        noise=schedule,
        sigmas=sigmas,
        timesteps=timesteps,
        options=options,
        schedule_type=kind,
        total_steps=count(walk.calls, sigmas, timesteps),
        total_calls=walk.calls * facts.calls_per_step,
        one_by_one=facts.name == "dpm_adaptive",
        sigma_max=largest,
        entry_level=level,
    )


def start(plan: Plan, noise: Tensor, latents: Tensor | None = None, extra_noise: float = 0.0) -> Tensor:
    """The latent of the first step from noise of unit variance [B,C,h,w], and the clean `latents` of a picture where
    the plan begins with one; `extra_noise` is then put on it beyond what the steps expect.
    """
    if plan.entry_level is not None and latents is not None:
        noisy = torch.add(latents, noise, alpha=plan.entry_level + extra_noise)
        timestep = plan.facts.domain == "timestep"
        return noisy * timestep_samplers.root_alpha(plan.entry_level) if timestep else noisy
    if plan.facts.domain == "timestep":
        return noise
    first = plan.sigmas[0]
    return noise * (math.hypot(1, first) if plan.options.sgm_noise_multiplier else first)


@torch.no_grad()
def run(plan: Plan, guidance: Denoise, x: Tensor, noise_stream: Noise) -> Iterator[Step]:
    """Walk from x to the finished latent, one `Step` at a time; whoever stops asking has interrupted it."""
    yield from SAMPLER_FUNCTIONS[plan.facts.name](guidance, x, plan, noise_stream)
