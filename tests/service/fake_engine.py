"""Stands in for the engine process: speaks its protocol without torch. What a job does is said by its prompt's words.

slow: 0.05 s a step. die: the process ends at step 2. oom, bug: fails. chatty: prints much to stderr. `--crash` never
gets ready; `--once FILE` crashes only while FILE does not exist.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from pathlib import Path

from modules.schema.engine import Command, EngineJob, read_frame, write_frame
from modules.schema.events import EngineStatus, Event, Failed, Finished, ImageDone, Preview, Progress, pack, to_json


def emit(job_id: str | None, event: Event) -> None:
    header = json.dumps({"job": job_id, **to_json(event)}).encode()
    write_frame(sys.stdout.buffer, header, pack(event)[1])


class FakeEngine:
    def __init__(self) -> None:
        self.work: queue.Queue[Command | None] = queue.Queue()
        self.signals: list[tuple[str, str | None]] = []
        self.checkpoint = ""

    def read(self) -> None:
        while (frame := read_frame(sys.stdin.buffer)) is not None:
            command = Command.model_validate_json(frame[0])
            if command.name in ("interrupt", "skip"):
                self.signals.append((command.name, command.job_id))
            else:
                self.work.put(None if command.name == "shutdown" else command)
        os._exit(0)

    def serve(self) -> None:
        emit(None, EngineStatus("ready", device="fake"))
        while (command := self.work.get()) is not None:
            if command.job is not None:
                emit(None, EngineStatus("busy", device="fake"))
                self.checkpoint = command.job.model.checkpoint
                emit(command.job.id, self.run(command.job))
            elif command.model is not None:
                emit(None, EngineStatus("loading", device="fake", checkpoint=command.model.checkpoint))
                self.checkpoint = command.model.checkpoint
                if "deadly" in command.model.checkpoint:
                    os._exit(9)
            emit(None, EngineStatus("ready", device="fake", checkpoint=self.checkpoint))

    def run(self, job: EngineJob) -> Event:
        began, request = time.monotonic(), job.request
        if "oom" in request.prompt:
            return Failed("The device has not enough memory: lower width.", "OutOfMemory")
        if "bug" in request.prompt:
            return Failed("Something went wrong (log id 1234).", "Error", "1234")
        if "chatty" in request.prompt:
            sys.stderr.write("a line of the log\n" * 20_000)
        for index in range(request.image_count):
            told = self.draw(job, index)
            if told == "interrupt":
                return Finished("interrupted", time.monotonic() - began)
        return Finished("done", max(time.monotonic() - began, 0.001))

    def draw(self, job: EngineJob, index: int) -> str | None:
        request, told = job.request, None
        for step in range(1, request.steps + 1):
            time.sleep(0.05 if "slow" in request.prompt else 0)
            emit(job.id, Progress(step, request.steps, index + 1, request.image_count, seconds_left=1.0))
            emit(job.id, Preview(step, index + 1, "jpeg", bytes([step % 256])))
            if "die" in request.prompt and step == 2:
                os._exit(9)
            told = next((name for name, job_id in self.signals if job_id == job.id), None)
            if told:
                self.signals.clear()
                break
        pixels = bytes([index % 256]) * (request.width * request.height * 3)
        single = request.for_image(index).model_dump(mode="json")
        emit(job.id, ImageDone(index, request.width, request.height, single, {"Eta": 1}, told is not None, pixels))
        return told


def main() -> None:
    arguments = sys.argv[1:]
    if arguments[:1] == ["--crash"]:
        sys.stderr.write("no such device\n")
        sys.exit(3)
    if arguments[:1] == ["--once"] and not Path(arguments[1]).exists():
        Path(arguments[1]).touch()
        sys.exit(4)
    engine = FakeEngine()
    threading.Thread(target=engine.read, daemon=True).start()
    engine.serve()
    os._exit(0)


if __name__ == "__main__":
    main()
