import math

import pytest
import torch
from torch import Tensor

from modules.engine.diffusion.guidance import Guidance, Words
from modules.engine.diffusion.prediction import denoiser
from modules.engine.diffusion.sampling import SAMPLER_FUNCTIONS, Plan, plan, run, start
from modules.engine.diffusion.schedule import NoiseSchedule, downcast, zero_terminal_snr
from modules.schema.errors import BadRequest
from modules.schema.request import GenerationRequest
from modules.schema.samplers import SAMPLERS, SCHEDULES
from tests.engine.diffusion.fakes import SD1, FakeNoise, Gaussian, Wavy, steps_of, walk

SHAPE = (1, 4, 4, 4)


def planned(sampler: str, steps: int = 20, noise: NoiseSchedule = SD1, **options: object) -> Plan:
    return plan(GenerationRequest(sampler=sampler, steps=steps, **options), noise)


def test_every_sampler_has_its_function() -> None:
    assert set(SAMPLER_FUNCTIONS) == {facts.name for facts in SAMPLERS}


@pytest.mark.parametrize("sampler", SAMPLERS.labels())
@pytest.mark.parametrize("steps", [1, 2, 3, 7, 20, 41])
def test_steps_are_counted(sampler: str, steps: int) -> None:
    chosen, noise = planned(sampler, steps), FakeNoise(SHAPE)
    walked = list(run(chosen, Wavy(), start(chosen, noise.next()), noise))
    assert walked
    assert torch.isfinite(walked[-1].x).all()
    assert [step.index for step in walked] == list(range(1, len(walked) + 1))
    assert walked[-1].index == walked[-1].total
    if sampler != "DPM adaptive":
        assert len(walked) == chosen.total_steps
        assert {step.total for step in walked} == {chosen.total_steps}


CALLS = [
    ("Euler", 20, 20),
    ("Heun", 20, 39),
    ("DPM2", 20, 39),
    ("DPM++ SDE", 20, 39),
    ("DPM++ 2M", 20, 20),
    ("DPM fast", 20, 20),
    ("Restart", 20, 39),
    ("DDIM", 20, 19),
    ("DDIM", 30, 30),
    ("DDIM", 50, 49),
    ("DDIM", 7, 7),
    ("PLMS", 20, 20),
    ("UniPC", 20, 20),
    ("UniPC", 30, 31),
    ("LCM", 4, 4),
]


@pytest.mark.parametrize(("sampler", "steps", "calls"), CALLS)
def test_model_calls(sampler: str, steps: int, calls: int) -> None:
    data, noise = Gaussian(), FakeNoise(SHAPE)
    chosen = planned(sampler, steps)
    walk(chosen, data, start(chosen, noise.next()), noise)
    assert data.calls == calls


@pytest.mark.parametrize(
    ("steps", "count", "head", "tail"),
    [(20, 20, 951, 1), (30, 31, 991, 1), (50, 50, 981, 1), (7, 8, 995, 1), (1, 2, 999, 1), (1000, 1000, 999, 1)],
)
def test_timesteps(steps: int, count: int, head: int, tail: int) -> None:
    timesteps = planned("DDIM", steps).timesteps
    assert (len(timesteps), timesteps[0], timesteps[-1]) == (count, head, tail)
    assert planned("DDIM", steps).total_steps == count - 1


def test_automatic_schedules() -> None:
    for facts in SAMPLERS:
        kind = planned(facts.label).schedule_type
        if facts.domain == "timestep" or facts.name in ("dpm_fast", "dpm_adaptive"):
            assert kind is None
        else:
            assert kind == SCHEDULES.get(facts.schedule)
    assert planned("DPM++ 2M", scheduler="Exponential").schedule_type == SCHEDULES.get("exponential")


