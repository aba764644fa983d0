"""Which engine gets what, without any process."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.schema.engine import Command, ModelRef
from modules.schema.errors import BadRequest
from modules.schema.events import EngineStatus
from modules.schema.orders import AnyOrder
from modules.schema.request import GenerationRequest
from modules.schema.scripts import ScriptRequest
from modules.schema.settings import Settings
from modules.service.course import Course
from modules.service.devices import engine_commands
from modules.service.engines import Engines
from modules.service.jobs import Job
from modules.service.pieces import Piece
from modules.service.plans import OnePart, Part
from tests.service.helpers import ANN, request
from tests.service.training.helpers import training


class _Stub:
    """A handle that only takes commands."""

    pid = None
    log_file = Path("x")

    def __init__(self, *, draws_only: bool = False) -> None:
        self.sent: list[Command] = []
        self._draws_only = draws_only

    def takes(self, order: AnyOrder) -> bool:
        return not self._draws_only or isinstance(order, GenerationRequest | ScriptRequest)

    def send(self, command: Command) -> bool:
        self.sent.append(command)
        return True

    def start(self) -> None: ...
    def succeeded(self) -> None: ...
    def revive(self) -> None: ...
    def kill(self) -> None: ...
    def close(self) -> None: ...


def _pool(*handles: _Stub) -> Engines:
    makers = {str(n): lambda on_event, on_death, handle=handle: handle for n, handle in enumerate(handles)}
    pool = Engines(makers, lambda *_: None, lambda *_: None, 2)
    for engine in pool.all:
        engine.up = True
    return pool


def _piece(order: AnyOrder) -> Piece:
    job = Job("j", ANN, order, ModelRef(checkpoint="a"))
    assert isinstance(order, GenerationRequest)
    return Piece(job, Part(order, job.model), 0, 0, order.image_count)


def test_a_job_goes_to_who_has_its_checkpoint_then_to_who_rested_longest() -> None:
    pool = _pool(_Stub(), _Stub(), _Stub())
    first, second, third = pool.all
    order = request()
    for engine, checkpoint in ((first, "a"), (second, "b"), (third, "a")):
        engine.told(EngineStatus("ready", checkpoint=checkpoint))
        piece = _piece(order)
        assert pool.give(engine, piece, Command(name="run"))
        engine.release(piece)
    assert pool.to_draw(order, "b") is second
    assert pool.to_draw(order, "a") is first
    assert pool.to_draw(order, "c") is first
    second.told(EngineStatus("ready", checkpoint="d"))
    assert pool.to_draw(order, "b") is second, "two are kept in memory"
    second.told(EngineStatus("ready", checkpoint="e"))
    assert pool.to_draw(order, "b") is first


def test_an_engine_that_has_died_has_nothing_in_memory() -> None:
    pool = _pool(_Stub(), _Stub())
    pool.all[1].told(EngineStatus("ready", checkpoint="a"))
    assert pool.to_draw(request(), "a") is pool.all[1]
    pool.all[1].ended(EngineStatus("starting"), gave_up=False)
    pool.all[1].up = True
    assert pool.to_draw(request(), "a") is pool.all[0]


def test_work_goes_only_to_who_takes_it(tmp_path: Path) -> None:
    pool = _pool(_Stub(draws_only=True), _Stub())
    learning = training(tmp_path, "x")
    assert pool.to_train(learning, "") is pool.all[1]
    pool.all[1].up = False
    assert pool.to_train(learning, "") is None
    assert pool.can_take(learning)
    assert not _pool(_Stub(draws_only=True)).can_take(learning)


@settings(max_examples=60, deadline=None)
@given(
    batches=st.integers(1, 40),
    size=st.integers(1, 4),
    engines=st.integers(2, 6),
    strength=st.sampled_from([0.0, 0.3]),
    there=st.sets(st.integers(0, 60)),
)
def test_pieces_are_the_whole_and_have_its_seeds(
    batches: int, size: int, engines: int, strength: float, there: set[int]
) -> None:
    """Every missing picture is in one piece, in order, with the seeds it has in the whole."""
    order = request(batch_count=batches, batch_size=size, subseed=11, subseed_strength=strength)
    job = Job("j", ANN, order, ModelRef(checkpoint="a"))
    plan = OnePart(Part(order, job.model))
    course = Course(job, SimpleNamespace(plan=lambda _: plan), SimpleNamespace(), engines)  # type: ignore[arg-type]
    course.delivered |= there
    drawn: list[int] = []
    while (piece := course.next_piece()) is not None:
        assert piece.count % size == 0
        own = piece.order.request
        assert isinstance(own, GenerationRequest)
        assert own.image_count == piece.count
        for index in range(piece.count):
            drawn.append(piece.first + index)
            assert own.for_image(index) == order.for_image(piece.first + index)
    assert drawn == sorted(set(drawn))
    assert set(drawn) | there >= set(range(batches * size))


def _device(command: list[str]) -> tuple[str, str]:
    return command[command.index("--device") + 1], command[command.index("--threads") + 1]


def test_gpus_are_cards_or_devices() -> None:
    assert list(engine_commands(Settings())) == ["the engine"]
    commands = engine_commands(Settings(gpus="0, 1,cuda:3 ,CPU", threads=0))
    assert [_device(command) for command in commands.values()] == [
        ("cuda:0", "0"), ("cuda:1", "0"), ("cuda:3", "0"), ("cpu", "0")]  # fmt: skip
    assert list(commands)[:2] == ["engine 1 (cuda:0)", "engine 2 (cuda:1)"]


def test_engines_on_the_cpu_share_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert [_device(c) for c in engine_commands(Settings(gpus="cpu,0,cpu")).values()] == [
        ("cpu", "4"), ("cuda:0", "0"), ("cpu", "4")]  # fmt: skip
    assert [_device(c)[1] for c in engine_commands(Settings(gpus="cpu,cpu", threads=3)).values()] == ["3", "3"]


@pytest.mark.parametrize("gpus", ["x", "0,,1", "cuda:", "0;1", "-1", "none"])
def test_gpus_that_make_no_sense_are_refused(gpus: str) -> None:
    with pytest.raises(BadRequest, match="--gpus"):
        engine_commands(Settings(gpus=gpus))


def test_training_devices_are_cards() -> None:
    (command,) = engine_commands(Settings(training_devices="1, cuda:2")).values()
    assert [word for before, word in pairwise(command) if before == "--training-device"] == ["cuda:1", "cuda:2"]
    (command,) = engine_commands(Settings()).values()
    assert "--training-device" not in command
    for wrong in ("mps", "auto", "cuda", "1;2"):
        with pytest.raises(BadRequest, match="--training-devices"):
            engine_commands(Settings(training_devices=wrong))
