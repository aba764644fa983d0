"""Samplers that diffusers has no equal of, against their published definitions, in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from modules.engine.diffusion.samplers import restart_path
from modules.engine.diffusion.sigmas import build_sigmas, karras
from modules.engine.diffusion.timestep_samplers import ddim_timesteps
from tests.engine.diffusion import definitions
from tests.engine.diffusion.fakes import SD1, FakeNoise, Wavy, plan_for, steps_of, walk

SHAPE = (2, 4, 6, 6)
FIRST = torch.randn(SHAPE, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


def noise() -> FakeNoise:
    return FakeNoise(SHAPE, dtype=torch.float64)


def levels(steps: int) -> list[float]:
    return build_sigmas("karras", steps, SD1).tolist()


def close(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("eta", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("steps", [1, 2, 3, 12])
def test_second_and_third_order_stochastic(eta: float, steps: int) -> None:
    sigmas, x = levels(steps), FIRST * 14.6
    options = {"eta": eta, "s_noise": 1.03}
    path = noise().brownian(sigmas[-2], sigmas[0])
    expected = definitions.dpmpp_2s_ancestral(Wavy(), x, sigmas, noise().next, eta, 1.03)
    close(walk(plan_for("dpmpp_2s_a", sigmas, **options), Wavy(), x, noise()), expected)
    if eta:
        expected = definitions.dpmpp_sde(Wavy(), x, sigmas, path, eta, 1.03)
        close(walk(plan_for("dpmpp_sde", sigmas, **options), Wavy(), x, noise()), expected)
    path = noise().brownian(sigmas[-2], sigmas[0])
    expected = definitions.dpmpp_3m_sde(Wavy(), x, sigmas, path, eta, 1.03)
    close(walk(plan_for("dpmpp_3m_sde", sigmas, **options), Wavy(), x, noise()), expected)


@pytest.mark.parametrize("eta", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("calls", [1, 2, 3, 4, 6, 20])
def test_dpm_fast(eta: float, calls: int) -> None:
    high, low, x = 14.6, 0.03, FIRST * 14.6
    expected = definitions.dpm_fast(Wavy(), x, high, low, calls, noise().next, eta)
    close(walk(plan_for("dpm_fast", [high, low, 0.0], total=calls, eta=eta), Wavy(), x, noise()), expected)


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_dpm_adaptive(eta: float) -> None:
    high, low, x = 14.6, 0.03, FIRST * 14.6
    expected = definitions.dpm_adaptive(Wavy(), x, high, low, noise().next, eta)
    plan = plan_for("dpm_adaptive", [high, low, 0.0], eta=eta)
    # Rounding is fed back through the step size.
    torch.testing.assert_close(walk(plan, Wavy(), x, noise()), expected, rtol=1e-6, atol=1e-6)
    steps = list(steps_of(plan, Wavy(), x, noise()))
    assert [step.index for step in steps] == list(range(1, len(steps) + 1))
    assert all(step.index < step.total for step in steps[:-1])
    assert steps[-1].index == steps[-1].total


@pytest.mark.parametrize("steps", [1, 5, 15])
def test_heun_with_churn(steps: int) -> None:
    sigmas, x = levels(steps), FIRST * 14.6
    churn = {"s_churn": 4.0, "s_tmin": 0.05, "s_tmax": 9.0, "s_noise": 1.02}
    expected = definitions.heun_with_churn(Wavy(), x, sigmas, noise().next, churn)
    close(walk(plan_for("heun", sigmas, **churn), Wavy(), x, noise()), expected)


def test_restart_below_twenty_steps_is_heun() -> None:
    sigmas, x = levels(19), FIRST * 14.6
    close(walk(plan_for("restart", sigmas), Wavy(), x, noise()), walk(plan_for("heun", sigmas), Wavy(), x, noise()))


@pytest.mark.parametrize(("steps", "main", "length", "times"), [(20, 11, 9, 1), (35, 26, 9, 1), (40, 20, 10, 2)])
def test_restart_path(steps: int, main: int, length: int, times: int) -> None:
    path = restart_path(levels(steps))
    assert len(path) == steps
    jumps = [i for i in range(1, steps) if path[i][0] > path[i - 1][1]]
    assert len(jumps) == times
    walked = [*karras(main, SD1.sigma_min, SD1.sigma_max), 0.0]
    low = min(walked, key=lambda sigma: abs(sigma - 0.1))
    high = min(walked, key=lambda sigma: abs(sigma - 2))
    for jump in jumps:
        segment = path[jump : jump + length]
        assert [a for a, _ in segment] == pytest.approx(karras(length + 1, low, high)[:-1])
        assert segment[-1][1] == pytest.approx(low)
    outside = set(range(steps)) - {j + k for j in jumps for k in range(length)}
    assert [path[i][0] for i in sorted(outside)] == pytest.approx(walked[:-1])


def test_restart_adds_the_missing_noise() -> None:
    """With nothing to learn (denoised is always 0) a Heun step only scales, so the added noise can be followed."""
    path, source, x = restart_path(levels(40)), noise(), FIRST.clone()
    expected, reached = x, math.inf
    for sigma, sigma_next in path:
        if sigma > reached:
            expected = expected + source.next() * 1.1 * math.sqrt(sigma**2 - reached**2)
        expected, reached = expected * (sigma_next / sigma), sigma_next
    plan = plan_for("restart", levels(40), s_noise=1.1)
    steps = list(steps_of(plan, lambda x, sigma: torch.zeros_like(x), x, noise()))
    assert source.draws == 2
    close(steps[-1].x, expected)


@pytest.mark.parametrize("eta", [0.0, 0.5])
def test_ddim_cfgpp(eta: float) -> None:
    timesteps = ddim_timesteps(12)
    alphas = [1 / (1 + SD1.levels[t] ** 2) for t in timesteps]
    x, source, model = FIRST, noise(), Wavy()
    for t, a, a_next in zip(timesteps, alphas[:-1], alphas[1:], strict=False):
        guided, unguided = model.both(x / math.sqrt(a), SD1.levels[t])
        sigma = eta * math.sqrt((1 - a_next) / (1 - a) * (1 - a / a_next))
        eps = (x - math.sqrt(a) * unguided) / math.sqrt(1 - a)
        x = math.sqrt(a_next) * guided + math.sqrt(1 - a_next - sigma**2) * eps
        if eta:
            x = x + sigma * source.next()
    close(walk(plan_for("ddim_cfgpp", timesteps=timesteps, eta=eta), model, FIRST, noise()), x)


def test_lcm_between_its_timesteps() -> None:
    """The network is asked at the nearest of every 20th timestep; its noise is taken at the true sigma."""
    sigmas, asked = [14.0, 3.0, 0.5, 0.0], []

    def model(x: Tensor, sigma: float) -> Tensor:
        asked.append(SD1.sigma_to_t(sigma))
        return Wavy()(x, sigma)

    ours = walk(plan_for("lcm", sigmas), model, FIRST * 14, noise())
    assert all(t % 20 == 19 for t in asked)
    x, source = FIRST * 14, noise()
    for sigma, sigma_next, t in zip(sigmas[:-1], sigmas[1:], asked, strict=True):
        known = SD1.levels[int(t)]
        seen = x / math.sqrt(sigma**2 + 1)
        eps = (seen * math.hypot(known, 1) - Wavy()(seen * math.hypot(known, 1), known)) / known
        tau = 10 * t
        x = tau / math.sqrt(tau**2 + 0.25) * (x - sigma * eps) + 0.25 / (tau**2 + 0.25) * x
        if sigma_next:
            x = x + sigma_next * source.next()
    close(ours, x)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_unipc_exact_weights_are_exact_for_polynomials(order: int) -> None:
    """If the estimate is a polynomial in log sigma of a degree that the order covers, every step is exact.

    Then x / sigma changes by the integral of exp(-t) (x0 - x) over t = -log(sigma), known in closed form.
    """

    def model(x: Tensor, sigma: float) -> Tensor:
        return torch.full_like(x, math.log(sigma) ** order)

    def exact(sigma: float) -> float:
        """A particular solution of dx/dlog(sigma) = x - log(sigma)^order: repeated derivatives summed."""
        log, value = math.log(sigma), 0.0
        for k in range(order + 1):
            value += math.factorial(order) / math.factorial(order - k) * log ** (order - k)
        return value

    options = {"unipc_variant": "vary_coeff", "unipc_order": order, "unipc_lower_order_final": False}
    plan = plan_for("unipc", total=12, unipc_skip_type="logSNR", **options)
    walked = steps_of(plan, model, torch.zeros(1, 1, 1, 1, dtype=torch.float64), noise())
    ends = [step.x.item() * math.hypot(1, step_end(step.index)) for step in walked]
    for i in range(order, 11):  # corrected steps, once enough estimates are known
        start, end = step_end(i), step_end(i + 1)
        expected = exact(end) + (ends[i - 1] - exact(start)) * end / start
        assert ends[i] == pytest.approx(expected, rel=1e-9)


def step_end(index: int) -> float:
    high, low = math.log(SD1.sigma_max), math.log(SD1.sigma_min)
    return math.exp(high + (low - high) * index / 12)
