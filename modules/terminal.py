"""What the commands share: sentences on stderr, results on stdout, a progress bar, and the program without a page."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from modules.flags import read_settings, translate
from modules.schema.events import Progress
from modules.service.app import App

OWNER = "command line"
FAILED = 1
REFUSED = 2
INTERRUPTED = 130


def say(*sentences: str) -> None:
    """Sentences for the user, on stderr."""
    for sentence in sentences:
        print(sentence, file=sys.stderr, flush=True)


def start_log(level: str) -> None:
    """Log to stderr."""
    logging.basicConfig(level=level.upper(), format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    if level == "info":
        logging.getLogger("uvicorn").setLevel("WARNING")  # its comings and goings mean nothing to an artist


def tell(result: object) -> None:
    """A result, on stdout."""
    print(result, flush=True)


@contextlib.contextmanager
def open_app(given: dict[str, Any], program: Path, *, trains: bool = False) -> Iterator[App]:
    """The program without a page, with the settings of a command; trainings wait unless it `trains`."""
    values, needless = translate({"log_level": "warning", **given})
    settings, notices = read_settings(values, program)
    start_log(settings.log_level)
    say(*needless, *notices)
    app = App.start(settings.replace(previews=False), program, trains=trains)
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
