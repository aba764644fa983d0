"""Several devices that learn together find what one finds, and a lost one costs nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.engine.conditioning import PromptEncoder
from modules.engine.loading.store import Store
from modules.engine.training.run import run_training
from modules.engine.training.shares import Share
from modules.engine.training.team import Group, useful
from modules.schema.engine import EngineJob
from modules.schema.events import Event, Notice, TrainStep
from tests.engine.training.runs import learned, make_job, pictures, reason


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 8))
def test_every_picture_is_in_one_share(batches: list[int], count: int) -> None:
    taken = [
        (batch, picture)
        for number in range(count)
        for batch, pictures in Share(number, count).of(batches)
        for picture in range(pictures.start, pictures.stop)
    ]
    assert taken == [(batch, picture) for batch, size in enumerate(batches) for picture in range(size)]
    sizes = [sum(p.stop - p.start for _, p in Share(number, count).of(batches)) for number in range(count)]
    assert max(sizes) - min(sizes) <= 1


def test_devices_without_work_are_left_out() -> None:
    assert useful(["cuda:1", "cuda:2", "cuda:3"], 3) == ("cuda:1", "cuda:2")
    assert useful(["cuda:1", "cpu"], 9) == ("cuda:1",)
    assert useful(["cuda:1"], 1) == ()
    assert useful([], 8) == ()


def test_each_partner_sees_its_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    group = Group(("cuda:1", "cuda:3"))
    told = group.environment(1, 1234)
    assert (told["RANK"], told["LOCAL_RANK"], told["WORLD_SIZE"]) == ("1", "1", "2")
    assert told["CUDA_VISIBLE_DEVICES"] == "1,3"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7")
    assert group.environment(0, 1234)["CUDA_VISIBLE_DEVICES"] == "5,7"
    assert Group(("cpu",)).environment(0, 1234)["CUDA_VISIBLE_DEVICES"] == ""


def run(
    job: EngineJob, store: Store, devices: tuple[str, ...], watch: Callable[[Event], None] = lambda event: None
) -> list[Event]:
    events = []
    for event in run_training(job, store, PromptEncoder(), devices):
        events.append(event)
        watch(event)
    return events


def partners() -> list[psutil.Process]:
    return [
        child for child in psutil.Process().children() if any("training.partner" in word for word in child.cmdline())
    ]


def apart(one: EngineJob, other: EngineJob) -> float:
    """How far the numbers and their moments are apart, relative to their size; sums in another order round apart."""
    pairs = [(tensor, learned(other)[name]) for name, tensor in learned(one).items()]
    return max(float((a - b).norm() / a.norm()) for a, b in pairs)


def notices(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Notice)]


@pytest.mark.engine
@pytest.mark.parametrize("method", ["Textual inversion", "LoRA"])
def test_three_learn_what_one_learns(tiny: Path, tmp_path: Path, store: Store, method: str) -> None:
    alone, together = (
        make_job(
            tmp_path / name, pictures(count=6), checkpoint=tiny, steps=4, batch_size=2, gradient_step=2, method=method
        )
        for name in ("alone", "together")
    )
    assert reason(run(alone, store, ())) == "done"
    seen: list[int] = []
    events = run(together, store, ("cpu", "cpu"), lambda event: seen.append(len(partners())))
    assert reason(events) == "done"
    assert max(seen) == 2
    assert partners() == []
    assert notices(events) == []
    assert apart(alone, together) < 1e-3


@pytest.mark.engine
def test_a_killed_partner_is_said_and_costs_no_step(tiny: Path, tmp_path: Path, store: Store) -> None:
    alone, together = (
        make_job(tmp_path / name, pictures(count=6), checkpoint=tiny, steps=30, batch_size=4, evaluate_every=1)
        for name in ("alone", "together")
    )

    def kill(event: Event) -> None:
        if isinstance(event, TrainStep) and event.step == 3:
            for partner in partners():
                partner.kill()

    events = run(together, store, ("cpu",), kill)
    assert reason(events) == "done"
    (said,) = notices(events)
    assert "goes on without" in said
    assert reason(run(alone, store, ())) == "done"
    assert apart(alone, together) < 1e-3


@pytest.mark.engine
def test_one_picture_a_step_leaves_them_idle(tiny: Path, tmp_path: Path, store: Store) -> None:
    events = run(make_job(tmp_path, pictures(count=2), checkpoint=tiny, steps=1), store, ("cpu",))
    assert reason(events) == "done"
    (said,) = notices(events)
    assert "batch size" in said
