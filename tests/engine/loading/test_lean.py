"""Lean blocks: the same numbers and the same names as diffusers' own."""

from __future__ import annotations

import copy

import pytest
import torch

from modules.engine.loading.lean import LeanAttention, LeanResnet, make_lean
from tests.tiny import tiny_networks

X = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1))
T = torch.tensor([400.0, 400.0])


def words(seed: int) -> torch.Tensor:
    return torch.randn(2, 77, 64, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def pair() -> tuple[torch.nn.Module, torch.nn.Module]:
    plain, _, _ = tiny_networks()
    lean = copy.deepcopy(plain)
    make_lean(lean)
    return plain, lean


def test_same_numbers_step_after_step_and_text_after_text(pair: tuple[torch.nn.Module, torch.nn.Module]) -> None:
    plain, lean = pair
    texts = [words(seed) for seed in (1, 2, 3)]
    with torch.inference_mode():
        for text in (*texts, *texts[::-1], texts[0], texts[0]):
            torch.testing.assert_close(lean(X, T, text).sample, plain(X, T, text).sample, atol=2e-6, rtol=1e-5)


def test_every_block_is_replaced_and_every_weight_keeps_its_name(
    pair: tuple[torch.nn.Module, torch.nn.Module],
) -> None:
    plain, lean = pair
    assert "ResnetBlock2D" not in {type(layer).__name__ for layer in lean.modules()}
    assert any(isinstance(layer, LeanResnet) for layer in lean.modules())
    assert all(isinstance(p, LeanAttention) for p in lean.attn_processors.values())
    assert list(plain.state_dict()) == list(lean.state_dict())


def test_a_gradient_flows_as_through_the_plain_network(pair: tuple[torch.nn.Module, torch.nn.Module]) -> None:
    gradients = []
    for network in pair:
        text = words(5).requires_grad_()
        network(X, T, text).sample.square().sum().backward()
        gradients.append(text.grad)
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-4, rtol=1e-4)


def test_weights_changed_between_two_texts_act(pair: tuple[torch.nn.Module, torch.nn.Module]) -> None:
    lean = copy.deepcopy(pair[1])
    with torch.inference_mode():
        before = lean(X, T, words(1)).sample
        for layer in lean.modules():
            if hasattr(layer, "to_k"):
                layer.to_k.weight.mul_(0.5)
        assert not torch.equal(before, lean(X, T, words(1)).sample)
