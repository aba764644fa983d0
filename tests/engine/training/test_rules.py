"""Optimiser rules, batches, texts: the mathematics without a model."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from modules.engine.training.evaluation import has_settled
from modules.engine.training.norms import Adam, KeptLength, Moments, OnSphere, clip, rule_for
from modules.engine.training.order import Order
from modules.engine.training.streams import Streams
from modules.engine.training.texts import Texts

WIDTH = 8


def gradients(count: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(3 * WIDTH, generator=generator) for _ in range(count)]


def start(length: float = 0.4) -> torch.Tensor:
    rows = torch.randn(3, WIDTH, generator=torch.Generator().manual_seed(2))
    return (torch.nn.functional.normalize(rows, dim=1) * length).flatten()


def test_adam_is_torchs_adamw_without_decay() -> None:
    ours, theirs = start(), torch.nn.Parameter(start())
    moments, optimizer = Moments.zero(ours), torch.optim.AdamW([theirs], lr=0.01, weight_decay=0.0)
    for number, gradient in enumerate(gradients(5), 1):
        Adam().update(ours, gradient, moments, 0.01, number)
        theirs.grad = gradient
        optimizer.step()
    torch.testing.assert_close(ours, theirs.detach(), rtol=1e-6, atol=1e-7)


def test_kept_lengths_stay_in_their_band_and_nothing_else_changes() -> None:
    rule, flat = KeptLength(WIDTH, 0.32, 0.5), start()
    moments = Moments.zero(flat)
    for number, gradient in enumerate(gradients(50), 1):
        rule.update(flat, gradient, moments, 0.1, number)
        lengths = flat.view(3, WIDTH).norm(dim=1)
        assert float(lengths.min()) > 0.3199
        assert float(lengths.max()) < 0.5001
    inside = start()
    before = inside.clone()
    rule.settle(inside)
    assert torch.equal(inside, before)


def test_zeros_stay_zeros_where_lengths_are_kept() -> None:
    flat = torch.zeros(2 * WIDTH)
    KeptLength(WIDTH, 0.3, 0.5).settle(flat)
    assert not flat.any()


def test_on_the_sphere_only_directions_change() -> None:
    flat, lengths = start(), torch.full((3, 1), 0.4)
    rule, moments = OnSphere(WIDTH, lengths), Moments.zero(flat)
    for number, gradient in enumerate(gradients(20), 1):
        before = flat.clone()
        rule.update(flat, gradient, moments, 0.01, number)
        torch.testing.assert_close(flat.view(3, WIDTH).norm(dim=1, keepdim=True), lengths)
        assert not torch.equal(flat, before)


def test_what_of_a_gradient_is_along_the_vector_does_not_matter() -> None:
    (gradient,), one, other = gradients(1), start(), start()
    rule = OnSphere(WIDTH, torch.full((3, 1), 0.4))
    rule.update(one, gradient, Moments.zero(one), 0.01, 1)
    rule.update(other, gradient + 3 * start(), Moments.zero(other), 0.01, 1)
    torch.testing.assert_close(one, other)


def test_the_sphere_is_descended() -> None:
    """The distance to a point of the sphere falls to nothing."""
    goal, flat = start().view(3, WIDTH).roll(1, 0).flatten(), start()
    rule, moments = OnSphere(WIDTH, torch.full((3, 1), 0.4)), Moments.zero(flat)
    for number in range(1, 400):
        rule.update(flat, flat - goal, moments, 0.01 if number < 300 else 0.001, number)
    assert float((flat - goal).norm()) < 0.02


@pytest.mark.parametrize("control", ["Free", "Keep", "Direction"])
def test_the_first_step_is_about_as_long_under_each_rule(control: str) -> None:
    rows = start().view(3, WIDTH)
    flat = rows.flatten().clone()
    rule_for(control, rows, 0.4).update(flat, gradients(1)[0], Moments.zero(flat), 0.001, 1)  # type: ignore[arg-type]
    moved = float((flat - start()).square().mean().sqrt())
    assert 0.0007 < moved < 0.0011


def test_clipping_by_value_and_by_norm() -> None:
    value, norm, short = torch.tensor([3.0, -4.0]), torch.tensor([3.0, -4.0]), torch.tensor([0.3, -0.4])
    clip(value, "value", 1.0)
    assert value.tolist() == [1.0, -1.0]
    clip(norm, "norm", 1.0)
    torch.testing.assert_close(norm, torch.tensor([0.6, -0.8]))
    clip(short, "norm", 1.0)
    assert short.tolist() == [pytest.approx(0.3), pytest.approx(-0.4)]


def test_each_epoch_has_each_picture_once_and_batches_of_one_size() -> None:
    sizes = [(8, 8)] * 5 + [(8, 16)] * 3
    order = Order(sizes, 2, Streams(3))
    assert order.batches == 5
    for epoch in range(3):
        batches = [order.batch(epoch * 5 + k) for k in range(5)]
        assert Counter(picture for batch in batches for picture in batch) == Counter(range(8))
        assert all(len({sizes[picture] for picture in batch}) == 1 for batch in batches)
    assert order.batch(2) == Order(sizes, 2, Streams(3)).batch(2)
    assert [order.batch(k) for k in range(5)] != [order.batch(k + 5) for k in range(5)]


def test_streams_depend_on_seed_purpose_place_and_falls() -> None:
    drawn = [
        Streams(1).normal((4,), "noise", 5), Streams(2).normal((4,), "noise", 5), Streams(1).normal((4,), "x", 5),
        Streams(1).normal((4,), "noise", 6), Streams(1, 1).normal((4,), "noise", 5),
    ]  # fmt: skip
    assert len({tuple(one.tolist()) for one in drawn}) == 5
    assert torch.equal(drawn[0], Streams(1).normal((4,), "noise", 5))


def test_texts_are_filled_shuffled_and_thinned() -> None:
    captions = ["a, b, c, d", "e"]
    plain = Texts(["[filewords] by [name]"], captions, "me", Streams(1))
    assert plain.text(0, "text", 3) == "a, b, c, d by me"
    shuffled = Texts(["[filewords]"], captions, "me", Streams(1), shuffle=True)
    found = {shuffled.text(0, "text", step) for step in range(20)}
    assert len(found) > 5
    assert all(sorted(text.split(", ")) == ["a", "b", "c", "d"] for text in found)
    thinned = Texts(["[filewords]"], captions, "me", Streams(1), drop=0.5)
    kept = [len([tag for tag in thinned.text(0, "text", step).split(", ") if tag]) for step in range(200)]
    assert 1.6 < sum(kept) / 200 < 2.4
    assert Texts(["[filewords]"], captions, "me", Streams(1), drop=1.0).text(0, "text", 1) == ""


def test_a_run_has_settled_when_its_newest_evaluations_stand_still() -> None:
    falling = [1.0 / (k + 1) for k in range(20)]
    assert not has_settled(falling[:15])
    assert not has_settled([2.0 - 0.1 * k for k in range(20)])
    assert has_settled([*falling, *[0.05] * 10])
