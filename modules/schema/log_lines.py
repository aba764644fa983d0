"""One line of the log is one event: what came from outside neither begins a line of its own nor steers a terminal."""

from __future__ import annotations

import logging
from typing import TextIO

LINE = "%(levelname)s %(name)s: %(message)s"

_CONTROL = [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, 0x200E, 0x200F, *range(0x202A, 0x202F),
            *range(0x2066, 0x206A)]  # fmt: skip
_ESCAPED = {code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" for code in _CONTROL if code != 0x09}


class OneLine(logging.Formatter):
    """Control characters of a message are written as escapes; a traceback below it keeps its lines."""

    def __init__(self) -> None:
        super().__init__(LINE)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The line, without line ends or control characters in it."""
        return super().formatMessage(record).translate(_ESCAPED)


def start(level: int | str, stream: TextIO) -> None:
    """Log to a stream in this format."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(OneLine())
    logging.basicConfig(level=level, handlers=[handler])
