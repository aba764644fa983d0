"""A1111's modules.generation_parameters_copypaste: parameters find their way into the form by themselves."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["PasteField"]


class PasteField(NamedTuple):
    """Kept for scripts that declare their fields; nothing is made of it."""

    component: Any
    label: Any
    api: Any = None
