"""What enlarges a finished picture: the protocol, and the upscalers that need no model file.

An upscaler brings a picture to exactly the size that is asked for, whatever the factor of its model. A long one tells
how far it is after every piece of work, and whoever does not ask for the next piece has interrupted it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Protocol

from PIL import Image

from modules.schema.errors import UnknownName

Fractions = Generator[float, None, Image.Image]
"""Yields the fraction that is done (0 to 1) and returns the picture."""


class Upscaler(Protocol):
    """Enlarges (or shrinks) RGB pictures; `name` is what the request calls it."""

    @property
    def name(self) -> str: ...

    def pieces(self, picture: Image.Image, width: int, height: int) -> Fractions:
        """Work piece by piece; the RGB picture that is returned has width x height pixels."""
        ...


class Resize:
    """One of Pillow's filters: instant, and nothing that was not there before."""

    def __init__(self, name: str, resample: Image.Resampling) -> None:
        self.name = name
        self._resample = resample

    def pieces(self, picture: Image.Image, width: int, height: int) -> Fractions:
        yield 0.0
        return resized(picture, width, height, self._resample)


LANCZOS = Resize("Lanczos", Image.Resampling.LANCZOS)
NEAREST = Resize("Nearest", Image.Resampling.NEAREST)
NONE = Resize("None", Image.Resampling.LANCZOS)
"""A1111's "None" in the lists of upscalers: no model; where a size is due all the same it is that of Lanczos."""

BUILT_IN: tuple[Upscaler, ...] = (NONE, LANCZOS, NEAREST)
_MORE: dict[str, Upscaler] = {}


@dataclass(frozen=True)
class AddedUpscaler:
    """One of an extension: the whole work at once."""

    name: str
    function: Callable[[Image.Image, int, int], Image.Image]

    def pieces(self, picture: Image.Image, width: int, height: int) -> Fractions:
        yield 0.0
        return resized(self.function(picture, width, height).convert("RGB"), width, height)


def add_upscaler(upscaler: Upscaler) -> Callable[[], None]:
    """Take in a further upscaler that needs no model file; gives back what undoes that."""
    _MORE[upscaler.name] = upscaler
    return lambda: _MORE.pop(upscaler.name, None) and None


def built_in_upscaler(name: str) -> Upscaler:
    """An upscaler that needs no model file; raises UnknownName."""
    known = {upscaler.name: upscaler for upscaler in BUILT_IN} | _MORE
    if name not in known:
        raise UnknownName("upscaler", name, known)
    return known[name]


def upscale(upscaler: Upscaler, picture: Image.Image, width: int, height: int) -> Image.Image:
    """The whole work at once, for callers that tell nobody how far it is."""
    pieces = upscaler.pieces(picture, width, height)
    while True:
        try:
            next(pieces)
        except StopIteration as end:
            return end.value


def resized(
    picture: Image.Image, width: int, height: int, resample: Image.Resampling = Image.Resampling.LANCZOS
) -> Image.Image:
    """The picture at that size; the same picture where it has it already."""
    return picture if picture.size == (width, height) else picture.resize((width, height), resample)
