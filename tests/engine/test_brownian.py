"""The Brownian tree: equal to torchsde's, additive, a function of the seed, of the right variance."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
import torchsde

from modules.engine.diffusion.brownian import BrownianTree
from modules.engine.diffusion.noise import NoiseStream, Source, first_normals

CPU = torch.device("cpu")
SHAPE = (4, 6, 5)
LOW, HIGH = 0.029167158, 14.614641
# Steps like those of a sampler, with the points between that second-order ones ask for.
POINTS = [14.614641, 9.3, 11.7, 6.7, 4.2, 5.1, 2.5, 1.5, 0.9, 0.5, 0.25, 0.1, 0.0291672]


def ours(seed: int, shape: tuple[int, ...] = SHAPE, source: Source = "CPU") -> BrownianTree:
    return BrownianTree(seed, LOW, HIGH, shape, first_normals(source, CPU))


@pytest.mark.parametrize("seed", [0, 42, 2**32 + 5, 2**63 - 1])
@pytest.mark.parametrize(("low", "high"), [(LOW, HIGH), (0.0414, 4518.76), (0.1, 0.2)])
def test_equals_torchsde_to_the_last_bit(seed: int, low: float, high: float) -> None:
    reference = torchsde.BrownianTree(low, torch.zeros(SHAPE), high, entropy=seed)
    tree = BrownianTree(seed, low, high, SHAPE, first_normals("CPU", CPU))
    points = [low + (high - low) * (p - LOW) / (HIGH - LOW) for p in POINTS]
    points[0], points[-1] = high, low
    for a, b in zip(points, points[1:], strict=False):
        start, end = sorted((a, b))
        expected = reference(start, end) * (1 if a < b else -1)
        assert torch.equal(tree(a, b), expected)


def test_equals_torchsde_on_random_points() -> None:
    reference = torchsde.BrownianTree(LOW, torch.zeros(2, 3), HIGH, entropy=7)
    tree = ours(7, (2, 3))
    points = (LOW + (HIGH - LOW) * torch.rand(200, generator=torch.Generator().manual_seed(0))).tolist()
    for a, b in zip(points[::2], points[1::2], strict=True):
        start, end = sorted((a, b))
        assert torch.equal(tree(start, end), reference(start, end))


def test_increments_add_up() -> None:
    tree = ours(3)
    whole = tree(HIGH, LOW)
    parts = sum((tree(a, b) for a, b in zip(POINTS, POINTS[1:], strict=False)), torch.zeros(SHAPE))
    assert torch.allclose(whole, parts, atol=1e-4)


def test_direction_is_the_sign() -> None:
    tree = ours(3)
    assert torch.equal(tree(2.0, 5.0), -tree(5.0, 2.0))
    assert torch.equal(tree(2.0, 2.0), torch.zeros(SHAPE))


def test_does_not_depend_on_what_was_asked_before() -> None:
    fresh, used = ours(3), ours(3)
    for a, b in [(14.0, 3.0), (3.0, 0.2), (9.0, 8.0), (1.0, 12.0)]:
        used(a, b)
    assert torch.equal(fresh(7.5, 1.25), used(7.5, 1.25))


def test_points_outside_are_moved_to_the_ends() -> None:
    tree = ours(3)
    assert torch.equal(tree(HIGH + 1, 0.0), tree(HIGH, LOW))


def test_each_query_draws_a_path_only_once() -> None:
    drawn: list[int] = []
    normals = first_normals("CPU", CPU)

    def counting(seeds: Sequence[int], shape: tuple[int, ...]) -> torch.Tensor:
        drawn.extend(seeds)
        return normals(seeds, shape)

    tree = BrownianTree(3, LOW, HIGH, SHAPE, counting)
    for a, b in zip(POINTS, POINTS[1:], strict=False):
        tree(a, b)
    depth = math.ceil(math.log2(HIGH / 1e-6))
    assert len(drawn) <= (depth + 1) * len(POINTS)
    before = len(drawn)
    tree(POINTS[-2], POINTS[-1])
    assert len(drawn) == before


@pytest.mark.parametrize("source", ["CPU", "NV"])
def test_increments_are_independent_with_unit_variance(source: Source) -> None:
    shape = (4, 40, 40)
    path = NoiseStream([8], [0], shape, source=source, device=CPU).brownian(LOW, HIGH)
    steps = torch.stack([path(a, b).flatten() for a, b in [(14.0, 9.3), (9.3, 2.5), (2.5, 2.4), (2.4, 0.03)]])
    assert torch.allclose(steps.std(dim=1), torch.ones(4), atol=0.04)
    assert torch.allclose(steps.mean(dim=1), torch.zeros(4), atol=0.05)
    assert (torch.corrcoef(steps) - torch.eye(4)).abs().max() < 0.05


def test_stream_gives_the_difference_over_the_root_of_the_distance() -> None:
    path = NoiseStream([8, 9], [0, 0], SHAPE, source="CPU", device=CPU).brownian(LOW, HIGH)
    reference = torchsde.BrownianTree(LOW, torch.zeros(SHAPE), HIGH, entropy=9)
    assert torch.allclose(path(9.0, 4.0)[1], -reference(4.0, 9.0) / math.sqrt(5.0), atol=1e-7)
    assert torch.equal(path(4.0, 4.0), torch.zeros(2, *SHAPE))


def test_nv_leaves_are_philox() -> None:
    assert not torch.allclose(ours(3, source="NV")(9.0, 4.0), ours(3)(9.0, 4.0))
