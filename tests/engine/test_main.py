from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from modules.engine.main import Engine, Orders, Parts
from modules.schema.engine import Command, EngineJob, ModelRef, read_frame, write_frame
from modules.schema.errors import ModelFileError
from modules.schema.events import EngineStatus, Event, Failed, Finished, ImageDone, Notice, Progress, from_json
from modules.schema.request import GenerationRequest

ROOT = Path(__file__).parents[2]
MINIATURE = ROOT / "models" / "Stable-diffusion" / "miniature.safetensors"
MODEL = ModelRef(checkpoint="/a.safetensors")


class FakeModels:
    """Gives the ref itself as the model; `fail` is raised instead."""

    def __init__(self) -> None:
        self.asked: list[tuple[ModelRef, str]] = []
        self.cleared = 0
        self.fail: Exception | None = None

    def get(self, ref: ModelRef, precision: str = "auto") -> ModelRef:
        self.asked.append((ref, precision))
        if self.fail:
            raise self.fail
        return ref

    def clear(self) -> None:
        self.cleared += 1


class Bench:
    """An Engine in this process whose output is read back after it has served its orders."""

    def __init__(self, generate: Callable[..., Generator[Event, Any, None]]) -> None:
        self.orders, self.models, self.out = Orders(), FakeModels(), io.BytesIO()

        def draw(job: EngineJob, model: object) -> Generator[Event, Any, None]:
            return generate(job.request, model, previews_per_second=job.previews_per_second)

        self.engine = Engine(self.orders, self.out, Parts(self.models, draw, "fake device"))

    def run(self, *commands: Command) -> list[tuple[str | None, Event]]:
        for command in commands:
            self.orders.put(command)
        self.orders.put(Command(name="shutdown"))
        self.code = self.engine.serve()
        return frames(self.out.getvalue())

    def of(self, job_id: str, *commands: Command) -> list[Event]:
        return [event for job, event in self.run(*commands) if job == job_id]


def frames(data: bytes) -> list[tuple[str | None, Event]]:
    stream, found = io.BytesIO(data), []
    while (frame := read_frame(stream)) is not None:
        header = json.loads(frame[0])
        found.append((header.pop("job"), from_json(header, frame[1])))
    return found


def order(job_id: str = "j", **values: Any) -> Command:
    request = GenerationRequest(**{"seed": 1, "subseed": 1, **values})
    return Command(name="run", job=EngineJob(id=job_id, request=request, model=MODEL, previews_per_second=0.5))


def steps(
    request: GenerationRequest, model: object, *, previews_per_second: float
) -> Generator[Event, str | None, None]:
    told: list[str] = []
    for step in range(1, request.steps + 1):
        command = yield Progress(step, request.steps, 1, 1)
        if command:
            told.append(command)
        if command == "interrupt":
            yield ImageDone(0, 1, 1, {}, {}, True, b"abc")
            yield Finished("interrupted")
            return
    yield Notice(",".join(told))
    yield Finished("done", 1.0)


def test_a_job_from_order_to_end() -> None:
    bench = Bench(steps)
    said = bench.run(order(steps=2, precision="fp32"))
    assert [event for job, event in said if job == "j"] == [
        Progress(1, 2, 1, 1),
        Progress(2, 2, 1, 1),
        Notice(""),
        Finished("done", 1.0),
    ]
    states = [event.state for job, event in said if job is None and isinstance(event, EngineStatus)]
    assert states == ["ready", "loading", "busy", "ready"]
    assert bench.models.asked == [(MODEL, "fp32")]
    assert bench.code == 0


def test_load_is_told_and_does_not_need_a_job() -> None:
    bench = Bench(steps)
    said = bench.run(Command(name="load", model=MODEL), order())
    states = [(e.state, e.checkpoint) for j, e in said if j is None and isinstance(e, EngineStatus)]
    assert states[:3] == [("ready", ""), ("loading", MODEL.checkpoint), ("ready", MODEL.checkpoint)]
    assert states[3] == ("busy", MODEL.checkpoint)


def test_a_failed_load_is_a_sentence_in_the_status() -> None:
    bench = Bench(steps)
    bench.models.fail = ModelFileError("a.safetensors is cut off: download it again.")
    (*_, (_, last)) = bench.run(Command(name="load", model=MODEL))
    assert last == EngineStatus("ready", "a.safetensors is cut off: download it again.", "fake device", "")


def test_interrupt_acts_at_the_next_event_and_keeps_the_picture() -> None:
    bench = Bench(steps)

    class Interrupting(Orders):
        def signal(self, job_id: str) -> str | None:
            self.asked = getattr(self, "asked", 0) + 1
            if self.asked == 4:  # before the first event, then after events 1, 2 and 3
                self.put(Command(name="interrupt", job_id=job_id))
            return super().signal(job_id)

    bench.orders = Interrupting()
    bench.engine = Engine(
        bench.orders,
        bench.out,
        Parts(bench.models, lambda job, model: steps(job.request, model, previews_per_second=0.5), "fake"),
    )
    events = bench.of("j", order(steps=100))
    assert [type(e) for e in events] == [Progress] * 3 + [ImageDone, Finished]
    assert events[-1] == Finished("interrupted")


def test_a_job_interrupted_before_it_begins_draws_nothing() -> None:
    assert Bench(steps).of("j", order(), Command(name="interrupt", job_id="j")) == [Finished("interrupted")]


def test_signals_for_other_jobs_do_nothing() -> None:
    bench = Bench(steps)
    events = bench.of("j", Command(name="interrupt", job_id="gone"), order(steps=1), order("k"),
                      Command(name="interrupt", job_id="k"))  # fmt: skip
    assert events[-1] == Finished("done", 1.0)


