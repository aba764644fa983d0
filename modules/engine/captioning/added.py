"""Captioners that extensions add: a function of an RGB picture to its words, by name."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image

from modules.schema.errors import UnknownName

Caption = Callable[[Image.Image], str]

_ADDED: dict[str, Caption] = {}


def add_captioner(name: str, function: Caption) -> Callable[[], None]:
    """Take in a captioner; gives back what undoes that."""
    _ADDED[name] = function
    return lambda: _ADDED.pop(name, None) and None


def added_captioner(name: str) -> Caption:
    """Raises UnknownName."""
    if name not in _ADDED:
        raise UnknownName("captioner", name, _ADDED, "captioner")
    return _ADDED[name]
