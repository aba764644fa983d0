"""A1111's modules.errors: into the log."""

from __future__ import annotations

import logging

__all__ = ["display", "report"]

_LOG = logging.getLogger(__name__)


def report(message: str, *, exc_info: bool = False) -> None:
    """Tell of an error."""
    _LOG.error("%s", message, exc_info=exc_info)


def display(error: BaseException, task: str, *, full_traceback: bool = False) -> None:
    """Tell of an exception."""
    _LOG.error("%s", task, exc_info=error if full_traceback else None)
