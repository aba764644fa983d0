"""What the prompt language does to pictures of the embedded model, measured in their colours."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modules.engine.conditioning import PromptEncoder
from modules.engine.generate import generate
from modules.engine.loading.placement import pick_device
from modules.engine.loading.store import Store
from modules.schema.engine import ModelRef
from modules.schema.events import ImageDone
from modules.schema.parts import Hires
from modules.schema.request import GenerationRequest

pytestmark = pytest.mark.engine

MINIATURE = Path(__file__).resolve().parents[2] / "models/Stable-diffusion/miniature.safetensors"

Pictures = np.ndarray
Draw = Callable[..., Pictures]


@pytest.fixture(scope="module")
def draw() -> Draw:
    """(prompt, negative prompt, other parameters) -> pictures of two or more seeds, [n,128,128,3] of 0..255."""
    model = Store(capacity=1, device=pick_device("cpu")).get(ModelRef(checkpoint=str(MINIATURE)), "fp32")
    encoder = PromptEncoder()

    @cache
    def drawn(prompt: str, negative: str, others: tuple[tuple[str, Any], ...]) -> Pictures:
        values = {"steps": 8, "width": 128, "height": 128, "cfg_scale": 5, "seed": 7, "subseed": 7, "batch_size": 2}
        request = GenerationRequest(prompt=prompt, negative_prompt=negative, **{**values, **dict(others)})
        events = generate(request, model, encoder=encoder, previews_per_second=0)
        found = [
            np.frombuffer(event.pixels, np.uint8).reshape(event.height, event.width, 3)
            for event in events
            if isinstance(event, ImageDone)
        ]
        return np.stack(found).astype(float)

    return lambda prompt, negative="", **others: drawn(prompt, negative, tuple(others.items()))


def edges(pictures: Pictures) -> np.ndarray:
    """Mean colour of the upper and lower eighth: the background's."""
    height = pictures.shape[1] // 8
    return np.concatenate([pictures[:, :height], pictures[:, -height:]], 1).mean((0, 1, 2))


def yellowness(pictures: Pictures) -> float:
    """From about -255 (blue) to 255 (yellow) at the edges."""
    red, green, blue = edges(pictures)
    return float((red + green) / 2 - blue)


def reds(pictures: Pictures) -> float:
    """Share of red pixels."""
    return float(((pictures[..., 0] > 140) & (pictures[..., 1] < 100) & (pictures[..., 2] < 110)).mean())


BLUE, YELLOW = "a red circle on a blue background", "a red circle on a yellow background"


def test_the_background_follows_its_word(draw: Draw) -> None:
    assert yellowness(draw(YELLOW)) > 100
    assert yellowness(draw(BLUE)) < -100


def test_the_earlier_a_word_is_exchanged_the_more_it_shows(draw: Draw) -> None:
    shown = [yellowness(draw(f"a red circle on a [blue:yellow:{when}] background")) for when in (0, 2, 0.5, 1.0)]
    assert shown == sorted(shown, reverse=True)
    assert shown[0] > shown[1] + 50
    assert shown[0] > shown[3] + 150


def test_an_exchange_before_the_first_or_after_the_last_step_is_the_one_word(draw: Draw) -> None:
    assert np.array_equal(draw("a red circle on a [blue:yellow:0] background"), draw(YELLOW))
    assert np.array_equal(draw("a red circle on a [blue:yellow:1.0] background"), draw(BLUE))


def test_a_word_can_appear_and_vanish(draw: Draw) -> None:
    early = draw("a circle on a [blue::0.5] background")
    late = draw("a circle on a [blue:0.5] background")
    assert yellowness(early) < yellowness(late) - 30


def test_words_that_take_turns_both_show(draw: Draw) -> None:
    both = yellowness(draw("a red circle on a [blue|yellow] background"))
    assert yellowness(draw(BLUE)) + 30 < both < yellowness(draw(YELLOW)) - 30


def test_composed_prompts_mix_by_their_weights(draw: Draw) -> None:
    even = yellowness(draw(f"{BLUE} AND {YELLOW}"))
    bluer = yellowness(draw(f"{BLUE}:1.5 AND {YELLOW}:0.5"))
    assert yellowness(draw(BLUE)) < even - 50
    assert even < yellowness(draw(YELLOW)) - 50
    assert bluer < even - 30


def test_composing_a_prompt_with_itself_is_more_guidance(draw: Draw) -> None:
    twice = draw(f"{BLUE}:0.5 AND {BLUE}:0.5")
    assert np.abs(twice - draw(BLUE)).mean() < 1
    assert np.abs(draw(f"{BLUE}:2") - draw(BLUE, cfg_scale=10)).mean() < 1


def test_emphasis_moves_the_share_of_a_colour(draw: Draw) -> None:
    words = ("(red:0.3)", "red", "(red:1.6)")
    shares = [reds(draw(f"a {word} circle on a blue background")) for word in words]
    assert shares == sorted(shares)
    assert shares[2] > shares[0] * 1.2


def test_the_negative_prompt_takes_a_colour_away(draw: Draw) -> None:
    before, after = draw(BLUE), draw(BLUE, "a red circle")
    assert reds(before) > 0.1
    assert reds(after) < reds(before) * 0.8


def test_the_negative_prompt_may_change_with_the_steps(draw: Draw) -> None:
    negatives = ("white background", "[white:black:0.2] background", "black background")
    plain, half, other = (draw("a circle", negative) for negative in negatives)
    assert plain.mean() < half.mean() < other.mean()


@pytest.mark.parametrize("prompt", [f"{BLUE} AND {YELLOW}", "a [red|blue|green] circle", "a [red:blue:0.4] sea"])
def test_each_picture_of_a_batch_is_the_single_one_of_its_seed(draw: Draw, prompt: str) -> None:
    """But for one level of 255 here and there: some matrix kernels round otherwise for three rows than for six."""
    alone = draw(prompt, batch_size=1, seed=8, steps=4)
    assert np.abs(draw(prompt, steps=4)[1] - alone[0]).max() <= 2


def test_times_beyond_one_are_in_the_hires_pass(draw: Draw) -> None:
    others = {"hires": Hires(scale=1.25, steps=8, denoising_strength=0.9), "batch_size": 1}
    early, late = (
        yellowness(draw(f"a red circle on a [blue:yellow:{when}] background", **others)) for when in ("1.0", "2.0")
    )
    assert early > late + 20
