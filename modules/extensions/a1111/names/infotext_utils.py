"""A1111's modules.infotext_utils: parameters find their way back into the form by themselves here."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["PasteField"]


class PasteField(NamedTuple):
    """Kept for scripts that declare their fields; nothing is made of it."""

    component: Any
    label: Any
    api: Any = None
