"""Prompt matrix: the parts of a prompt between bars in every combination, after the first part."""

from __future__ import annotations

from typing import Literal

from modules.schema.errors import BadRequest
from modules.schema.frozen import Frozen
from modules.schema.knob import knob
from modules.schema.request import GenerationRequest
from modules.service.plans import Results, Sheet
from modules.service.scripts.layout import Layout
from modules.service.scripts.legend import Words, grid

NAME = "Prompt matrix"
MOST_PARTS = 10


class MatrixOptions(Frozen):
    """How the parts are put together, and how the grid looks."""

    put_at_start: bool = knob(False, "Put variable parts at start of prompt", "Before the fixed part.",
                              section="matrix")  # fmt: skip
    different_seeds: bool = knob(False, "Use different seed for each picture", "Seed + 1 from cell to cell.",
                                 section="matrix")  # fmt: skip
    prompt_type: Literal["positive", "negative"] = knob("positive", "Prompt", "Which prompt has the bars.",
                                                        section="matrix")  # fmt: skip
    delimiter: Literal["comma", "space"] = knob("comma", "Joining char", "What stands between parts.",
                                                section="matrix")  # fmt: skip
    margin: int = knob(0, "Grid margins", "Space between pictures.", section="grid", ge=0, le=500, step=2,
                       unit="px")  # fmt: skip


class PromptMatrix:
    """Cell n holds variable part i where bit i of n is set."""

    in_order = False
    saves_cells = True

    def __init__(self, base: GenerationRequest, options: MatrixOptions) -> None:
        self._base, self._options = base, options
        text = base.prompt if options.prompt_type == "positive" else base.negative_prompt
        self._fixed, *self._parts = [part.strip() for part in text.split("|")]
        if not self._parts:
            raise BadRequest(
                "Prompt matrix needs parts divided by | in the prompt, such as: a cat|red|old.", "prompt"
            )
        if len(self._parts) > MOST_PARTS:
            raise BadRequest(
                f"Prompt matrix: {len(self._parts)} parts are too many; {MOST_PARTS} are possible.", "prompt"
            )

    @property
    def cells(self) -> int:
        return 2 ** len(self._parts)

    @property
    def layout(self) -> Layout:
        """As on the sheet; a title names the parts that are in."""
        across = len(self._parts) - len(self._parts) // 2
        columns = tuple(self._title(range(across), index) for index in range(2**across))
        below = range(across, len(self._parts))
        rows = tuple(self._title(below, index << across) for index in range(2 ** len(below)))
        places = tuple((n % len(columns), n // len(columns), 0) for n in range(self.cells))
        return Layout(columns, rows, ("",), places)

    def _title(self, parts: range, index: int) -> str:
        return ", ".join(self._parts[part] for part in parts if index >> part & 1)

    def size(self, index: int) -> int:
        """Pictures of a cell."""
        del index
        return self._base.image_count

    def cell(self, index: int, results: Results | None = None) -> GenerationRequest:
        """The request with the chosen parts."""
        del results
        chosen = [part for bit, part in enumerate(self._parts) if index >> bit & 1]
        fixed = [self._fixed] if self._fixed else []
        parts = [*chosen, *fixed] if self._options.put_at_start else [*fixed, *chosen]
        text = (", " if self._options.delimiter == "comma" else " ").join(parts)
        field = "prompt" if self._options.prompt_type == "positive" else "negative_prompt"
        shift = index if self._options.different_seeds and self._base.seed >= 0 else 0
        return self._base.replace(**{field: text}, seed=self._base.seed + shift)

    def sheets(self, results: Results) -> list[Sheet]:
        """One grid: half of the parts vary from column to column, the other half from row to row."""
        across = len(self._parts) - len(self._parts) // 2
        columns, rows = 2**across, 2 ** (len(self._parts) - across)
        pictures = [next(iter(results.pictures(index)), None) for index in range(self.cells)]
        heads = [self._words(range(across), index) for index in range(columns)]
        sides = [self._words(range(across, len(self._parts)), index << across) for index in range(rows)]
        picture = grid(pictures, heads, sides, margin=self._options.margin)
        return [Sheet(picture, "prompt_matrix", 0, {"Script": NAME})]

    def _words(self, parts: range, index: int) -> list[Words]:
        return [Words(self._parts[part], off=not index >> part & 1) for part in parts]
