"""What the commands share: sentences on stderr, results on stdout, a progress bar, and the program without a page."""

from __future__ import annotations

import contextlib
import logging
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from modules.flags import read_settings, translate
from modules.schema import log_lines
from modules.schema.events import EngineStatus, Event, Failed, Finished, Notice, Progress
from modules.service.access_link import qr_text
from modules.service.app import App
from modules.service.extensions import Extensions
from modules.service.jobs import Job

OWNER = "command line"
FAILED = 1
REFUSED = 2
INTERRUPTED = 130


def say(*sentences: str) -> None:
    """Sentences for the user, on stderr."""
    for sentence in sentences:
        print(sentence, file=sys.stderr, flush=True)


def show_code(text: str) -> None:
    """A QR code of the text, where stderr is a terminal that can draw it."""
    code = qr_text(text)
    if not sys.stderr.isatty():
        return
    with contextlib.suppress(UnicodeEncodeError):
        code.encode(sys.stderr.encoding or "ascii")
        say(code)


def start_log(level: str) -> None:
    """Log to stderr."""
    log_lines.start(level.upper(), sys.stderr)
    if level == "info":
        logging.getLogger("uvicorn").setLevel("WARNING")  # its comings and goings mean nothing to an artist


def tell(result: object) -> None:
    """A result, on stdout."""
    print(result, flush=True)


@contextlib.contextmanager
def open_app(
    given: dict[str, Any], program: Path, *, trains: bool = False, extensions: Extensions | None = None
) -> Iterator[App]:
    """The program without a page, with the settings of a command; trainings wait unless it `trains`."""
    values, needless = translate({"log_level": "warning", **given})
    settings, notices = read_settings(values, program)
    start_log(settings.log_level)
    say(*needless, *notices)
    app = App.start(settings.replace(previews=False), program, trains=trains, extensions=extensions)
    try:
        say(*app.notices)
        yield app
    finally:
        app.close()


class ProgressBar:
    """One line that is drawn over and over in a terminal; a line every tenth where the stream is a file."""

    WIDTH = 30

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._live = stream.isatty()
        self._drawn = ""
        self._begun = False

    def progress(self, event: Progress) -> None:
        which = f", picture {event.image} of {event.images}" if event.images > 1 else ""
        left = "" if event.seconds_left is None else f", {event.seconds_left:.0f} s left"
        self.show(event.fraction, f"step {event.step} of {event.steps}{which}{left}")

    def show(self, fraction: float, text: str) -> None:
        """How much is done, and words beside the bar."""
        self._begun = True
        done = round(fraction * self.WIDTH)
        if self._live:
            self._draw(f"[{'#' * done}{'.' * (self.WIDTH - done)}] {text}")
        else:
            self._once(f"{int(fraction * 10) * 10} %", text)

    def waiting(self, text: str) -> None:
        """What the engine is doing, as long as there is no progress to show."""
        if self._begun or not text:
            return
        if self._live:
            self._draw(text)
        else:
            self._once(text, "")

    def line(self, text: str) -> None:
        """A sentence of its own."""
        self.clear()
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def clear(self) -> None:
        if self._live and self._drawn:
            self._draw("")
            self._stream.write("\r")
            self._stream.flush()

    def _draw(self, text: str) -> None:
        self._stream.write(f"\r{text.ljust(len(self._drawn))}")
        self._stream.flush()
        self._drawn = text

    def _once(self, key: str, text: str) -> None:
        if key != self._drawn:
            self._drawn = key
            self.line(f"{key} {text}".strip())


class Watch(ABC):
    """Shows a job in the terminal until it ends. Ctrl+C asks it to stop; a second one ends the command at once."""

    def __init__(self, app: App, job: Job, bar: ProgressBar) -> None:
        self._app, self._job, self._bar = app, job, bar
        self._last = 0

    @abstractmethod
    def _stop(self) -> str:
        """Ask the job to stop; returns the sentence about it."""

    @abstractmethod
    def _show(self, event: Event) -> None:
        """What is seen of an event that is no ending."""

    @abstractmethod
    def _finished(self, event: Finished) -> int:
        """The exit code of a job that has not failed."""

    def run(self) -> int:
        """Exit code of the command."""
        try:
            return self._until_end()
        except KeyboardInterrupt:
            self._bar.line(self._stop())
            return self._until_end()

    def _until_end(self) -> int:
        for event in self._events():
            if isinstance(event, Failed):
                self._bar.clear()
                say(event.message + (f" (log id {event.log_id})" if event.log_id else ""))
                return FAILED
            if isinstance(event, Finished):
                self._bar.clear()
                return self._finished(event)
            if isinstance(event, EngineStatus):
                self._bar.waiting(event.text)
            elif isinstance(event, Notice):
                self._bar.line(event.text)
            else:
                self._show(event)
        return FAILED

    def _events(self) -> Iterator[Event]:
        """The job's events, and the engine's state whenever nothing else has happened for a while."""
        while True:
            for number, event in self._app.follow(self._job.id, self._job.owner, self._last, timeout=0.5):
                self._last = number
                yield event
            yield self._app.engine_status()
