"""From a request to steps: `plan` decides, `start` makes the first latent, `run` walks.

plan_ = plan(request, schedule)
for step in run(plan_, guidance, start(plan_, noise.initial()), noise):
    ...
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
from torch import Tensor

from modules.engine.diffusion import dpm_solver, dpmpp, samplers, timestep_samplers, unipc
from modules.engine.diffusion.schedule import NoiseSchedule
from modules.engine.diffusion.sigmas import build_sigmas
from modules.engine.diffusion.steps import Denoise, Noise, Plan, Sampler, SamplerOptions, Step
from modules.schema.request import GenerationRequest
from modules.schema.samplers import AUTOMATIC, SAMPLERS, SCHEDULES, SamplerFacts, ScheduleFacts

__all__ = ["Denoise", "Noise", "Plan", "SamplerOptions", "Step", "plan", "run", "start"]

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

_IGNORES_SCHEDULES = ("dpm_fast", "dpm_adaptive")


def _schedule_type(request: GenerationRequest, facts: SamplerFacts) -> ScheduleFacts | None:
    """The schedule in use; None where the sampler has its own."""
    if facts.domain == "timestep" or facts.name in _IGNORES_SCHEDULES:
        return None
    chosen = SCHEDULES.get(request.scheduler, "scheduler")
    return SCHEDULES.get(facts.schedule) if chosen.label == AUTOMATIC else chosen


def _falling(sigmas: list[float]) -> tuple[float, ...]:
    """Without repeated levels: a step of no length does nothing, and some samplers would divide by it."""
    return (sigmas[0], *(after for before, after in pairwise(sigmas) if after < before))


def _sigmas(
    request: GenerationRequest, facts: SamplerFacts, schedule: NoiseSchedule, kind: ScheduleFacts | None, table: str
) -> tuple[float, ...]:
    if facts.domain == "timestep":
        return ()
    source = _lcm_schedule(schedule) if facts.name == "lcm" else schedule
    # Those that ignore schedules need the two ends only.
    name, steps = (kind.name, request.steps) if kind else ("exponential", 2)
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
    return _falling([float(sigma) for sigma in sigmas])


def _lcm_schedule(schedule: NoiseSchedule) -> NoiseSchedule:
    """The timesteps a latent consistency model was distilled at, as a schedule of its own."""
    stride = len(schedule.levels) // samplers.LCM_TIMESTEPS
    return NoiseSchedule(schedule.alphas_cumprod[stride - 1 :: stride])


def _one_between(request: GenerationRequest, sigmas: tuple[float, ...], timesteps: tuple[int, ...]) -> int:
    """A step from each level to the next."""
    return len(sigmas or timesteps) - 1


_STEP_COUNTS: dict[str, Callable[[GenerationRequest, tuple[float, ...], tuple[int, ...]], int]] = {
    "dpm_fast": lambda request, sigmas, timesteps: len(dpm_solver.fast_orders(request.steps)),
    "dpm_adaptive": lambda request, sigmas, timesteps: request.steps,
    "restart": lambda request, sigmas, timesteps: len(samplers.restart_path(sigmas)),
    "unipc": lambda request, sigmas, timesteps: len(timesteps),
}


def plan(request: GenerationRequest, schedule: NoiseSchedule, *, table: str = "sd1") -> Plan:
    """Settle sampler, noise levels and counts of a request.

    schedule: the model's noise. table: whose values the Align Your Steps schedules take, "sd1" or "sdxl".
    Raises UnknownName for a sampler or schedule, BadRequest for bounds that leave no room.
    """
    facts = SAMPLERS.get(request.sampler, "sampler")
    kind = _schedule_type(request, facts)
    sigmas = _sigmas(request, facts, schedule, kind, table)
    extra = 1 if request.discard_penultimate else 0
    timesteps = timestep_samplers.ddim_timesteps(request.steps + extra) if facts.domain == "timestep" else ()
    count = _STEP_COUNTS.get(facts.name, _one_between)
    return Plan(
        facts=facts,
        noise=schedule,
        sigmas=sigmas,
        timesteps=timesteps,
        options=SamplerOptions.from_request(request).for_sampler(facts, request),
        schedule_type=kind,
        total_steps=count(request, sigmas, timesteps),
        total_calls=request.steps * facts.calls_per_step,
        one_by_one=facts.name == "dpm_adaptive",
    )


def start(plan: Plan, noise: Tensor) -> Tensor:
    """The latent of the first step from noise of unit variance [B,C,h,w]."""
    if plan.facts.domain == "timestep":
        return noise
    first = plan.sigmas[0]
    return noise * (math.hypot(1, first) if plan.options.sgm_noise_multiplier else first)


@torch.no_grad()
def run(plan: Plan, guidance: Denoise, x: Tensor, noise_stream: Noise) -> Iterator[Step]:
    """Walk from x to the finished latent, one `Step` at a time; whoever stops asking has interrupted it."""
    yield from SAMPLER_FUNCTIONS[plan.facts.name](guidance, x, plan, noise_stream)
