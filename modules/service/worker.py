"""Handle of an engine process: start it, watch it, stop it, start it again when it dies.

The process is given by its command line; what it says arrives through two callbacks, called from one thread in order.
It ends by itself when its standard input closes, so it cannot outlive this process.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import IO

from modules.schema.engine import Command, read_frame, write_frame
from modules.schema.events import Event, from_json
from modules.schema.orders import AnyOrder

log = logging.getLogger(__name__)

MOST_DEATHS = 3
_LOG_BYTES = 2_000_000
_LAST_WORDS = 12
_STOP_SECONDS = 3.0

OnEvent = Callable[[str | None, Event], None]


@dataclass(frozen=True)
class Death:
    """The process ended unasked: exit `code` (negative: a signal), its last line, and whether it stays down.

    `reason` says why where there is no code.
    """

    code: int
    last_words: str
    gave_up: bool
    reason: str = ""

    @property
    def cause(self) -> str:
        """How it ended, as part of a sentence."""
        if self.reason:
            return self.reason
        if self.code < 0:
            return f"killed by signal {-self.code}"
        return f"exit code {self.code}"


class Worker:
    """One engine process after another, from `command`; its stderr goes to `log_file` and to logging.

    After `MOST_DEATHS` deaths in a row without one completed command (see `succeeded`) no new one is started until
    `revive`. A death in the middle of a job is that job's and does not add up: each takes one job off the queue.
    """

    def __init__(
        self,
        command: list[str],
        *,
        folder: Path,
        log_file: Path,
        on_event: OnEvent,
        on_death: Callable[[Death], None],
        backoff: float = 1.0,
    ) -> None:
        self._command = command
        self._folder = folder
        self._on_event = on_event
        self._on_death = on_death
        self._backoff = backoff
        self._process: subprocess.Popen[bytes] | None = None
        self._deaths = 0
        self._drawing = False
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._go = threading.Event()
        self._words: deque[str] = deque(maxlen=_LAST_WORDS)
        log_file.parent.mkdir(parents=True, exist_ok=True)
        self.log_file = log_file
        self._file = RotatingFileHandler(log_file, maxBytes=_LOG_BYTES, backupCount=1, encoding="utf-8", delay=True)
        self._thread = threading.Thread(target=self._watch, name="engine-watch", daemon=True)

    @property
    def pid(self) -> int | None:
        """Process id of the running engine, if one runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def takes(self, order: AnyOrder) -> bool:
        """Whether it can do work of that kind: an engine on this machine does all."""
        del order
        return True

    def start(self) -> None:
        self._thread.start()

    def send(self, command: Command) -> bool:
        """Hand over a command; False when there is no engine to take it (its death will be told)."""
        with self._lock:
            process = self._process
            if process is None or process.stdin is None:
                return False
            try:
                write_frame(process.stdin, command.model_dump_json(exclude_none=True).encode())
            except (OSError, ValueError):
                return False
            self._drawing = self._drawing or command.name == "run"
            return True

    def succeeded(self) -> None:
        """The engine completed a command: earlier deaths no longer count."""
        self._deaths = 0
        self._drawing = False

    def revive(self) -> None:
        """Try again after giving up, or now instead of after the pause."""
        self._deaths = 0
        self._go.set()

    def kill(self) -> None:
        """End the process at once; a new one starts as after any death."""
        process = self._process
        if process is not None:
            process.kill()

    def close(self, seconds: float = _STOP_SECONDS) -> None:
        """End the process for good: politely, then not."""
        self._closing.set()
        self._go.set()
        self.send(Command(name="shutdown"))
        with self._lock:
            process = self._process
            if process is not None and process.stdin is not None:
                _close_quietly(process.stdin)
        if process is not None:
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(seconds)
        self._file.close()

    def _watch(self) -> None:
        while not self._closing.is_set():
            self._go.clear()
            code = self._run_once()
            if self._closing.is_set():
                return
            self._deaths = 1 if self._drawing else self._deaths + 1
            gave_up = self._deaths >= MOST_DEATHS
            self._on_death(Death(code, self._words[-1] if self._words else "", gave_up))
            pause = self._backoff * (2 ** (self._deaths - 1) - 1)
            self._go.wait(None if gave_up else pause)

    def _run_once(self) -> int:
        """Start a process and pass on what it says until it ends; returns its exit code."""
        self._words.clear()
        self._drawing = False
        try:
            process = self._spawn()
        except OSError as error:
            self._words.append(str(error))
            return 127
        errors = threading.Thread(target=self._read_errors, args=(process.stderr,), name="engine-log", daemon=True)
        errors.start()
        with self._lock:
            self._process = process
        if self._closing.is_set():
            process.kill()
        try:
            self._read_frames(process)
        finally:
            with self._lock:
                self._process = None
                for stream in (process.stdin, process.stdout):
                    if stream is not None:
                        _close_quietly(stream)
            if not self._ended(process):
                process.kill()
            code = process.wait()
            errors.join(1)
        return code

    def _ended(self, process: subprocess.Popen[bytes]) -> bool:
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _spawn(self) -> subprocess.Popen[bytes]:
        flags = getattr(subprocess, "CREATE_NO_WINDOW", 0)
        return subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self._folder,
            env=_environment(self._folder, os.environ),
            creationflags=flags,
        )

    def _read_frames(self, process: subprocess.Popen[bytes]) -> None:
        """Pass on frames until the end of the stream; a frame that makes no sense ends the process."""
        assert process.stdout is not None
        while True:
            try:
                frame = read_frame(process.stdout)
                if frame is None:
                    return
                data = json.loads(frame[0])
                job_id = data.pop("job")
                event = from_json(data, frame[1])
            except (OSError, ValueError, KeyError, TypeError, MemoryError):
                if not self._closing.is_set():
                    log.exception("the engine said something that makes no sense")
                process.kill()
                return
            self._on_event(job_id, event)

    def _read_errors(self, stream: IO[bytes] | None) -> None:
        """Engine's log lines: to the file, to our log, and the last few kept for a report."""
        if stream is None:
            return
        with stream:
            for raw in stream:
                line = raw.decode("utf-8", "replace").rstrip()
                if not line:
                    continue
                self._words.append(line)
                self._file.handle(_record(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}"))
                log.debug("engine: %s", line)


def _record(text: str) -> logging.LogRecord:
    return logging.LogRecord("engine", logging.INFO, __file__, 0, text, None, None)


def _environment(folder: Path, base: Mapping[str, str]) -> dict[str, str]:
    """The engine's environment: our modules importable, no network use by the libraries, UTF-8.

    GOMP_SPINCOUNT: torch's threads wait for each other hundreds of times a step. With the default they burn their
    time slice doing so, and as soon as anything else wants a core (the browser beside us) a step takes many times as
    long; a short spin costs nothing on an idle machine. Whoever sets it himself is left alone.
    """
    paths = [str(folder), *filter(None, [base.get("PYTHONPATH")])]
    defaults = {"GOMP_SPINCOUNT": "2000"}
    changes = {
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONUTF8": "1",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
    }
    return {**defaults, **base, **changes}


def _close_quietly(stream: IO[bytes]) -> None:
    try:
        stream.close()
    except OSError:
        log.debug("the engine's pipe was already broken")
