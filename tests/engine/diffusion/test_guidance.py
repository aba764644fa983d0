import pytest
import torch
from torch import Tensor

from modules.engine.diffusion.guidance import Guidance, Words

X = torch.arange(8.0).reshape(2, 1, 2, 2)
COND, UNCOND = torch.full((2, 77, 3), 2.0), torch.full((2, 77, 3), -1.0)
LONG = torch.full((2, 154, 3), -1.0)


class Recorder:
    """x0 = x + mean of the prompt; remembers what it was asked."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, x: Tensor, sigma: float, cross: Tensor) -> Tensor:
        self.batches.append(x.shape[0])
        assert x.shape[0] == cross.shape[0]
        return x + cross.mean(dim=(1, 2))[:, None, None, None]


@pytest.mark.parametrize(("uncond", "batches"), [(UNCOND, [4]), (LONG, [2, 2])])
@pytest.mark.parametrize("scale", [0.0, 0.5, 7.0, 30.0])
def test_the_formula(uncond: Tensor, batches: list[int], scale: float) -> None:
    model = Recorder()
    torch.testing.assert_close(Guidance(model, Words((COND,), uncond), scale)(X, 1.0), X - 1 + scale * 3)
    assert model.batches == batches


def test_at_one_the_negative_is_not_asked() -> None:
    model = Recorder()
    torch.testing.assert_close(Guidance(model, Words((COND,), UNCOND), 1.0)(X, 1.0), X + 2)
    assert model.batches == [2]


def test_without_negative() -> None:
    model = Recorder()
    torch.testing.assert_close(Guidance(model, Words((COND,), None), 7.0)(X, 1.0), X + 2)
    assert model.batches == [2]


def test_one_batch_is_the_two_calls() -> None:
    """Batching changes nothing: pictures and prompts are paired in order."""
    cond, uncond = torch.randn(2, 77, 3), torch.randn(2, 77, 3)
    together = Guidance(Recorder(), Words((cond,), uncond), 7.0)(X, 1.0)
    alone = [
        Guidance(Recorder(), Words((cond[i : i + 1],), uncond[i : i + 1]), 7.0)(X[i : i + 1], 1.0) for i in range(2)
    ]
    torch.testing.assert_close(together, torch.cat(alone))


def negatives(guidance: Guidance, model: Recorder, sigmas: list[float]) -> list[bool]:
    for sigma in sigmas:
        guidance(X, sigma)
    return [batch == 4 for batch in model.batches]


def test_ngms_leaves_out_odd_calls_below_its_sigma() -> None:
    model = Recorder()
    guidance = Guidance(model, Words((COND,), UNCOND), 7.0, s_min_uncond=2.0)
    assert negatives(guidance, model, [5, 4, 3, 2, 1.9, 1, 0.5, 0.1]) == [True] * 5 + [False, True, False]


def test_ngms_all_steps() -> None:
    model = Recorder()
    guidance = Guidance(model, Words((COND,), UNCOND), 7.0, s_min_uncond=2.0, s_min_uncond_all=True)
    assert negatives(guidance, model, [5, 4, 3, 2, 1.9, 1]) == [True] * 4 + [False] * 2


def test_without_negative_the_scale_is_one() -> None:
    guidance = Guidance(Recorder(), Words((COND,), UNCOND), 7.0, s_min_uncond=2.0, s_min_uncond_all=True)
    torch.testing.assert_close(guidance(X, 1.0), X + 2)


def test_early_steps_without_negative() -> None:
    model = Recorder()
    guidance = Guidance(model, Words((COND,), UNCOND), 7.0, skip_early_cond=0.3, total_calls=10)
    assert negatives(guidance, model, [9.0] * 10) == [False] * 4 + [True] * 6


def test_cfgpp_divides_the_scale() -> None:
    guided, uncond = Guidance(Recorder(), Words((COND,), UNCOND), 12.5).both(X, 1.0)
    torch.testing.assert_close(guided, X + 2)
    torch.testing.assert_close(uncond, X - 1)
    guided, _ = Guidance(Recorder(), Words((COND,), UNCOND), 1.0).both(X, 1.0)
    torch.testing.assert_close(guided, X - 1 + 3 / 12.5)


def test_cfgpp_with_the_negative_left_out() -> None:
    guided, uncond = Guidance(Recorder(), Words((COND,), UNCOND), 7.0, s_min_uncond=2.0, s_min_uncond_all=True).both(
        X, 1.0
    )
    torch.testing.assert_close(guided, X + 2)
    torch.testing.assert_close(uncond, X + 2)


class ByCall:
    """Words that change with the call; remembers which calls were asked for."""

    def __init__(self, *words: Words) -> None:
        self.words = words
        self.calls: list[int] = []

    def at(self, call: int) -> Words:
        self.calls.append(call)
        return self.words[call % len(self.words)]


def level(value: float, length: int = 77) -> Tensor:
    return torch.full((1, length, 3), value)


@pytest.mark.parametrize(("length", "batches"), [(77, [6]), (154, [4, 2])])
def test_several_prompts_are_mixed_by_weight(length: int, batches: list[int]) -> None:
    """Each moves the picture from the negative (-1) towards itself: 7 * (0.5 * 3 - 0.2 * 5)."""
    model = Recorder()
    words = Words((level(2.0), level(4.0)), level(-1.0, length), (0.5, -0.2))
    torch.testing.assert_close(Guidance(model, words, 7.0)(X, 1.0), X - 1 + 7 * (0.5 * 3 - 0.2 * 5))
    assert model.batches == batches


def test_the_weight_of_one_prompt_scales_the_guidance() -> None:
    words = Words((level(2.0),), level(-1.0), (0.5,))
    torch.testing.assert_close(Guidance(Recorder(), words, 7.0)(X, 1.0), X - 1 + 3.5 * 3)
    torch.testing.assert_close(Guidance(Recorder(), words, 1.0)(X, 1.0), X - 1 + 0.5 * 3)


def test_a_mix_without_negative() -> None:
    model = Recorder()
    words = Words((level(2.0), level(4.0)), None, (0.75, 0.25))
    torch.testing.assert_close(Guidance(model, words, 1.0)(X, 1.0), X + 2.5)
    assert model.batches == [4]


def test_a_mix_for_cfgpp() -> None:
    words = Words((level(2.0), level(4.0)), level(-1.0), (0.5, 0.5))
    guided, uncond = Guidance(Recorder(), words, 12.5).both(X, 1.0)
    torch.testing.assert_close(guided, X - 1 + 4.0)
    torch.testing.assert_close(uncond, X - 1)


def test_words_may_change_at_every_call() -> None:
    words = ByCall(Words((level(2.0),), level(-1.0)), Words((level(5.0),), level(-1.0)))
    guidance = Guidance(Recorder(), words, 2.0)
    for expected in (5.0, 11.0, 5.0):
        torch.testing.assert_close(guidance(X, 1.0), X + expected)
    assert words.calls == [0, 1, 2]


def test_the_same_words_are_the_same_tensor() -> None:
    """Attention keeps what it computed of the words by their tensor; alternating prompts must not defeat that."""
    crosses: list[Tensor] = []

    def model(x: Tensor, sigma: float, cross: Tensor) -> Tensor:
        crosses.append(cross)
        return x

    guidance = Guidance(model, ByCall(Words((level(2.0),), level(-1.0)), Words((level(5.0),), level(-1.0))), 2.0)
    for _ in range(4):
        guidance(X, 1.0)
    assert crosses[0] is crosses[2]
    assert crosses[1] is crosses[3]
    assert crosses[0] is not crosses[1]
