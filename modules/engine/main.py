"""The engine process: takes commands from its standard input, runs one job at a time, sends events to its output.

A training is the exception: between its steps, loads and other jobs that wait are done at once.

It ends when its input closes, so it never outlives the process that started it. torch is imported after the pipes
are in place: whatever a library prints goes to the log, never between the frames.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import threading
import uuid
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Protocol

from modules.engine.orders import Orders
from modules.engine.pipes import claim_input, claim_output
from modules.schema import log_lines
from modules.schema.engine import Command, EngineJob, ModelRef, write_frame
from modules.schema.errors import OutOfMemory, UserError
from modules.schema.events import ENDINGS, EngineStatus, Event, Failed, Finished, TrainStep, pack, to_json
from modules.schema.request import GenerationRequest
from modules.schema.training import TrainingRequest

log = logging.getLogger(__name__)

_NO_ROOM = ("out of memory", "can't allocate memory", "not enough memory", "bad_alloc", "cannot allocate memory")
_BROKEN_DEVICE = ("cuda error", "cublas_status", "cudnn_status", "hip error")
_EXIT_SETUP = 2
_EXIT_BROKEN_DEVICE = 3

Events = Generator[Event, Any, None]


class Models(Protocol):
    """What is needed of the store of loaded models."""

    def get(self, ref: ModelRef, precision: str = ...) -> Any: ...
    def clear(self) -> None: ...


Generate = Callable[[EngineJob, Any], Events]
"""(a job that draws, its model) -> its events."""


@dataclass(frozen=True)
class Parts:
    """What the engine runs with; `device` is a label for people. `others`: what does jobs of another kind.

    `news`: what went wrong with extensions while they were loaded.
    """

    models: Models
    generate: Generate
    device: str
    others: Mapping[str, Callable[[EngineJob], Events]] = field(default_factory=dict)
    news: Callable[[], Iterable[Event]] = tuple


class _DeviceLost(BaseException):
    """The device broke in the middle of a training: the process ends without an ending for it, so that it is run
    again."""


class Engine:
    """Runs orders one after another and writes what comes of them to `out`."""

    def __init__(self, orders: Orders, out: BinaryIO, parts: Parts) -> None:
        self._orders = orders
        self._out = out
        self._parts = parts
        self._checkpoint = ""

    def serve(self) -> int:
        """Work until told to shut down; returns the process's exit code."""
        self._status("ready")
        for event in self._parts.news():
            self._send(None, event)
        try:
            while (command := self._orders.next()) is not None:
                self._do(command)
        except _DeviceLost:
            return _EXIT_BROKEN_DEVICE
        return 0

    def _do(self, command: Command) -> None:
        if command.job is not None:
            ending = self._run(command.job)
            if isinstance(ending, Failed) and ending.kind == "DeviceError":
                raise _DeviceLost
        elif command.model is not None:
            self._load(command.model)

    def _load(self, ref: ModelRef) -> None:
        """Have a model at hand before it is needed; a failure is told in the status."""
        self._status("loading", ref=ref)
        failure = self._attempt(lambda: self._parts.models.get(ref))
        if failure is None:
            self._checkpoint = ref.checkpoint
        self._status("ready", failure.message if failure else "")

    def _run(self, job: EngineJob) -> Failed | Finished:
        """Run a job to its end, whatever happens; its last event is always Failed or Finished."""
        endings: list[Failed | Finished] = []
        failure = self._attempt(lambda: endings.append(self._draw(job)))
        ending = failure or endings[0]
        self._orders.ended(job.id)
        self._send(job.id, ending)
        self._status("ready")
        return ending

    def _draw(self, job: EngineJob) -> Finished | Failed:
        """Everything of a job but its ending, which is returned."""
        if not isinstance(job.request, GenerationRequest):
            self._status("busy")
            follow = self._accompany if isinstance(job.request, TrainingRequest) else self._follow
            return follow(job.id, self._parts.others[job.request.kind](job))
        self._status("loading" if job.model.checkpoint != self._checkpoint else "busy", ref=job.model)
        model = self._parts.models.get(job.model, job.request.precision)
        self._checkpoint = job.model.checkpoint
        command = self._orders.signal(job.id)
        if command == "interrupt":
            return Finished("interrupted")
        self._status("busy", ref=job.model)
        return self._follow(job.id, self._parts.generate(job, model))

    def _follow(
        self, job_id: str, events: Events, ask: Callable[[Event], str | None] | None = None
    ) -> Finished | Failed:
        """Send what comes of a job, telling it of commands (what `ask` says after each event); returns its ending."""
        told: str | None = None
        try:
            while True:
                event = events.send(told)
                if isinstance(event, ENDINGS):
                    return event
                self._send(job_id, event)
                told = ask(event) if ask else self._orders.signal(job_id)
        except StopIteration:
            return Finished("done")
        finally:
            events.close()

    def _accompany(self, job_id: str, events: Events) -> Finished | Failed:
        """As `_follow`, and between two steps of this training do what else is asked for.

        While it draws its own previews the models are not free; it is then asked to give way.
        """

        def ask(event: Event) -> str | None:
            drawing = isinstance(event, TrainStep) and event.state == "drawing"
            if not drawing:
                self._interlude()
            told = self._orders.signal(job_id) or ("pause" if self._orders.must_end else None)
            return told or ("border" if drawing and self._orders.any_waiting else None)

        return self._follow(job_id, events, ask)

    def _interlude(self) -> None:
        done = False
        while (command := self._orders.waiting()) is not None:
            self._do(command)
            done = True
        if done:
            self._status("busy")

    def _attempt(self, work: Callable[[], object]) -> Failed | None:
        """Do `work`; what goes wrong becomes a sentence.

        After an error that nobody foresaw, or for want of memory, the models go too: one may be half moved, and the
        room is needed. That is done after the except clause, when the traceback holds no tensors any more.
        """
        try:
            work()
        except BrokenPipeError:
            raise
        except UserError as error:
            failure = Failed(str(error), type(error).__name__)
            if not isinstance(error, OutOfMemory):
                return failure
        except Exception as error:  # noqa: BLE001 - the border of the process: a bug must not end the engine
            failure = _failure(error)
        else:
            return None
        self._checkpoint = ""
        self._parts.models.clear()
        return failure

    def _status(self, state: str, text: str = "", ref: ModelRef | None = None) -> None:
        checkpoint = ref.checkpoint if ref else self._checkpoint
        if state == "loading" and not text:
            text = f"Loading {os.path.basename(checkpoint)}."
        self._send(None, EngineStatus(state, text, self._parts.device, checkpoint))

    def _send(self, job_id: str | None, event: Event) -> None:
        header = json.dumps({"job": job_id, **to_json(event)}, ensure_ascii=False).encode()
        write_frame(self._out, header, pack(event)[1])


