"""From a request to pictures, on the embedded model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from modules.engine.generate import Command, generate
from modules.engine.loading.model import LoadedModel
from modules.engine.loading.placement import pick_device
from modules.engine.loading.store import Store
from modules.schema.engine import ModelRef
from modules.schema.events import Event, Finished, ImageDone, Preview, Progress
from modules.schema.request import GenerationRequest
from modules.schema.samplers import SAMPLERS, SCHEDULES

pytestmark = pytest.mark.engine

MINIATURE = Path(__file__).resolve().parents[2] / "models/Stable-diffusion/miniature.safetensors"
BASE = GenerationRequest(
    prompt="a red circle on a blue background", steps=8, width=128, height=128, cfg_scale=5, seed=7, subseed=7
)


@pytest.fixture(scope="session")
def model() -> LoadedModel:
    return Store(capacity=1, device=pick_device("cpu")).get(ModelRef(checkpoint=str(MINIATURE)), "fp32")


def draw(request: GenerationRequest, model: LoadedModel, previews: float = 0.0) -> list[Event]:
    return list(generate(request, model, previews_per_second=previews))


def pictures(events: list[Event]) -> list[np.ndarray]:
    """The finished pictures as height x width x 3 arrays of int."""
    return [
        np.frombuffer(e.pixels, np.uint8).reshape(e.height, e.width, 3).astype(int)
        for e in events
        if isinstance(e, ImageDone)
    ]


def far(a: np.ndarray, b: np.ndarray) -> float:
    """Mean difference in levels of 255."""
    return float(np.abs(a - b).mean())


def test_a_picture_follows_its_words(model: LoadedModel) -> None:
    events = draw(BASE.replace(steps=20), model)
    (picture,) = pictures(events)
    assert picture.shape == (128, 128, 3)
    corner = picture[:24, :24].reshape(-1, 3).mean(0)
    assert corner[2] > corner[0] + 60, f"the background is not blue: {corner}"
    redness = picture[..., 0] - picture[..., 2]
    assert (redness > 100).mean() > 0.03, "nothing red is in the picture"
    assert isinstance(events[-1], Finished)
    assert events[-1].reason == "done"


def test_progress_counts_every_step_and_never_goes_back(model: LoadedModel) -> None:
    events = [e for e in draw(BASE.replace(batch_count=2, steps=4), model) if isinstance(e, Progress)]
    fractions = [e.fraction for e in events]
    assert fractions == sorted(fractions)
    assert [e.step for e in events if e.stage == "sampling" and e.image == 2] == [0, 1, 2, 3, 4]
    assert {e.images for e in events} == {2}
    assert events[-1].seconds_left is not None


def test_the_same_request_gives_the_same_picture(model: LoadedModel) -> None:
    request = BASE.replace(sampler="DPM++ SDE")
    (first,), (again,) = pictures(draw(request, model)), pictures(draw(request, model))
    assert np.array_equal(first, again)


@pytest.mark.parametrize("sampler", ["DPM++ 2M", "Euler a", "DPM++ 2M SDE", "DDIM"])
def test_picture_k_of_a_batch_is_the_single_picture_of_its_seed(model: LoadedModel, sampler: str) -> None:
    request = BASE.replace(sampler=sampler, batch_size=2, batch_count=2)
    events = draw(request, model)
    together = pictures(events)
    requests = [GenerationRequest(**e.request) for e in events if isinstance(e, ImageDone)]
    assert [r.seed for r in requests] == [7, 8, 9, 10]
    for k in (1, 2):
        (alone,) = pictures(draw(requests[k], model))
        assert np.abs(alone - together[k]).max() <= 2
    assert far(together[0], together[1]) > 3


def test_bf16_agrees_with_fp32_and_with_itself_in_a_batch(model: LoadedModel) -> None:
    half = Store(capacity=1, device=pick_device("cpu")).get(ModelRef(checkpoint=str(MINIATURE)), "bf16")
    request = BASE.replace(steps=20, batch_size=2)
    events = draw(request, half)
    together, exact = pictures(events), pictures(draw(request, model))
    assert [e.request["precision"] for e in events if isinstance(e, ImageDone)] == ["bf16", "bf16"]
    assert far(together[0], exact[0]) < 3
    (alone,) = pictures(draw(request.for_image(1), half))
    # Sums round in another order for another batch size; what that changes shows at sharp edges only.
    apart = np.abs(alone - together[1])
    assert apart.mean() < 1
    assert (apart > 1).mean() < 0.05


def test_previews_come_in_bounds_and_change_no_pixel(model: LoadedModel) -> None:
    request = BASE.replace(steps=30)
    with_previews, without = draw(request, model, previews=1000.0), draw(request, model)
    assert np.array_equal(pictures(with_previews)[0], pictures(without)[0])
    previews = [e for e in with_previews if isinstance(e, Preview)]
    assert previews
    assert all(e.data.startswith(b"\xff\xd8") for e in previews)
    assert not [e for e in without if isinstance(e, Preview)]


def stop_at(request: GenerationRequest, model: LoadedModel, step: int, command: Command) -> list[Event]:
    """All events, with `command` sent once, in answer to that step of the first picture."""
    job = generate(request, model, previews_per_second=0)
    events = [next(job)]
    sent = False
    while True:
        last = events[-1]
        hit = not sent and isinstance(last, Progress) and last.step == step
        sent = sent or hit
        try:
            events.append(job.send(command if hit else None))
        except StopIteration:
            return events


def test_interrupt_acts_within_one_step_and_keeps_what_is_drawn(model: LoadedModel) -> None:
    events = stop_at(BASE.replace(batch_count=3), model, 5, "interrupt")
    assert max(e.step for e in events if isinstance(e, Progress)) == 5
    (done,) = [e for e in events if isinstance(e, ImageDone)]
    assert done.partial
    assert isinstance(events[-1], Finished)
    assert events[-1].reason == "interrupted"
    finished = pictures(draw(BASE, model))[0]
    assert far(pictures(events)[0], finished) < 40, "the kept picture is not the one under way"


def test_skip_goes_on_with_the_next_picture(model: LoadedModel) -> None:
    events = stop_at(BASE.replace(batch_count=2), model, 3, "skip")
    assert [e.partial for e in events if isinstance(e, ImageDone)] == [True, False]
    assert isinstance(events[-1], Finished)
    assert events[-1].reason == "done"


def test_interrupt_before_the_first_step_keeps_nothing(model: LoadedModel) -> None:
    events = stop_at(BASE, model, 0, "interrupt")
    assert not [e for e in events if isinstance(e, ImageDone)]
    assert isinstance(events[-1], Finished)


@pytest.mark.parametrize("sampler", [s.label for s in SAMPLERS])
def test_every_sampler_draws_the_same_subject(model: LoadedModel, sampler: str) -> None:
    request = BASE.replace(sampler=sampler, steps=20)
    (picture,) = pictures(draw(request, model))
    corner = picture[:24, :24].reshape(-1, 3).mean(0)
    assert corner[2] > corner[0] + 40, f"{sampler}: the background is not blue: {corner}"


@pytest.mark.parametrize("schedule", [s.label for s in SCHEDULES])
def test_every_schedule_draws_a_picture(model: LoadedModel, schedule: str) -> None:
    (picture,) = pictures(draw(BASE.replace(scheduler=schedule, sampler="Euler", steps=10), model))
    corner = picture[:24, :24].reshape(-1, 3).mean(0)
    assert corner[2] > corner[0] + 40, f"{schedule}: the background is not blue: {corner}"


@pytest.mark.parametrize(
    "change",
    [
        {"negative_prompt": "red circle"},
        {"cfg_scale": 2.0},
        {"clip_skip": 2},
        {"prompt": "a (red:1.8) circle on a blue background"},
        {"rng": "NV"},
        {"subseed": 99, "subseed_strength": 0.5},
        {"seed_resize_from_w": 96, "seed_resize_from_h": 96},
        {"skip_early_cond": 0.5},
        {"s_min_uncond": 8.0},
        {"noise_schedule": "Zero Terminal SNR"},
        {"sigma_max": 8.0},
        {"tiling": True},
        {"prompt": "a red circle BREAK on a blue background"},
        {"sgm_noise_multiplier": True},
        {"discard_penultimate": True},
        {"scheduler": "Exponential"},
        {"downcast_alphas_cumprod": True},
    ],
    ids=lambda change: ",".join(change),
)
def test_each_knob_changes_the_picture(model: LoadedModel, change: dict[str, object]) -> None:
    (before,), (after,) = pictures(draw(BASE, model)), pictures(draw(BASE.replace(**change), model))
    assert not np.array_equal(before, after)


@pytest.mark.parametrize(
    ("sampler", "change"),
    [
        ("Euler a", {"eta": 0.3}),
        ("Euler a", {"ensd": 31337}),
        ("DDIM", {"eta_ddim": 0.7}),
        ("Euler", {"s_churn": 5.0}),
        ("DPM++ 2M SDE", {"s_noise": 0.8}),
        ("UniPC", {"unipc_order": 1}),
        ("UniPC", {"unipc_variant": "bh2"}),
        ("Euler", {"enable_quantization": True}),
    ],
)
def test_each_sampler_knob_changes_the_picture(model: LoadedModel, sampler: str, change: dict[str, object]) -> None:
    request = BASE.replace(sampler=sampler)
    (before,), (after,) = pictures(draw(request, model)), pictures(draw(request.replace(**change), model))
    assert not np.array_equal(before, after)


def test_at_cfg_1_the_negative_prompt_has_no_effect(model: LoadedModel) -> None:
    request = BASE.replace(cfg_scale=1.0)
    (a,), (b,) = pictures(draw(request, model)), pictures(draw(request.replace(negative_prompt="red"), model))
    assert np.array_equal(a, b)


def test_padding_prompts_to_one_length_only_pads(model: LoadedModel) -> None:
    long = BASE.replace(prompt="a red circle on a blue background, " * 20)
    (apart,), (padded,) = pictures(draw(long, model)), pictures(draw(long.replace(pad_cond_uncond=True), model))
    assert apart.shape == padded.shape
    assert not np.array_equal(apart, padded)


def test_tiling_makes_edges_meet_and_is_undone(model: LoadedModel) -> None:
    request = BASE.replace(prompt="a green forest", steps=12, seed=3)
    (plain,) = pictures(draw(request, model))
    (tile,) = pictures(draw(request.replace(tiling=True), model))
    (again,) = pictures(draw(request, model))

    def seam(picture: np.ndarray) -> float:
        return far(picture[:, 0], picture[:, -1]) + far(picture[0], picture[-1])

    assert seam(tile) < 0.5 * seam(plain)
    assert np.array_equal(plain, again)


def test_a_prompt_of_a_thousand_words_draws(model: LoadedModel) -> None:
    (picture,) = pictures(draw(BASE.replace(prompt="red circle " * 500, steps=2), model))
    assert picture.shape == (128, 128, 3)


def test_other_sizes_than_the_native_one(model: LoadedModel) -> None:
    (picture,) = pictures(draw(BASE.replace(width=192, height=104, steps=2), model))
    assert picture.shape == (104, 192, 3)
