"""A1111's callbacks by name: kept with the extension that registers them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from modules.extensions.a1111.state import loading

AppStarted = Callable[[Any, Any], None]


@dataclass
class ImageSaveParams:
    """A saved picture, as A1111 tells of it."""

    image: Any
    p: Any
    filename: str
    pnginfo: dict[str, str]


def registrar(name: str) -> Callable[..., None]:
    """A function that keeps a callback."""

    def register(callback: Callable[..., Any], *, name: str | None = None) -> None:
        del name
        loading().callbacks.setdefault(kind, []).append(callback)

    kind = name
    return register


def unheard(name: str) -> Callable[..., None]:
    """A function that notes that a callback of this name is never called."""

    def register(*_callback: Any, **_named: Any) -> None:
        loading().not_called.add(name)

    return register
