"""What a job is made of: one order to an engine or many, and what is made of their pictures at the end.

A part asks for nothing but its request and its files, so parts could run on several engines at once, except where a
part begins with another part's picture (`in_order`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from PIL import Image

from modules.schema.captioning import CaptionRequest, InterrogateRequest
from modules.schema.engine import ModelRef
from modules.schema.extras import ExtrasRequest
from modules.schema.merge import MergeRequest
from modules.schema.request import GenerationRequest
from modules.schema.training import TrainingRequest

Single = GenerationRequest | ExtrasRequest | MergeRequest | TrainingRequest | CaptionRequest | InterrogateRequest


@dataclass(frozen=True)
class Part:
    """A resolved request and the files it needs: `upscalers` by name, other `files` by the field that names them."""

    request: Single
    model: ModelRef
    upscalers: dict[str, str] = field(default_factory=dict[str, str])
    files: dict[str, str] = field(default_factory=dict[str, str])


class Results(Protocol):
    """The pictures that are there so far."""

    def pictures(self, part: int) -> list[Image.Image]:
        """Those of a part in order, [] where it has none (yet)."""
        ...

    def infotext(self, part: int) -> str:
        """The text of a part's first picture, or ""."""
        ...


@dataclass(frozen=True)
class Sheet:
    """A picture made of the job's pictures. `base` begins its file name; `part` is the one whose text it takes on,
    followed by `facts`. `kind` is its folder."""

    picture: Image.Image
    base: str
    part: int = 0
    facts: dict[str, str] = field(default_factory=dict[str, str])
    kind: str = "txt2img-grids"


class Plan(Protocol):
    """`sizes`: how many pictures each part draws. `in_order`: a part needs the pictures of those before it.
    `saves_cells`: parts' pictures go to the outputs folder, not only what is made of them."""

    @property
    def sizes(self) -> Sequence[int]: ...
    @property
    def in_order(self) -> bool: ...
    @property
    def saves_cells(self) -> bool: ...
    def part(self, index: int, results: Results) -> Part: ...
    def sheets(self, results: Results) -> list[Sheet]: ...


@dataclass(frozen=True)
class OnePart:
    """The plan of a job that is one order and has no sheet."""

    only: Part
    in_order: bool = False
    saves_cells: bool = True

    @property
    def sizes(self) -> Sequence[int]:
        return (self.only.request.image_count,)

    def part(self, index: int, results: Results) -> Part:
        """The part; there is only the one."""
        del index, results
        return self.only

    def sheets(self, results: Results) -> list[Sheet]:
        """None."""
        del results
        return []


class Program(Protocol):
    """A script over a certain base request: its cells, how many pictures each draws, and what is made of them.

    `cell` is given `results` only where cells are `in_order`.
    """

    @property
    def cells(self) -> int: ...
    @property
    def in_order(self) -> bool: ...
    @property
    def saves_cells(self) -> bool: ...
    def size(self, index: int) -> int: ...
    def cell(self, index: int, results: Results | None = None) -> GenerationRequest | ExtrasRequest: ...
    def sheets(self, results: Results) -> list[Sheet]: ...


@dataclass(frozen=True)
class ScriptPlan:
    """The plan of a script: `resolve` makes a part of a cell's request."""

    program: Program
    sizes: Sequence[int]
    resolve: Callable[[GenerationRequest | ExtrasRequest], Part]

    @property
    def in_order(self) -> bool:
        return self.program.in_order

    @property
    def saves_cells(self) -> bool:
        return self.program.saves_cells

    def part(self, index: int, results: Results) -> Part:
        """Cell `index`, ready to run; raises UserErrors."""
        return self.resolve(self.program.cell(index, results))

    def sheets(self, results: Results) -> list[Sheet]:
        """The script's grids."""
        return self.program.sheets(results)
