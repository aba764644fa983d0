import math

import pytest
import torch

from modules.engine.diffusion.schedule import NoiseSchedule, downcast, zero_terminal_snr
from tests.engine.diffusion.fakes import SD1


def test_ends_are_those_of_sd1() -> None:
    assert SD1.alphas_cumprod.shape == (1000,)
    assert SD1.sigma_min == pytest.approx(0.0291672, abs=2e-6)
    assert SD1.sigma_max == pytest.approx(14.614643, abs=1e-5)
    assert torch.all(SD1.sigmas.diff() > 0)


def test_equals_diffusers() -> None:
    from diffusers import DDIMScheduler

    theirs = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear").alphas_cumprod
    torch.testing.assert_close(SD1.alphas_cumprod, theirs, rtol=1e-5, atol=0)


@pytest.mark.parametrize("t", [0.0, 1.0, 0.25, 500.5, 998.75, 999.0])
def test_timestep_and_sigma_are_inverse(t: float) -> None:
    assert SD1.sigma_to_t(SD1.t_to_sigma(t)) == pytest.approx(t, abs=1e-9)


def test_trained_levels_are_hit_exactly() -> None:
    assert [SD1.sigma_to_t(sigma) for sigma in SD1.levels] == list(range(1000))


def test_log_linear_between_timesteps() -> None:
    low, high = SD1.levels[400:402]
    assert SD1.t_to_sigma(400.5) == pytest.approx(math.sqrt(low * high))
    assert SD1.log_sigmas[400].exp() == pytest.approx(low)


def test_quantized_takes_the_nearest_timestep() -> None:
    assert SD1.sigma_to_t(SD1.t_to_sigma(400.4), quantize=True) == 400
    assert SD1.sigma_to_t(SD1.t_to_sigma(400.6), quantize=True) == 401


@pytest.mark.parametrize(("sigma", "t"), [(1e-4, 0), (1000, 999)])
def test_outside_the_training_is_clamped(sigma: float, t: float) -> None:
    assert SD1.sigma_to_t(sigma) == t
    assert SD1.sigma_to_t(sigma, quantize=True) == t


def test_zero_terminal_snr() -> None:
    rescaled = zero_terminal_snr(SD1)
    assert rescaled.sigma_max == pytest.approx(4518.76, abs=0.05)
    assert rescaled.sigma_min == pytest.approx(SD1.sigma_min, rel=1e-4)
    assert torch.all(rescaled.alphas_cumprod.diff() < 0)


def test_zero_terminal_snr_equals_diffusers() -> None:
    from diffusers import DDIMScheduler

    theirs = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", rescale_betas_zero_snr=True
    ).alphas_cumprod
    torch.testing.assert_close(zero_terminal_snr(SD1).alphas_cumprod[:-1], theirs[:-1], rtol=1e-4, atol=1e-6)


def test_downcast_rounds_to_half_precision() -> None:
    alphas = downcast(SD1).alphas_cumprod
    torch.testing.assert_close(alphas, SD1.alphas_cumprod.half().float(), rtol=0, atol=0)
    assert not torch.equal(alphas, SD1.alphas_cumprod)
    assert 0 < downcast(SD1).sigma_to_t(5.0) < 999


def test_repeated_levels_are_no_trouble() -> None:
    coarse = NoiseSchedule(torch.tensor([0.9, 0.9, 0.5, 0.5]))
    assert [coarse.sigma_to_t(sigma) for sigma in coarse.levels] == [1, 1, 2, 2]
    assert coarse.sigma_to_t(0.1) == 0