def test_discarding() -> None:
    """DPM2 leaves out the last but one level by itself; asking for it once more changes nothing."""
    by_itself, asked = planned("DPM2", 6), planned("DPM2", 6, discard_penultimate=True)
    assert by_itself.sigmas == asked.sigmas
    assert by_itself.sigmas[5] == pytest.approx(0.1303, abs=1e-4)
    assert planned("DPM++ 2M", 6, discard_penultimate=True).sigmas == by_itself.sigmas


def test_bounds_and_rho_of_the_request() -> None:
    chosen = planned("DPM++ 2M", 6, sigma_min=0.1, sigma_max=10.0)
    assert chosen.sigmas[0] == pytest.approx(10)
    assert chosen.sigmas[-2] == pytest.approx(0.1)
    assert planned("DPM fast", sigma_min=0.1).sigma_min == pytest.approx(0.1)
    with pytest.raises(BadRequest):
        planned("DPM++ 2M", sigma_min=20.0)


def test_repeated_levels_are_dropped() -> None:
    chosen = planned("DPM++ 2M", 50, scheduler="Beta", beta_alpha=0.01, beta_beta=0.01)
    assert all(after < before for before, after in chosen.intervals)
    assert chosen.total_steps == len(chosen.sigmas) - 1 < 50
    noise = FakeNoise(SHAPE)
    assert torch.isfinite(walk(chosen, Wavy(), start(chosen, noise.next()), noise)).all()


@pytest.mark.parametrize("noise", [zero_terminal_snr(SD1), downcast(SD1)], ids=["zero-snr", "downcast"])
@pytest.mark.parametrize("sampler", SAMPLERS.labels())
def test_other_noise_schedules(noise: NoiseSchedule, sampler: str) -> None:
    chosen, source = planned(sampler, 20, noise), FakeNoise(SHAPE)
    data = Gaussian()
    end = walk(chosen, data, start(chosen, source.next()), source)
    assert torch.isfinite(end).all()
    assert (end - data.mean).abs().max() < 8


def test_start() -> None:
    noise = torch.randn(2, 4, 8, 8)
    chosen = planned("Euler")
    torch.testing.assert_close(start(chosen, noise), noise * chosen.sigmas[0])
    scaled = planned("Euler", sgm_noise_multiplier=True)
    torch.testing.assert_close(start(scaled, noise), noise * math.sqrt(1 + chosen.sigmas[0] ** 2))
    assert start(planned("DDIM"), noise) is noise
    assert start(planned("UniPC", sgm_noise_multiplier=True), noise) is noise


def test_options_that_a_sampler_does_not_honour_are_dropped() -> None:
    wishes = {"s_churn": 5.0, "s_noise": 1.1, "s_tmax": 3.0}
    assert planned("Euler", **wishes).options.s_churn == 5
    assert planned("Euler", **wishes).options.s_tmax == 3
    assert planned("Euler").options.s_tmax == math.inf
    assert planned("Euler a", **wishes).options.s_churn == 0
    assert planned("Euler a", **wishes).options.s_noise == 1


def test_eta() -> None:
    assert planned("Euler a").options.eta == 1
    assert planned("Euler a", eta=0.3, eta_ddim=0.9).options.eta == 0.3
    assert planned("DDIM").options.eta == 0
    assert planned("DDIM", eta_ddim=0.9).options.eta == 0.9
    assert planned("DDIM", eta=0.4).options.eta == 0.4


DRAWS = [("Euler a", 19), ("Euler", 0), ("DDIM", 0), ("DPM++ 2S a", 19), ("DPM2 a", 19), ("LCM", 19), ("Restart", 1)]


@pytest.mark.parametrize(("sampler", "draws"), DRAWS)
def test_one_draw_for_every_noisy_step(sampler: str, draws: int) -> None:
    chosen, noise = planned(sampler), FakeNoise(SHAPE)
    walk(chosen, Wavy(), torch.ones(SHAPE), noise)
    assert noise.draws == draws


