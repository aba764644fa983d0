"""Runs that begin with a picture: how many steps, from which noise level."""

from __future__ import annotations

import pytest
import torch

from modules.engine.diffusion.masking import Mix, SoftMix
from modules.engine.diffusion.sampling import Entry, plan, start
from modules.engine.diffusion.schedule import scaled_linear
from modules.schema.request import GenerationRequest
from modules.schema.samplers import SAMPLERS, SCHEDULES

SD1 = scaled_linear()


@pytest.mark.parametrize(
    ("steps", "strength", "exact", "expected"),
    [
        (20, 0.75, False, 16),
        (20, 0.5, False, 11),
        (20, 1.0, False, 20),
        (20, 0.04, False, 1),
        (20, 0.0, False, 0),
        (30, 0.35, False, 11),
        (20, 0.75, True, 20),
        (20, 0.3, True, 20),
        (20, 0.0, True, 0),
    ],
)
def test_step_counts(steps: int, strength: float, exact: bool, expected: int) -> None:
    request = GenerationRequest(sampler="Euler", scheduler="Karras", steps=steps)
    assert plan(request, SD1, entry=Entry(strength, exact)).total_steps == expected


def test_the_walk_is_the_end_of_the_schedule() -> None:
    request = GenerationRequest(sampler="Euler", scheduler="Karras", steps=20)
    whole, part = plan(request, SD1), plan(request, SD1, entry=Entry(0.75))
    assert part.sigmas == whole.sigmas[4:]
    assert (part.entry_level, part.largest_sigma) == (part.sigmas[0], whole.sigmas[0])
    longer = plan(request.replace(steps=26), SD1)
    assert plan(request, SD1, entry=Entry(0.75, exact=True)).sigmas == longer.sigmas[6:]


def test_timestep_samplers_begin_one_level_above() -> None:
    """A1111's way: the picture gets the noise of the timestep above those that are walked."""
    request = GenerationRequest(sampler="DDIM", steps=20)
    part = plan(request, SD1, entry=Entry(0.75))
    assert part.timesteps == tuple(range(701, 0, -50))
    assert part.entry_level == SD1.levels[751]
    assert part.total_steps == 14


@pytest.mark.parametrize("sampler", [s.label for s in SAMPLERS])
@pytest.mark.parametrize(
    "entry", [Entry(0.01), Entry(0.3), Entry(1.0), Entry(0.001, True), Entry(1.0, True)], ids=str
)
def test_every_sampler_can_begin_anywhere(sampler: str, entry: Entry) -> None:
    for steps in (1, 2, 20):
        made = plan(GenerationRequest(sampler=sampler, steps=steps), SD1, entry=entry)
        assert made.total_steps >= 1
        assert made.entry_level is not None
        latents, noise = torch.ones(1, 4, 2, 2), torch.ones(1, 4, 2, 2)
        assert torch.isfinite(start(made, noise, latents)).all()


@pytest.mark.parametrize("schedule", [s.label for s in SCHEDULES])
@pytest.mark.parametrize("exact", [False, True])
def test_every_schedule_can_be_begun_in_the_middle(schedule: str, exact: bool) -> None:
    made = plan(GenerationRequest(sampler="Euler", scheduler=schedule, steps=20), SD1, entry=Entry(0.4, exact))
    assert abs(made.total_steps - (20 if exact else 9)) <= 2
    assert list(made.sigmas) == sorted(made.sigmas, reverse=True)
    assert made.sigmas[0] < 0.9 * SD1.sigma_max


def test_a_picture_under_noise() -> None:
    request = GenerationRequest(sampler="Euler", scheduler="Karras", steps=20)
    made = plan(request, SD1, entry=Entry(0.5))
    latents, noise = torch.full((1, 4, 2, 2), 3.0), torch.ones(1, 4, 2, 2)
    assert torch.allclose(start(made, noise, latents), latents + made.sigmas[0])
    assert torch.allclose(start(made, noise, latents, extra_noise=0.5), latents + made.sigmas[0] + 0.5)
    ddim = plan(request.replace(sampler="DDIM"), SD1, entry=Entry(0.5))
    alpha = float(SD1.alphas_cumprod[501])
    expected = latents * alpha**0.5 + noise * (1 - alpha) ** 0.5
    assert torch.allclose(start(ddim, noise, latents), expected, atol=1e-5)


def test_a_mix_is_a_share_of_each() -> None:
    mask = torch.tensor([0.0, 0.25, 1.0]).reshape(1, 1, 1, 3)
    mixed = Mix(mask)(torch.zeros(1, 4, 1, 3), torch.ones(1, 4, 1, 3), 1.0)
    assert mixed[0, 0, 0].tolist() == [0.0, 0.25, 1.0]


def test_a_soft_mix_keeps_more_of_the_original_under_much_noise_and_keeps_lengths() -> None:
    mask = torch.full((1, 1, 1, 1), 0.5)
    before, after = torch.zeros(1, 4, 1, 1), torch.zeros(1, 4, 1, 1)
    before[0, 0], after[0, 1] = 2.0, 2.0
    mix = SoftMix(mask, bias=1.0, strength=0.5, p=4.0)
    early, late = mix(before, after, 10.0), mix(before, after, 0.1)
    assert early[0, 1].item() < 0.1
    assert late[0, 1].item() > 1.5
    assert torch.linalg.vector_norm(late).item() == pytest.approx(2.0, rel=0.05)
