"""The same levels, the same noise, the same denoiser: our samplers and diffusers' schedulers must agree."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import diffusers
import pytest
import torch
from torch import Tensor

from modules.engine.diffusion.timestep_samplers import ddim_timesteps
from modules.engine.diffusion.unipc import unipc_levels
from tests.engine.diffusion.fakes import SD1, FakeNoise, Wavy, plan_for, walk

SHAPE = (2, 4, 8, 8)
BETAS: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
FIRST = torch.randn(SHAPE, generator=torch.Generator().manual_seed(7))


def close(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def noise_of(x: Tensor, sigma: float) -> Tensor:
    """What an epsilon model would say of x = x0 + sigma noise."""
    return (x - Wavy()(x, sigma)) / sigma


def levels_of(scheduler: Any) -> list[float]:
    """Distinct levels: schedulers of second order list most of them twice."""
    return list(dict.fromkeys(scheduler.sigmas.tolist()))


def at_first(scheduler: Any) -> float:
    return float(scheduler.sigmas[scheduler.step_index])


def at_interpolated(scheduler: Any) -> float:
    if scheduler.state_in_first_order:
        return float(scheduler.sigmas[scheduler.step_index])
    return float(scheduler.sigmas_interpol[scheduler.step_index])


def at_interpolated_before(scheduler: Any) -> float:
    if scheduler.state_in_first_order:
        return float(scheduler.sigmas[scheduler.step_index])
    return float(scheduler.sigmas_interpol[scheduler.step_index - 1])


def at_middle(scheduler: Any) -> float:
    if scheduler.state_in_first_order:
        return float(scheduler.sigmas[scheduler.step_index])
    return float(scheduler.mid_point_sigma)


def theirs(scheduler: Any, level: Callable[[Any], float], **options: Any) -> Tensor:
    """Walk one of diffusers' schedulers whose latent is x0 + sigma noise."""
    x = FIRST * float(scheduler.sigmas[0])
    for t in scheduler.timesteps:
        scheduler.scale_model_input(x, t)
        x = scheduler.step(noise_of(x, level(scheduler)), t, x, **options).prev_sample
    return x


VE = [
    ("euler", "EulerDiscreteScheduler", at_first, {"timestep_spacing": "linspace"}),
    ("euler", "EulerDiscreteScheduler", at_first, {"use_karras_sigmas": True}),
    ("euler_a", "EulerAncestralDiscreteScheduler", at_first, {}),
    ("heun", "HeunDiscreteScheduler", at_first, {"use_karras_sigmas": True}),
    ("lms", "LMSDiscreteScheduler", at_first, {"use_karras_sigmas": True}),
    ("lms", "LMSDiscreteScheduler", at_first, {}),
    ("dpm_2", "KDPM2DiscreteScheduler", at_interpolated, {"use_karras_sigmas": True}),
    ("dpm_2_a", "KDPM2AncestralDiscreteScheduler", at_interpolated_before, {"use_karras_sigmas": True}),
]


@pytest.mark.parametrize(("name", "kind", "level", "config"), VE)
@pytest.mark.parametrize("steps", [5, 20])
def test_sigma_samplers(name: str, kind: str, level: Callable[[Any], float], config: dict, steps: int) -> None:
    scheduler = getattr(diffusers, kind)(**BETAS, **config)
    scheduler.set_timesteps(steps)
    levels, noise = levels_of(scheduler), FakeNoise(SHAPE)
    options = {"generator": FakeNoise(SHAPE).generator} if name.endswith("_a") else {}
    plan = plan_for(name, levels)
    close(walk(plan, Wavy(), FIRST * levels[0], noise), theirs(scheduler, level, **options))


def test_euler_with_churn() -> None:
    scheduler = diffusers.EulerDiscreteScheduler(**BETAS, use_karras_sigmas=True)
    scheduler.set_timesteps(12)
    levels = levels_of(scheduler)
    churn = {"s_churn": 3.0, "s_tmin": 0.1, "s_tmax": 8.0, "s_noise": 1.05}
    ours = walk(plan_for("euler", levels, **churn), Wavy(), FIRST * levels[0], FakeNoise(SHAPE))
    generator, x = FakeNoise(SHAPE).generator, FIRST * levels[0]
    gamma = min(3 / 12, math.sqrt(2) - 1)
    for t, sigma in zip(scheduler.timesteps, levels, strict=False):
        scheduler.scale_model_input(x, t)
        raised = sigma * (1 + gamma) if 0.1 <= sigma <= 8 else sigma
        # diffusers adds the noise inside `step`, so the model's answer is worked out with a copy of its generator.
        peek = torch.Generator()
        peek.set_state(generator.get_state())
        lifted = x
        if raised > sigma:
            lifted = x + torch.randn(SHAPE, generator=peek) * 1.05 * math.sqrt(raised**2 - sigma**2)
        x = scheduler.step(noise_of(lifted, raised), t, x, generator=generator, **churn).prev_sample
    close(ours, x)


@pytest.mark.parametrize("steps", [4, 16])
def test_dpmpp_sde(steps: int) -> None:
    scheduler = diffusers.DPMSolverSDEScheduler(**BETAS, use_karras_sigmas=True)
    scheduler.set_timesteps(steps)
    levels = levels_of(scheduler)
    increments = FakeNoise(SHAPE).brownian(levels[-2], levels[0])

    def path(start: Tensor, end: Tensor) -> Tensor:
        return increments(*(min(known, key=lambda level: abs(level - float(s))) for s in (start, end)))

    known = [*levels[:-1], *(math.sqrt(a * b) for a, b in zip(levels[:-2], levels[1:-1], strict=True))]
    scheduler.noise_sampler = path
    ours = walk(plan_for("dpmpp_sde", levels), Wavy(), FIRST * levels[0], FakeNoise(SHAPE))
    close(ours, theirs(scheduler, at_middle))


