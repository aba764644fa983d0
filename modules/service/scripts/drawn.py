"""A script that is a function over `draw`, as a program whose cells are known before any is drawn.

The function is run anew for every cell, on the pictures that are there: its n-th call of `draw` is the n-th cell.
So nothing is kept between two pictures, and a job goes on after a restart. A first run over blank pictures tells
how many cells there are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PIL import Image

from modules.extensions.problems import short
from modules.extensions.values import Script
from modules.schema.errors import BadRequest, UserError
from modules.schema.request import GenerationRequest
from modules.schema.sizes import hires_size
from modules.service.plans import Results, Sheet

_MOST = 2000


class _Wanted(BaseException):
    """Leaves the function at the call whose picture is not there yet; no `except Exception` stops it."""

    def __init__(self, request: GenerationRequest) -> None:
        super().__init__()
        self.request = request


class Drawn:
    """The program of a `Script` with a function; raises BadRequest where the function fails on blank pictures."""

    in_order = True
    saves_cells = True

    def __init__(self, script: Script, base: GenerationRequest, options: Any) -> None:
        self._script, self._base, self._options = script, base, options
        requests: list[GenerationRequest] = []

        def blank(request: GenerationRequest) -> list[Image.Image]:
            if len(requests) == _MOST:
                raise BadRequest(f"{script.name} wants to draw more than {_MOST} times.", "script")
            requests.append(request)
            size = hires_size(request.width, request.height, request.hires) if request.hires else request
            return [Image.new("RGB", (size.width, size.height), "gray") for _ in range(request.image_count)]

        self._run(blank)
        self._requests = requests

    @property
    def cells(self) -> int:
        return len(self._requests)

    def size(self, index: int) -> int:
        """Pictures of one call of `draw`."""
        return self._requests[index].image_count

    def cell(self, index: int, results: Results | None = None) -> GenerationRequest:
        """What the function asks for in its call number `index`; without results, what it asked for at the door."""
        if results is None:
            return self._requests[index]
        calls = 0

        def draw(request: GenerationRequest) -> list[Image.Image]:
            nonlocal calls
            calls += 1
            if calls > index:
                raise _Wanted(request)
            return results.pictures(calls - 1)

        try:
            self._run(draw)
        except _Wanted as wanted:
            return wanted.request.replace(
                batch_count=self._requests[index].batch_count, batch_size=self._requests[index].batch_size
            )
        return self._requests[index]

    def sheets(self, results: Results) -> list[Sheet]:
        """What the function returns, over all of its pictures."""
        calls = 0

        def draw(request: GenerationRequest) -> list[Image.Image]:
            nonlocal calls
            calls += 1
            return results.pictures(calls - 1) if calls <= self.cells else _none(request)

        if any(not results.pictures(index) for index in range(self.cells)):
            return []
        pictures = self._run(draw)
        return [Sheet(picture.convert("RGB"), "grid", 0, {"Script": self._script.name}) for picture in pictures]

    def _run(self, draw: Callable[[GenerationRequest], list[Image.Image]]) -> list[Image.Image]:
        assert self._script.function is not None
        try:
            return list(self._script.function(self._base, self._options, draw) or ())
        except UserError:
            raise
        except Exception as error:
            raise BadRequest(f"The script {self._script.name} failed ({short(error)}).", "script") from error


def _none(request: GenerationRequest) -> list[Image.Image]:
    return [Image.new("RGB", (request.width, request.height), "gray") for _ in range(request.image_count)]
