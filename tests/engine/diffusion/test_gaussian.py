"""Data ~ N(mean, std^2) has a best denoiser in closed form; given it, every sampler must return such data.

Deterministic samplers are compared point by point with the exact solution of the probability-flow ODE; the others by
mean and standard deviation over 32,400 values, whose own scatter is below 0.005.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from modules.engine.diffusion.sampling import Plan, plan
from modules.schema.request import GenerationRequest
from modules.schema.samplers import SAMPLERS
from tests.engine.diffusion.fakes import SD1, FakeNoise, Gaussian, plan_for, walk

SHAPE = (1, 4, 90, 90)
STEPS = 60


def first_level(plan: Plan) -> float:
    if plan.facts.domain == "sigma":
        return plan.sigmas[0]
    return SD1.sigma_max if plan.facts.name == "unipc" else SD1.levels[plan.timesteps[0]]


def last_level(plan: Plan) -> float:
    if plan.facts.name in ("dpm_fast", "dpm_adaptive"):
        return plan.sigma_min
    if plan.facts.domain == "sigma":
        return plan.sigmas[-1]
    return SD1.sigma_min if plan.facts.name == "unipc" else SD1.levels[plan.timesteps[-1]]


def planned(name: str, **options: object) -> Plan:
    return plan(GenerationRequest(sampler=SAMPLERS.get(name).label, steps=STEPS, **options), SD1)


def sampled(plan: Plan, data: Gaussian, denoise: object | None = None) -> tuple[Tensor, Tensor]:
    """(where the sampler ended, where the exact flow ends), both as x0 + sigma noise."""
    noise = FakeNoise(SHAPE, seed=3)
    first, last = first_level(plan), last_level(plan)
    x = data.noisy(noise.next(), first)
    preserving = plan.facts.domain == "timestep"
    end = walk(plan, denoise or data, x / math.hypot(1, first) if preserving else x, noise)
    return end * (math.hypot(1, last) if preserving else 1), data.flow(x, first, last)


DETERMINISTIC = [
    ("euler", {}, 0.11),
    ("heun", {}, 2e-3),
    ("lms", {}, 2e-3),
    ("dpm_2", {}, 5e-3),
    ("dpmpp_2m", {}, 2e-3),
    ("dpmpp_2s_a", {"eta": 0}, 8e-3),
    ("euler_a", {"eta": 0}, 0.11),
    ("dpm_2_a", {"eta": 0}, 5e-3),
    ("dpmpp_sde", {"eta": 0}, 8e-3),
    ("dpmpp_2m_sde", {"eta": 0}, 2e-2),
    ("dpmpp_2m_sde_heun", {"eta": 0}, 2e-2),
    ("dpmpp_3m_sde", {"eta": 0}, 5e-3),
    ("dpm_fast", {"eta": 0}, 1e-3),
    ("dpm_adaptive", {"eta": 0}, 0.07),
    ("ddim", {}, 0.09),
    ("ddim_cfgpp", {}, 0.09),
    ("plms", {}, 0.012),
    ("unipc", {}, 0.035),
    ("unipc", {"unipc_variant": "bh2"}, 0.035),
    ("unipc", {"unipc_variant": "vary_coeff"}, 0.035),
    ("unipc", {"unipc_skip_type": "logSNR"}, 1e-3),
    ("unipc", {"unipc_skip_type": "logSNR", "unipc_variant": "vary_coeff", "unipc_order": 5}, 1e-3),
]


@pytest.mark.parametrize(("name", "options", "tolerance"), DETERMINISTIC)
def test_deterministic_samplers_follow_the_flow(name: str, options: dict, tolerance: float) -> None:
    end, exact = sampled(planned(name, **options), Gaussian())
    torch.testing.assert_close(end, exact, rtol=0, atol=tolerance)


STOCHASTIC = [
    ("euler_a", {}, 0.05),
    ("dpm_2_a", {}, 0.01),
    ("dpmpp_2s_a", {}, 0.01),
    ("dpmpp_sde", {}, 0.01),
    ("dpmpp_2m_sde", {}, 0.01),
    ("dpmpp_2m_sde", {"eta": 0.5}, 0.01),
    ("dpmpp_2m_sde_heun", {}, 0.01),
    ("dpmpp_3m_sde", {}, 0.01),
    ("dpm_fast", {}, 0.01),
    ("dpm_adaptive", {}, 0.01),
    ("restart", {}, 0.01),
    ("euler", {"s_churn": 10}, 0.06),
    ("heun", {"s_churn": 10}, 0.01),
    ("dpm_2", {"s_churn": 10}, 0.01),
    ("ddim", {"eta_ddim": 1}, 0.06),
    ("ddim_cfgpp", {"eta_ddim": 1}, 0.06),
]


@pytest.mark.parametrize(("name", "options", "tolerance"), STOCHASTIC)
def test_stochastic_samplers_keep_the_distribution(name: str, options: dict, tolerance: float) -> None:
    data, chosen = Gaussian(), planned(name, **options)
    end, exact = sampled(chosen, data)
    assert end.mean().item() == pytest.approx(data.mean, abs=0.01)
    assert end.std().item() == pytest.approx(data.spread(last_level(chosen)), abs=tolerance)
    assert (end - exact).std() > 0.05, "no noise was put in"


def test_lcm_with_a_perfect_consistency_model() -> None:
    """LCM's network does not give the mean of what x may be but one end of the flow; with that, it is exact."""
    data = Gaussian()

    def consistent(x: Tensor, sigma: float) -> Tensor:
        return data.flow(x, sigma, 0.0)

    chosen = plan(GenerationRequest(sampler="LCM", steps=8), SD1)
    end, _ = sampled(chosen, data, consistent)
    assert end.mean().item() == pytest.approx(data.mean, abs=0.01)
    assert end.std().item() == pytest.approx(data.std, abs=0.01)


def test_every_sampler_is_here() -> None:
    tested = {name for name, *_ in DETERMINISTIC} | {name for name, *_ in STOCHASTIC} | {"lcm"}
    assert tested == {facts.name for facts in SAMPLERS}


ORDERS = [("euler", 1), ("heun", 2), ("dpm_2", 2), ("dpmpp_2m", 2), ("lms", 2.5), ("dpmpp_2m_sde", 1.5)]


@pytest.mark.parametrize(("name", "order"), ORDERS)
def test_error_falls_with_the_order(name: str, order: float) -> None:
    """Twice the steps between two fixed levels leave about 2^-order of the error."""
    data, x = Gaussian(), torch.tensor([[[[3.0, -5.0]]]], dtype=torch.float64)

    def error(steps: int) -> float:
        sigmas = [5 * (0.5 / 5) ** (i / steps) for i in range(steps + 1)]
        end = walk(plan_for(name, sigmas, eta=0.0), data, x, FakeNoise(x.shape, dtype=torch.float64))
        return (end - data.flow(x, 5, 0.5)).abs().max().item()

    assert error(40) / error(80) > 2**order * 0.85
