"""Flat weights, the optimiser, learning rate and curriculum, and runs that are stopped and go on."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tools.miniature.latents import level_shares
from tools.miniature.optimise import AdamW, Flat, Group, flatten, learning_rate
from tools.miniature.replicas import Plan, train
from tools.miniature.state import State, load_state, save_state


class Line:
    """Learns a linear map; every step's data follow from its number."""

    groups = (Group("line", 1.0, 0.01),)

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.modules = {"line": nn.Linear(4, 3)}

    def loss(self, step: int, fraction: float, rank: int, replicas: int) -> tuple[Tensor, Mapping[str, float]]:
        generator = torch.Generator().manual_seed(step * 10 + rank)
        weight = self.modules["line"].weight
        x = torch.randn(8, 4, generator=generator).to(weight.dtype)
        if step == 3:
            x = x * float("nan")
        return (self.modules["line"](x) - x[:, :3]).float().square().mean(), {}


class Watch:
    def __init__(self, stop_at: int | None = None, number: int = signal.SIGTERM) -> None:
        self.rows: list[Mapping[str, float]] = []
        self.stop_at, self.number = stop_at, number

    def logged(self, row: Mapping[str, float]) -> None:
        self.rows.append(row)
        if row["step"] == self.stop_at:
            os.kill(os.getpid(), self.number)

    def saved(self, flat: Flat, step: int, fraction: float, final: bool) -> None: ...


def _plan(replicas: int = 1) -> Plan:
    return Plan(minutes=0, steps=12, rate=1e-2, replicas=replicas)


def _weights(path: Path) -> dict[str, Tensor]:
    state = load_state(path)
    assert state is not None
    return dict(state.tensors)


def test_a_stopped_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    assert train(Line, _plan(), whole, Watch())
    assert not train(Line, _plan(), parts, Watch(stop_at=5))
    assert not train(Line, _plan(), parts, Watch(stop_at=9, number=signal.SIGINT))
    assert train(Line, _plan(), parts, Watch())
    expected, found = _weights(whole), _weights(parts)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_a_step_without_numbers_changes_nothing(tmp_path: Path) -> None:
    watch = Watch()
    assert train(Line, _plan(), tmp_path / "s.safetensors", watch)
    losses = [row["loss"] for row in watch.rows]
    assert losses[3] != losses[3]
    assert losses[-1] < losses[0]
    assert all(torch.isfinite(tensor).all() for tensor in _weights(tmp_path / "s.safetensors").values())


def test_two_replicas_share_the_weights(tmp_path: Path) -> None:
    watch = Watch()
    assert train(Line, _plan(replicas=2), tmp_path / "s.safetensors", watch)
    assert watch.rows[-1]["loss"] < watch.rows[0]["loss"]


class Mortal(Line):
    """One that dies in the second process."""

    def loss(self, step: int, fraction: float, rank: int, replicas: int) -> tuple[Tensor, Mapping[str, float]]:
        if rank == 1:
            raise RuntimeError("no more")
        return super().loss(step, fraction, rank, replicas)


def test_a_process_that_dies_ends_the_run_at_once(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="One of the training's processes has ended"):
        train(Mortal, _plan(replicas=2), tmp_path / "s.safetensors", Watch())


def test_state_round_trip_and_damage(tmp_path: Path) -> None:
    path = tmp_path / "s.safetensors"
    save_state(path, State({"a": torch.arange(3.0)}, {"step": 4}))
    state = load_state(path)
    assert state is not None
    assert state.facts == {"step": 4}
    assert state.tensors["a"].tolist() == [0, 1, 2]
    assert [entry.name for entry in tmp_path.iterdir()] == ["s.safetensors"]
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ValueError, match="damaged"):
        load_state(path)
    assert load_state(tmp_path / "none.safetensors") is None


def test_adamw_against_torch() -> None:
    torch.manual_seed(0)
    ours, theirs = nn.Linear(5, 3), nn.Linear(5, 3)
    theirs.load_state_dict(ours.state_dict())
    flat = flatten({"m": ours}, [Group("m", 1.0, 0.1)], 1, torch.float32, torch.device("cpu"))
    flat.attach({"m": ours}, 0)
    mine = AdamW(flat, 0)
    grouped = [{"params": [theirs.weight], "weight_decay": 0.1}, {"params": [theirs.bias], "weight_decay": 0.0}]
    torchs = torch.optim.AdamW(grouped, lr=1e-2, betas=(0.9, 0.99), eps=1e-8)
    for step in range(1, 6):
        x = torch.randn(7, 5)
        for net in (ours, theirs):
            net.zero_grad(set_to_none=False)
            net(x).square().sum().backward()
        mine.gather()
        mine.step(step, 1e-2, 1.0, 0.5)
        torchs.step()
    assert torch.allclose(ours.weight, theirs.weight, atol=1e-6)
    assert torch.allclose(ours.bias, theirs.bias, atol=1e-6)


def test_leading_rows_have_their_own_rate() -> None:
    group = Group("m", 1.0, 0.1, lead=2, lead_rate=0.5)
    assert group.segments(64, 128, torch.Size([4, 3])) == [(64, 70, 0.5, 0.1), (70, 128, 1.0, 0.1)]
    assert group.segments(0, 64, torch.Size([1])) == [(0, 1, 0.5, 0.0), (1, 64, 1.0, 0.0)]


def test_learning_rate_rises_and_falls() -> None:
    assert learning_rate(0.0, 0.1, 1.0) < 0.01
    assert learning_rate(0.05, 0.1, 1.0) == pytest.approx(0.5)
    assert learning_rate(0.1, 0.1, 1.0) == pytest.approx(1.0)
    assert learning_rate(0.55, 0.1, 1.0) == pytest.approx(0.505)
    assert learning_rate(1.0, 0.1, 1.0) == pytest.approx(0.01)


def test_curriculum_begins_simple_and_ends_with_everything() -> None:
    for fraction in (0.0, 0.1, 0.15, 0.5, 0.9, 1.0):
        assert sum(level_shares(fraction)) == pytest.approx(1)
    assert level_shares(0.0)[3] == 0
    assert level_shares(0.0)[0] > level_shares(0.3)[0] > level_shares(1.0)[0]
    assert min(level_shares(1.0)) > 0
