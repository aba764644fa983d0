"""Stands in for the engine process: speaks its protocol, starts in no time. A prompt says what its job does.

slow: 0.05 s a step. seeded: its pictures show their seeds. die: the process ends at step 2. oom, bug: fails. chatty:
prints much to stderr. `--crash` never gets ready; `--once FILE` crashes only while FILE does not exist, and
`--alone FILE` where it does. Trainings: see fake_training.
"""

from __future__ import annotations

import json
import os
import queue
import struct
import sys
import threading
import time
from pathlib import Path
from typing import Any

from modules.schema.events import (
    Captioned,
    EngineStatus,
    Event,
    Failed,
    Finished,
    ImageDone,
    Preview,
    Progress,
    pack,
    to_json,
)
from tests.service.fake_training import train

LENGTHS = struct.Struct(">II")


def emit(job_id: str | None, event: Event) -> None:
    header, blob = json.dumps({"job": job_id, **to_json(event)}).encode(), pack(event)[1]
    sys.stdout.buffer.write(LENGTHS.pack(len(header), len(blob)) + header + blob)
    sys.stdout.buffer.flush()


class FakeEngine:
    def __init__(self) -> None:
        self.work: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.signals: list[tuple[str, str]] = []
        self.checkpoint = ""

    def read(self) -> None:
        while lengths := sys.stdin.buffer.read(LENGTHS.size):
            command = json.loads(sys.stdin.buffer.read(LENGTHS.unpack(lengths)[0]))
            if command["name"] in ("interrupt", "skip", "pause"):
                self.signals.append((command["name"], command["job_id"]))
            else:
                self.work.put(None if command["name"] == "shutdown" else command)
        os._exit(0)

    def serve(self) -> None:
        self.status("ready")
        while (command := self.work.get()) is not None:
            self.obey(command)

    def obey(self, command: dict[str, Any]) -> None:
        job = command.get("job")
        self.checkpoint = (job or command)["model"]["checkpoint"]
        self.status("busy" if job else "loading")
        if job and job["request"].get("kind") == "training":
            emit(job["id"], self.train(job))
        elif job:
            emit(job["id"], self.run(job["id"], job["request"]))
        elif "deadly" in self.checkpoint:
            os._exit(9)
        self.status("ready")

    def train(self, job: dict[str, Any]) -> Event:
        """Between two steps it does what else is waiting, except a second training."""
        events = train(job)
        told: str | None = None
        while not isinstance(event := events.send(told), Finished | Failed):
            emit(job["id"], event)
            self.serve_waiting()
            told = next((name for name, told_job in self.signals if told_job == job["id"]), None)
            self.signals = [signal for signal in self.signals if signal[1] != job["id"]]
        return event

    def serve_waiting(self) -> None:
        while not self.work.empty():
            command = self.work.get()
            if command is None:
                os._exit(0)
            self.obey(command)

    def status(self, state: str) -> None:
        emit(None, EngineStatus(state, device="fake", checkpoint=self.checkpoint))

    def run(self, job_id: str, request: dict[str, Any]) -> Event:
        if request.get("kind") == "extras":
            return self.enlarge(job_id, request)
        if request.get("kind") == "interrogate":
            return self.look(job_id, request)
        if request.get("kind") in ("merge", "caption"):
            return Finished("done", 0.001)
        began, prompt = time.monotonic(), request["prompt"]
        if "oom" in prompt:
            return Failed("The device has not enough memory: lower width.", "OutOfMemory")
        if "bug" in prompt:
            return Failed("Something went wrong (log id 1234).", "Error", "1234")
        if "chatty" in prompt:
            sys.stderr.write("a line of the log\n" * 20_000)
        for index in range(request["batch_count"] * request["batch_size"]):
            if self.draw(job_id, request, index) == "interrupt":
                return Finished("interrupted", time.monotonic() - began)
        return Finished("done", max(time.monotonic() - began, 0.001))

    def enlarge(self, job_id: str, request: dict[str, Any]) -> Event:
        """Flat pictures of the size asked for, or 8x8 pixels."""
        width, height = (request["width"], request["height"]) if request["resize_mode"] == "Scale to" else (8, 8)
        for index in range(len(request["pictures"])):
            caption = "a cat" if request["captioner"] != "None" else ""
            pixels = bytes([index]) * (width * height * 3)
            emit(job_id, ImageDone(index, width, height, {}, {}, False, pixels, caption))
        return Finished("done", 0.001)

    def look(self, job_id: str, request: dict[str, Any]) -> Event:
        """Its words are who was asked, and how sure it had to be."""
        if request["deepbooru_filter_tags"] == "bug":
            return Failed("Something went wrong (log id 1234).", "Error", "1234")
        for index in range(len(request["pictures"])):
            words = f"{request['captioner']} {request['interrogate_deepbooru_score_threshold']}"
            emit(job_id, Captioned(index, request["captioner"], words))
        return Finished("done", 0.001)

    def draw(self, job_id: str, request: dict[str, Any], index: int) -> str | None:
        told, steps, images = None, request["steps"], request["batch_count"] * request["batch_size"]
        for step in range(1, steps + 1):
            time.sleep(0.05 if "slow" in request["prompt"] else 0)
            emit(job_id, Progress(step, steps, index + 1, images, seconds_left=1.0))
            emit(job_id, Preview(step, index + 1, "jpeg", bytes([step % 256])))
            if "die" in request["prompt"] and step == 2:
                os._exit(9)
            told = next((name for name, told_job in self.signals if told_job == job_id), None)
            if told:
                self.signals.clear()
                break
        width, height = request["width"], request["height"]
        seeds = {"seed": request["seed"] + index, "subseed": request["subseed"] + index}
        single = {**request, **seeds, "batch_count": 1, "batch_size": 1}
        pixels = bytes([(single["seed"] if "seeded" in request["prompt"] else index) % 256]) * (width * height * 3)
        emit(job_id, ImageDone(index, width, height, single, {"Eta": 1}, told is not None, pixels))
        return told


def main() -> None:
    arguments = sys.argv[1:]
    if arguments[:1] == ["--crash"]:
        sys.stderr.write("no such device\n")
        sys.exit(3)
    if arguments[:1] == ["--once"] and not Path(arguments[1]).exists():
        Path(arguments[1]).touch()
        sys.exit(4)
    if arguments[:1] == ["--alone"]:
        try:
            Path(arguments[1]).touch(exist_ok=False)
        except FileExistsError:
            sys.exit(5)
    engine = FakeEngine()
    threading.Thread(target=engine.read, daemon=True).start()
    engine.serve()
    os._exit(0)


if __name__ == "__main__":
    main()