@pytest.mark.parametrize("sampler", SAMPLERS.labels())
def test_handed_out_latents_are_never_changed(sampler: str) -> None:
    """A reader may keep a step's tensors, for a preview that is drawn later."""
    chosen, noise = planned(sampler, 21), FakeNoise(SHAPE)
    first = start(chosen, noise.next())
    before, kept, copies = first.clone(), [], []
    for step in steps_of(chosen, Wavy(), first, noise):
        kept += [step.x, step.denoised]
        copies += [step.x.clone(), step.denoised.clone()]
    assert torch.equal(first, before)
    assert all(torch.equal(a, b) for a, b in zip(kept, copies, strict=True))


@pytest.mark.parametrize("sampler", SAMPLERS.labels())
def test_gradients_are_never_recorded(sampler: str) -> None:
    weight = torch.ones(1, requires_grad=True)
    chosen, noise = planned(sampler, 5), FakeNoise(SHAPE)

    class Trained(Wavy):
        def __call__(self, x: Tensor, sigma: float) -> Tensor:
            return super().__call__(x, sigma) * weight

    for step in steps_of(chosen, Trained(), torch.ones(SHAPE), noise):
        assert not step.x.requires_grad
        assert torch.is_grad_enabled()


@pytest.mark.parametrize("sampler", [label for label in SAMPLERS.labels() if label != "DPM adaptive"])
def test_a_picture_does_not_depend_on_its_batch(sampler: str) -> None:
    class Rows(FakeNoise):
        """Row r of a bigger batch's noise."""

        def __init__(self, rows: slice) -> None:
            super().__init__((3, *SHAPE[1:]))
            self.rows = rows

        def next(self) -> Tensor:
            return super().next()[self.rows]

        def brownian(self, sigma_min: float, sigma_max: float):  # noqa: ANN202
            whole = FakeNoise(self.shape, seed=9).brownian(sigma_min, sigma_max)
            return lambda start, end: whole(start, end)[self.rows]

    chosen, x = planned(sampler, 10), torch.randn(3, *SHAPE[1:])
    first = start(chosen, x)
    together = walk(chosen, Wavy(), first, Rows(slice(None)))
    alone = walk(chosen, Wavy(), first[1:2], Rows(slice(1, 2)))
    assert torch.equal(together[1:2], alone)
    assert not chosen.one_by_one


def test_adaptive_sampling_is_to_be_done_singly() -> None:
    assert planned("DPM adaptive").one_by_one


@pytest.mark.parametrize("prediction", ["epsilon", "v"])
@pytest.mark.parametrize("sampler", SAMPLERS.labels())
def test_the_whole_way_through_a_network(sampler: str, prediction: str) -> None:
    """Network, prediction, guidance and sampler together: the prompt shifts a Gaussian, guidance doubles that."""
    data = Gaussian(0.2, 0.4)

    def network(x: Tensor, t: Tensor, cross: Tensor) -> Tensor:
        sigma = SD1.t_to_sigma(t[0].item())
        root = math.hypot(1, sigma)
        estimate = data(x * root, sigma) + cross.mean(dim=(1, 2))[:, None, None, None]
        eps = (x * root - estimate) / sigma
        return eps if prediction == "epsilon" else eps / root - sigma / root * estimate

    chosen = planned(sampler, 30)
    cond, uncond = torch.full((1, 77, 2), 0.5), torch.zeros(1, 77, 2)
    scale = 25.0 if sampler == "DDIM CFG++" else 2.0
    words = Words((cond,), uncond)
    guidance = Guidance(denoiser(network, SD1, prediction), words, scale, total_calls=chosen.total_calls)
    noise = FakeNoise((1, 4, 32, 32))
    end = walk(chosen, guidance, start(chosen, noise.next()), noise)
    assert torch.isfinite(end).all()
    assert end.mean().item() > 0.8, "the guidance moved the picture away from 0.2 by twice the prompt's 0.5 and more"
