"""What the engine does between the steps of a training."""

from __future__ import annotations

import io
from collections.abc import Generator
from typing import Any

import pytest

from modules.engine.main import Engine, Orders, Parts
from modules.schema.engine import Command, EngineJob
from modules.schema.events import EngineStatus, Event, Failed, Finished, Progress, TrainStep
from modules.schema.training import TrainingRequest
from tests.engine.test_main import MODEL, FakeModels, frames, order


class Bench:
    """An engine whose training tells of `states`; `arrive` are commands that come in after its first event."""

    def __init__(self, states: list[str], arrive: list[Command], error: Exception | None = None) -> None:
        self.orders, self.out, self.told = Orders(), io.BytesIO(), list[str | None]()

        def train(job: EngineJob) -> Generator[Event, Any, None]:
            for step, state in enumerate(states):
                command = yield TrainStep("run", step, len(states), state)
                self.told.append(command)
                if step == 0:
                    for one in arrive:
                        self.orders.put(one)
                if command in ("pause", "interrupt"):
                    yield Finished("paused" if command == "pause" else "interrupted")
                    return
            self.orders.put(Command(name="shutdown"))
            yield Finished("done")

        def draw(job: EngineJob, model: object) -> Generator[Event, Any, None]:
            yield Progress(1, 1, 1, 1)
            if error is not None:
                raise error
            yield Finished("done")

        parts = Parts(FakeModels(), draw, "fake", {"training": train})
        self.engine = Engine(self.orders, self.out, parts)

    def run(self, *commands: Command) -> list[tuple[str | None, Event]]:
        for command in commands:
            self.orders.put(command)
        self.code = self.engine.serve()
        return [item for item in frames(self.out.getvalue()) if not isinstance(item[1], EngineStatus)]


def training(job_id: str = "t") -> Command:
    return Command(name="run", job=EngineJob(id=job_id, request=TrainingRequest(name="x"), model=MODEL))


SHUTDOWN = Command(name="shutdown")


def test_a_drawing_is_done_at_the_next_border() -> None:
    said = [job for job, _ in Bench(["training"] * 5, [order("j")]).run(training())]
    assert said == ["t", "t", "j", "j", "t", "t", "t", "t"]


def test_previews_are_asked_to_give_way_first() -> None:
    bench = Bench(["drawing"] * 3 + ["training"] * 2, [order("j")])
    said = [job for job, _ in bench.run(training())]
    assert bench.told == [None, "border", "border", None, None]
    assert said == ["t", "t", "t", "t", "j", "j", "t", "t"]


@pytest.mark.parametrize("name", ["pause", "interrupt"])
def test_a_training_is_told(name: str) -> None:
    bench = Bench(["training"] * 50, [Command(name=name, job_id="t"), SHUTDOWN])  # type: ignore[arg-type]
    said = bench.run(training())
    assert isinstance(said[-1][1], Finished)
    assert said[-1][1].reason == ("paused" if name == "pause" else "interrupted")
    assert len(said) == 3


def test_shutting_down_pauses() -> None:
    bench = Bench(["training"] * 50, [SHUTDOWN])
    said = bench.run(training())
    assert said[-1] == ("t", Finished("paused"))
    assert bench.code == 0


def test_another_training_waits_for_the_end() -> None:
    bench = Bench(["training"] * 3, [])
    said = bench.run(training("a"), training("b"))
    assert said[3] == ("a", Finished("done"))
    assert {job for job, _ in said[:4]} == {"a"}
    assert {job for job, _ in said[4:]} == {"b"}


def test_a_failed_drawing_does_not_end_the_training() -> None:
    bench = Bench(["training"] * 5, [order("j")], ValueError("bug"))
    said = bench.run(training())
    assert said
    assert any(isinstance(event, Failed) for job, event in said if job == "j")


def test_a_broken_device_ends_the_process_without_an_ending_for_the_training() -> None:
    bench = Bench(["training"] * 5, [order("j")], RuntimeError("CUDA error: unspecified launch failure"))
    said = bench.run(training())
    assert bench.code == 3
    assert not [event for job, event in said if job == "t" and isinstance(event, Failed | Finished)]