def theirs_preserving(scheduler: Any, path: Callable[[float, float], Tensor] | None = None) -> Tensor:
    """Walk one of diffusers' schedulers whose latent is variance-preserving; in sigma scale at the start and end."""
    levels = scheduler.sigmas.tolist()
    x = FIRST * levels[0] / math.hypot(1, levels[0])
    for i, t in enumerate(scheduler.timesteps):
        sigma, sigma_next = levels[i : i + 2]
        options = {}
        if path:
            options["variance_noise"] = path(sigma, sigma_next) if sigma_next else torch.zeros(SHAPE)
        x = scheduler.step(noise_of(x * math.hypot(1, sigma), sigma), t, x, **options).prev_sample
    return x * math.hypot(1, levels[-1])


@pytest.mark.parametrize("steps", [2, 5, 20])
def test_dpmpp_2m(steps: int) -> None:
    scheduler = diffusers.DPMSolverMultistepScheduler(**BETAS, use_karras_sigmas=True)
    scheduler.set_timesteps(steps)
    levels = scheduler.sigmas.tolist()
    ours = walk(plan_for("dpmpp_2m", levels), Wavy(), FIRST * levels[0], FakeNoise(SHAPE))
    close(ours, theirs_preserving(scheduler))


@pytest.mark.parametrize(("name", "kind"), [("dpmpp_2m_sde", "midpoint"), ("dpmpp_2m_sde_heun", "heun")])
@pytest.mark.parametrize("steps", [2, 5, 20])
def test_dpmpp_2m_sde(name: str, kind: str, steps: int) -> None:
    scheduler = diffusers.DPMSolverMultistepScheduler(
        **BETAS, use_karras_sigmas=True, algorithm_type="sde-dpmsolver++", solver_type=kind
    )
    scheduler.set_timesteps(steps)
    levels = scheduler.sigmas.tolist()
    ours = walk(plan_for(name, levels), Wavy(), FIRST * levels[0], FakeNoise(SHAPE))
    close(ours, theirs_preserving(scheduler, FakeNoise(SHAPE).brownian(levels[-2], levels[0])))


def with_timesteps(scheduler: Any, x: Tensor, count: int, **options: Any) -> Tensor:
    """The first `count` model calls of a scheduler over trained timesteps."""
    for t in scheduler.timesteps[:count]:
        sigma = SD1.levels[int(t)]
        x = scheduler.step(noise_of(x * math.hypot(1, sigma), sigma), t, x, **options).prev_sample
    return x


@pytest.mark.parametrize("eta", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("steps", [5, 20, 50])
def test_ddim(eta: float, steps: int) -> None:
    scheduler = diffusers.DDIMScheduler(**BETAS, clip_sample=False, steps_offset=1)
    scheduler.set_timesteps(steps)
    timesteps = ddim_timesteps(steps)
    assert list(timesteps) == scheduler.timesteps.tolist()
    generator = FakeNoise(SHAPE).generator
    ours = walk(plan_for("ddim", timesteps=timesteps, eta=eta), Wavy(), FIRST, FakeNoise(SHAPE))
    close(ours, with_timesteps(scheduler, FIRST, steps - 1, eta=eta, generator=generator))


@pytest.mark.parametrize("steps", [4, 5, 20])
def test_plms(steps: int) -> None:
    scheduler = diffusers.PNDMScheduler(**BETAS, skip_prk_steps=True, steps_offset=1)
    scheduler.set_timesteps(steps)
    ours = walk(plan_for("plms", timesteps=ddim_timesteps(steps)), Wavy(), FIRST, FakeNoise(SHAPE))
    close(ours, with_timesteps(scheduler, FIRST, steps))


@pytest.mark.parametrize("variant", ["bh1", "bh2"])
@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("skip", ["time_uniform", "time_quadratic", "logSNR"])
def test_unipc(variant: str, order: int, lower: bool, skip: str) -> None:
    levels = unipc_levels(skip, 15, SD1)
    scheduler = diffusers.UniPCMultistepScheduler(
        **BETAS, solver_order=order, solver_type=variant, lower_order_final=lower
    )
    scheduler.set_timesteps(15)
    scheduler.sigmas = torch.tensor(levels)
    x = FIRST / math.hypot(1, levels[0])
    for sigma, t in zip(levels, scheduler.timesteps, strict=False):
        x = scheduler.step(noise_of(x * math.hypot(1, sigma), sigma), t, x).prev_sample
    options = {"unipc_variant": variant, "unipc_order": order, "unipc_lower_order_final": lower}
    plan = plan_for("unipc", total=15, unipc_skip_type=skip, **options)
    close(walk(plan, Wavy(), FIRST / math.hypot(1, levels[0]), FakeNoise(SHAPE)), x)


@pytest.mark.parametrize("steps", [1, 4, 8])
def test_lcm(steps: int) -> None:
    scheduler = diffusers.LCMScheduler(**BETAS, timestep_scaling=10.0)
    scheduler.set_timesteps(steps)
    levels = [SD1.levels[int(t)] for t in scheduler.timesteps]
    generator = FakeNoise(SHAPE).generator
    x = with_timesteps(scheduler, FIRST * levels[0] / math.hypot(1, levels[0]), steps, generator=generator)
    close(walk(plan_for("lcm", [*levels, 0.0]), Wavy(), FIRST * levels[0], FakeNoise(SHAPE)), x)