def test_skip_is_told_once_and_interrupt_stays() -> None:
    orders = Orders()
    orders.put(order())
    orders.put(Command(name="skip", job_id="j"))
    assert [orders.signal("j"), orders.signal("j")] == ["skip", None]
    orders.put(Command(name="interrupt", job_id="j"))
    orders.put(Command(name="skip", job_id="j"))
    assert [orders.signal("j"), orders.signal("j")] == ["interrupt", "interrupt"]
    orders.ended("j")
    assert orders.signal("j") is None


def failing(error: BaseException) -> Callable[..., Generator[Event, Any, None]]:
    def generate(request: object, model: object, *, previews_per_second: float) -> Generator[Event, Any, None]:
        yield Progress(1, 2, 1, 1)
        raise error

    return generate


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried to..."
        ),
        RuntimeError("CUDA error: out of memory"),
    ],
)
def test_out_of_memory_is_a_sentence_and_the_engine_goes_on(error: Exception) -> None:
    bench = Bench(failing(error))
    said = bench.run(order("j"), order("k"))
    ends = [event for _, event in said if isinstance(event, Failed)]
    assert [end.kind for end in ends] == ["OutOfMemory"] * 2
    assert "width and height or the batch size" in ends[0].message
    assert bench.models.cleared == 2
    assert bench.code == 0


def test_a_real_allocation_that_is_too_large_is_out_of_memory() -> None:
    torch = pytest.importorskip("torch")

    def generate(request: object, model: object, *, previews_per_second: float) -> Generator[Event, Any, None]:
        yield Progress(1, 2, 1, 1)
        torch.empty(2**50)

    (*_, end) = Bench(generate).of("j", order())
    assert isinstance(end, Failed)
    assert end.kind == "OutOfMemory"


def test_a_user_error_is_passed_on_as_it_is() -> None:
    bench = Bench(failing(ModelFileError("x is cut off.")))
    assert bench.of("j", order())[-1] == Failed("x is cut off.", "ModelFileError")
    assert bench.models.cleared == 0


def test_a_bug_gets_a_log_id_and_its_traceback_goes_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        (*_, end) = Bench(failing(ZeroDivisionError("secret detail"))).of("j", order())
    assert isinstance(end, Failed)
    assert end.log_id is not None
    assert end.log_id in end.message
    assert "secret detail" not in end.message
    (record,) = caplog.records
    assert end.log_id in record.getMessage()
    assert record.exc_info is not None


def test_a_broken_device_ends_the_process_after_the_sentence() -> None:
    bench = Bench(failing(RuntimeError("CUDA error: an illegal memory access was encountered")))
    events = bench.of("j", order("j"), order("k"))
    assert isinstance(events[-1], Failed)
    assert bench.code == 3


def test_a_command_that_makes_no_sense_is_left_out() -> None:
    stream = io.BytesIO()
    write_frame(stream, b'{"name": "explode"}')
    write_frame(stream, Command(name="load", model=MODEL).model_dump_json().encode())
    stream.seek(0)
    orders = Orders()
    orders.read(stream)
    command = orders.next()
    assert command is not None
    assert command.name == "load"


def spawn(*words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "modules.engine.main", "--threads", "1", *words], cwd=ROOT,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip


def read_event(process: subprocess.Popen[bytes]) -> tuple[str | None, Event] | None:
    assert process.stdout is not None
    frame = read_frame(process.stdout)
    if frame is None:
        return None
    header = json.loads(frame[0])
    return header.pop("job"), from_json(header, frame[1])


@pytest.mark.engine
def test_the_real_process_draws_is_interrupted_and_ends_with_its_input() -> None:
    process = spawn("--device", "cpu")
    assert process.stdin is not None
    model = ModelRef(checkpoint=str(MINIATURE))

    def run(job_id: str, **values: Any) -> None:
        request = GenerationRequest(**{"width": 64, "height": 64, "seed": 1, "subseed": 1, "steps": 2, **values})
        job = EngineJob(id=job_id, request=request, model=model)
        write_frame(process.stdin, Command(name="run", job=job).model_dump_json().encode())

    def events(job_id: str) -> list[Event]:
        found: list[Event] = []
        while not found or not isinstance(found[-1], Finished | Failed):
            item = read_event(process)
            assert item is not None, process.stderr.read().decode() if process.stderr else ""
            if item[0] == job_id:
                found.append(item[1])
        return found

    run("a")
    first = events("a")
    assert isinstance(first[-1], Finished)
    assert sum(isinstance(event, ImageDone) for event in first) == 1
    run("b", steps=1000)
    time.sleep(0.3)
    write_frame(process.stdin, Command(name="interrupt", job_id="b").model_dump_json().encode())
    assert events("b")[-1].reason == "interrupted"  # type: ignore[union-attr]
    run("c", steps=1000)
    time.sleep(0.3)
    drain = threading.Thread(target=process.stdout.read if process.stdout else None, daemon=True)
    drain.start()
    process.stdin.close()
    assert process.wait(5) == 0


@pytest.mark.engine
def test_a_device_that_is_not_there_is_told_in_the_last_line() -> None:
    process = spawn("--device", "cuda:77")
    assert process.wait(60) == 2
    _, errors = process.communicate()
    assert "cuda:77" in errors.decode().strip().splitlines()[-1]


def test_importing_the_module_does_not_import_torch() -> None:
    code = "import sys, modules.engine.main; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=os.environ.copy(), check=False).returncode == 0
