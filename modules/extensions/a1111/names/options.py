"""A1111's modules.options."""

from __future__ import annotations

from modules.extensions.a1111.state import OptionInfo

__all__ = ["OptionInfo"]
