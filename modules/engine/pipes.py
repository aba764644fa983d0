"""The pipes of a process that speaks in frames: claimed before anything else may print to them or read from them."""

from __future__ import annotations

import os
import sys
from typing import BinaryIO


def claim_output() -> BinaryIO:
    """The real standard output, for frames alone: from here on everything that prints goes to the log."""
    frames = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    sys.stdout.flush()
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return frames


def claim_input() -> BinaryIO:
    """The real standard input, for commands alone: a library that reads from it finds nothing."""
    commands = os.fdopen(os.dup(sys.stdin.fileno()), "rb", buffering=0)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), sys.stdin.fileno())
    return commands