def _failure(error: Exception) -> Failed:
    """What the user reads of an error that nobody has put into a sentence yet."""
    text = str(error).casefold()
    log_id = uuid.uuid4().hex[:8]
    if isinstance(error, MemoryError) or any(words in text for words in _NO_ROOM):
        log.warning("out of memory (log id %s)", log_id, exc_info=error)
        return Failed(
            "The device has not enough memory for this job: lower width and height or the batch size, or close other "
            "programs that use it.",
            OutOfMemory.__name__,
            log_id,
        )
    log.error("a job failed (log id %s)", log_id, exc_info=error)
    if any(words in text for words in _BROKEN_DEVICE):
        return Failed(
            f"The graphics device reported an error and is being started anew: press Generate to try again (log id "
            f"{log_id}).",
            "DeviceError",
            log_id,
        )
    return Failed(
        f"Something went wrong inside the program ({type(error).__name__}); the log has the details under the id "
        f"{log_id}.",
        "Error",
        log_id,
    )


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="modules.engine.main", description="The engine process; started by the UI.")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--attention", default="auto")
    parser.add_argument("--capacity", type=int, default=2)
    parser.add_argument("--training-device", action="append", default=[])
    parser.add_argument("--extension", action="append", default=[])
    parser.add_argument("--extension-seconds", type=float, default=60.0)
    return parser.parse_args(words)


def _read_until_closed(orders: Orders, stream: BinaryIO) -> None:
    """The reader thread: when the other side has gone, nobody wants the rest of the job."""
    try:
        orders.read(stream)
    finally:
        os._exit(0)


def _parts(arguments: argparse.Namespace) -> Parts:
    """Import torch and everything on it (seconds), and pick the device."""
    import torch  # noqa: PLC0415

    from modules.engine.captioning.captioners import Captioners
    from modules.engine.captioning.jobs import CaptionJobs
    from modules.engine.conditioning import PromptEncoder
    from modules.engine.extending import Extensions
    from modules.engine.generate import generate
    from modules.engine.loading.placement import pick_device
    from modules.engine.loading.store import Store
    from modules.engine.merging.merge import run_merge
    from modules.engine.postprocess.extras import Extras
    from modules.engine.postprocess.faces import FaceRestorers
    from modules.engine.postprocess.upscalers import Upscalers
    from modules.engine.supplies import supplies_of
    from modules.engine.training.run import run_training

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    device = pick_device(arguments.device)
    store = Store(arguments.capacity, device, arguments.attention)
    upscalers = Upscalers(device)
    faces = FaceRestorers(device)
    captioners = Captioners(device)
    extras = Extras(upscalers, faces, captioners.get)
    look = CaptionJobs(captioners).run
    label = f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)
    encoder = PromptEncoder()
    extensions = Extensions(arguments.extension, arguments.extension_seconds)

    def draw(job: EngineJob, model: Any) -> Events:
        assert isinstance(job.request, GenerationRequest)
        supplies = supplies_of(job, store, upscalers, faces)
        rate, stages = job.previews_per_second, extensions.stages(job.request)
        return extensions.telling(
            generate(job.request, model, encoder=encoder, previews_per_second=rate, supplies=supplies, stages=stages)
        )

    def train(job: EngineJob) -> Events:
        return run_training(job, store, encoder, arguments.training_device)

    drawn = {"extras": extras.run, "merge": run_merge, "training": train}
    others = {**drawn, "caption": look, "interrogate": look}
    return Parts(store, draw, label, others, extensions.news)


def main(words: list[str] | None = None) -> int:
    """Serve until the input closes; returns the exit code."""
    arguments = _arguments(words)
    # Ctrl+C in the terminal reaches the whole group; the web process ends this one in its own time.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    log_lines.start(logging.INFO, sys.stderr)
    frames, commands = claim_output(), claim_input()
    orders = Orders()
    threading.Thread(target=_read_until_closed, args=(orders, commands), name="commands", daemon=True).start()
    try:
        parts = _parts(arguments)
    except UserError as error:
        # The last line of the log is what the page shows of an engine that does not start.
        sys.stderr.write(f"{error}\n")
        return _EXIT_SETUP
    return Engine(orders, frames, parts).serve()


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    # The interpreter's own end would wait for the reader thread and for device libraries' threads.
    os._exit(code)
