"""The devices that work out a step's gradient together: the engine's own, and partners in processes of their own.

A step's gradient depends on nothing but the numbers that are learned and the step's number, so a partner that is lost
costs nothing but time: the engine works out the whole by itself.
"""

from __future__ import annotations

import json
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from modules.engine.training.lesson import Gradient, Lesson
from modules.engine.training.shares import WHOLE, Share
from modules.schema.engine import EngineJob, read_frame, write_frame

_PATIENCE = 600.0
"""Seconds that partners may take to load the model, or longer than the engine to work out a step."""
_Reply = tuple[bytes, bytes] | None


@dataclass(frozen=True)
class Group:
    """How the partners are started: on `devices`, all cards ("cuda:1", ...) or all "cpu"."""

    devices: Sequence[str]

    def environment(self, rank: int, port: int) -> dict[str, str]:
        """What accelerate (as torch.distributed) reads of a member of the group, as a launcher would set it."""
        size = str(len(self.devices))
        cards = ",".join(_card(device) for device in self.devices if device != "cpu")
        found = {
            "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size,
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "CUDA_VISIBLE_DEVICES": cards,
        }  # fmt: skip
        if not cards:
            found["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // (len(self.devices) + 1)))
        return found


def _card(device: str) -> str:
    """The card's number for CUDA_VISIBLE_DEVICES, which may name some cards for this process already."""
    number = int(device.removeprefix("cuda:"))
    shown = [entry for entry in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if entry]
    return shown[number] if number < len(shown) else str(number)


def useful(devices: Sequence[str], pictures: int) -> tuple[str, ...]:
    """Those of the further `devices` that a step of so many pictures has work for, of the first one's kind."""
    kind = [device for device in devices if (device == "cpu") == (devices[0] == "cpu")]
    return tuple(kind[: max(pictures - 1, 0)])


class Team:
    """Asks `lesson` and the partners on `devices`; with no devices it is the lesson alone."""

    def __init__(self, lesson: Lesson, job: EngineJob, keys: Sequence[str], devices: Sequence[str]) -> None:
        self._lesson, self._falls = lesson, 0
        self._replies: queue.SimpleQueue[_Reply] = queue.SimpleQueue()
        self._started = time.monotonic()
        self._partners = _started(job, keys, devices) if devices else []
        self.is_ready = not self._partners
        if self._partners:
            threading.Thread(target=self._listen, args=(self._partners[0],), daemon=True).start()

    @property
    def has_partners(self) -> bool:
        return bool(self._partners)

    def wait(self, seconds: float) -> bool:
        """Whether the partners are ready, or given up; waits up to so long for it."""
        if not self.is_ready:
            try:
                if self._replies.get(timeout=seconds) is None:
                    self.let_go()
                self.is_ready = True
            except queue.Empty:
                if time.monotonic() - self._started > _PATIENCE:
                    self.let_go()
        return self.is_ready

    def fell(self, falls: int) -> None:
        """As the lesson's."""
        self._falls = falls
        self._lesson.fell(falls)

    def gradient(self, flat: Tensor, step: int) -> Gradient:
        """That of step `step`; partners that do not answer are let go."""
        if not self._partners:
            return self._lesson.gradient(flat, step)
        try:
            order = json.dumps({"step": step, "falls": self._falls}).encode()
            stream = self._partners[0].stdin
            assert stream is not None
            write_frame(stream, order, flat.detach().cpu().numpy().tobytes())
            own = self._lesson.gradient(flat, step, Share(0, len(self._partners) + 1))
            reply = self._replies.get(timeout=_PATIENCE)
        except (OSError, queue.Empty):
            reply = None
        if reply is None:
            self.let_go()
            return self._lesson.gradient(flat, step, WHOLE)
        rest = torch.from_numpy(np.frombuffer(reply[1], np.float32).copy()).to(own.values)
        return Gradient(own.loss + float(json.loads(reply[0])["loss"]), own.values + rest)

    def let_go(self) -> None:
        """End the partners."""
        for process in self._partners:
            process.kill()
        for process in self._partners:
            process.wait()
        self._partners, self.is_ready = [], True

    def _listen(self, first: subprocess.Popen[bytes]) -> None:
        """The reader thread; None is the end of the pipe."""
        assert first.stdout is not None
        frame: _Reply = (b"", b"")
        while frame is not None:
            try:
                frame = read_frame(first.stdout)
            except OSError:
                frame = None
            self._replies.put(frame)


def _started(job: EngineJob, keys: Sequence[str], devices: Sequence[str]) -> list[subprocess.Popen[bytes]]:
    group, port = Group(devices), _free_port()
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "modules.engine.training.partner"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if rank == 0 else subprocess.DEVNULL,
            env={**os.environ, **group.environment(rank, port)},
        )
        for rank in range(len(devices))
    ]
    for process in processes:
        assert process.stdin is not None
        with suppress(OSError):  # it has ended: its silence is noticed
            write_frame(process.stdin, job.model_dump_json().encode(), json.dumps(list(keys)).encode())
    return processes


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
