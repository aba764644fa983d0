"""A1111's modules.scripts."""

from __future__ import annotations

from modules.extensions.a1111.script import AlwaysVisible, PostprocessImageArgs, Script
from modules.extensions.a1111.state import loading

__all__ = ["AlwaysVisible", "PostprocessImageArgs", "Script", "basedir"]


def basedir() -> str:
    """The folder of the extension that is being loaded."""
    return str(loading().folder)
