import pytest
import torch
from torch import Tensor

from modules.engine.diffusion.guidance import Guidance

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
    torch.testing.assert_close(Guidance(model, COND, uncond, scale)(X, 1.0), X - 1 + scale * 3)
    assert model.batches == batches


def test_at_one_the_negative_is_not_asked() -> None:
    model = Recorder()
    torch.testing.assert_close(Guidance(model, COND, UNCOND, 1.0)(X, 1.0), X + 2)
    assert model.batches == [2]


def test_without_negative() -> None:
    model = Recorder()
    torch.testing.assert_close(Guidance(model, COND, None, 7.0)(X, 1.0), X + 2)
    assert model.batches == [2]


def test_one_batch_is_the_two_calls() -> None:
    """Batching changes nothing: pictures and prompts are paired in order."""
    cond, uncond = torch.randn(2, 77, 3), torch.randn(2, 77, 3)
    together = Guidance(Recorder(), cond, uncond, 7.0)(X, 1.0)
    alone = [Guidance(Recorder(), cond[i : i + 1], uncond[i : i + 1], 7.0)(X[i : i + 1], 1.0) for i in range(2)]
    torch.testing.assert_close(together, torch.cat(alone))


def negatives(guidance: Guidance, model: Recorder, sigmas: list[float]) -> list[bool]:
    for sigma in sigmas:
        guidance(X, sigma)
    return [batch == 4 for batch in model.batches]


def test_ngms_leaves_out_odd_calls_below_its_sigma() -> None:
    model = Recorder()
    guidance = Guidance(model, COND, UNCOND, 7.0, s_min_uncond=2.0)
    assert negatives(guidance, model, [5, 4, 3, 2, 1.9, 1, 0.5, 0.1]) == [True] * 5 + [False, True, False]


def test_ngms_all_steps() -> None:
    model = Recorder()
    guidance = Guidance(model, COND, UNCOND, 7.0, s_min_uncond=2.0, s_min_uncond_all=True)
    assert negatives(guidance, model, [5, 4, 3, 2, 1.9, 1]) == [True] * 4 + [False] * 2


def test_without_negative_the_scale_is_one() -> None:
    guidance = Guidance(Recorder(), COND, UNCOND, 7.0, s_min_uncond=2.0, s_min_uncond_all=True)
    torch.testing.assert_close(guidance(X, 1.0), X + 2)


def test_early_steps_without_negative() -> None:
    model = Recorder()
    guidance = Guidance(model, COND, UNCOND, 7.0, skip_early_cond=0.3, total_calls=10)
    assert negatives(guidance, model, [9.0] * 10) == [False] * 4 + [True] * 6


def test_cfgpp_divides_the_scale() -> None:
    guided, uncond = Guidance(Recorder(), COND, UNCOND, 12.5).both(X, 1.0)
    torch.testing.assert_close(guided, X + 2)
    torch.testing.assert_close(uncond, X - 1)
    guided, _ = Guidance(Recorder(), COND, UNCOND, 1.0).both(X, 1.0)
    torch.testing.assert_close(guided, X - 1 + 3 / 12.5)


def test_cfgpp_with_the_negative_left_out() -> None:
    guided, uncond = Guidance(Recorder(), COND, UNCOND, 7.0, s_min_uncond=2.0, s_min_uncond_all=True).both(X, 1.0)
    torch.testing.assert_close(guided, X + 2)
    torch.testing.assert_close(uncond, X + 2)
