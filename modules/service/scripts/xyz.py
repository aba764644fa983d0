"""X/Y/Z plot: one picture for every combination of up to three parameters' values, and grids of them."""

from __future__ import annotations

import itertools
import secrets
from typing import Any

from PIL import Image
from pydantic import Field

from modules.schema.errors import BadRequest
from modules.schema.frozen import Frozen
from modules.schema.knob import knob
from modules.schema.request import GenerationRequest
from modules.service.plans import Results, Sheet
from modules.service.scripts.axes import Axis, axis_labels, find_axis
from modules.service.scripts.layout import Layout
from modules.service.scripts.legend import Words, grid, titled

NAME = "X/Y/Z plot"
MOST_MEGAPIXELS = 200
_SEEDS = ("Seed", "Var. seed")
_HELP = "Values with commas between; ranges as 1-5, 1-5(+2), 1-10[5]; quotes protect commas."


class XyzOptions(Frozen):
    """What the plot varies and how it looks."""

    x_type: str = knob("Seed", "X type", "Parameter of the columns.", section="axes", choices=axis_labels)
    x_values: str = knob("", "X values", _HELP, section="axes")
    y_type: str = knob("Nothing", "Y type", "Parameter of the rows.", section="axes", choices=axis_labels)
    y_values: str = knob("", "Y values", _HELP, section="axes")
    z_type: str = knob("Nothing", "Z type", "Parameter of the grids.", section="axes", choices=axis_labels)
    z_values: str = knob("", "Z values", _HELP, section="axes")
    draw_legend: bool = knob(True, "Draw legend", "Write the values beside rows and columns.", section="grid")
    include_lone_images: bool = knob(False, "Include sub images", "In the API's answer, the cells beside the grid.",
                                     section="grid")  # fmt: skip
    include_sub_grids: bool = knob(False, "Include sub grids", "Save the grid of each Z value too.", section="grid")
    keep_random_seeds: bool = knob(False, "Keep -1 for seeds", "Draw a new seed for every cell.", section="seeds")
    vary_seeds_x: bool = knob(False, "Vary seeds for X", "Seed + 1 from column to column.", section="seeds")
    vary_seeds_y: bool = knob(False, "Vary seeds for Y", "Another seed in each row.", section="seeds")
    vary_seeds_z: bool = knob(False, "Vary seeds for Z", "Another seed in each grid.", section="seeds")
    margin: int = knob(0, "Grid margins", "Space between pictures.", section="grid", ge=0, le=500, step=2,
                       unit="px")  # fmt: skip
    fixed: dict[str, list[int]] = Field(default_factory=dict, description="Seeds drawn for values of -1, by axis.")


class XyzPlot:
    """The plot over `base`. Cells are numbered in running order: slow axes change rarely."""

    in_order = False
    saves_cells = True

    def __init__(self, base: GenerationRequest, options: XyzOptions) -> None:
        self._base = base
        self._options = options
        self._axes = [find_axis(getattr(options, f"{name}_type"), f"{name}_type") for name in "xyz"]
        self._values = [self._axis_values(name, axis) for name, axis in zip("xyz", self._axes, strict=True)]
        self._order = self._running_order()
        self._check_size()

    @property
    def cells(self) -> int:
        return len(self._order)

    @property
    def layout(self) -> Layout:
        """Columns are X, rows Y, grids Z."""
        columns, rows, grids = (
            tuple(self._legend(axis, at) for at in range(len(values))) for axis, values in enumerate(self._values)
        )
        return Layout(columns, rows, grids, tuple((x, y, z) for x, y, z in self._order))

    def size(self, index: int) -> int:
        """Pictures of a cell."""
        del index
        return self._base.image_count

    def cell(self, index: int, results: Results | None = None) -> GenerationRequest:
        """The request of a cell; raises BadRequest for values that are not possible."""
        del results
        place = self._order[index]
        request = self._base
        # Prompt S/R looks for its word in the prompt as it was typed, so it goes before what may change that.
        turns = sorted(range(3), key=lambda n: self._axes[n].kind != "search")
        for n in turns:
            request = self._axes[n].set(request, self._values[n][place[n]])
        return request.replace(seed=request.seed + self._seed_shift(place)) if request.seed >= 0 else request

    def sheets(self, results: Results) -> list[Sheet]:
        """The grid of all cells, then those of each Z value if they are wanted."""
        number = {place: index for index, place in enumerate(self._order)}
        nx, ny, nz = (len(values) for values in self._values)
        if nx * ny * nz == 1:
            return []
        grids = [
            grid(
                [_first(results, number[ix, iy, iz]) for iy in range(ny) for ix in range(nx)],
                [[Words(self._legend(0, ix))] for ix in range(nx)],
                [[Words(self._legend(1, iy))] for iy in range(ny)],
                margin=self._options.margin,
                legend=self._options.draw_legend,
            )
            for iz in range(nz)
        ]
        first = number[0, 0, 0]
        if nz == 1:
            return [Sheet(grids[0], "xyz_grid", first, self._facts())]
        titles = [self._legend(2, iz) if self._options.draw_legend else "" for iz in range(nz)]
        whole = Sheet(titled(grids, titles, margin=self._options.margin), "xyz_grid", first, self._facts())
        subs = [Sheet(one, "xyz_grid", number[0, 0, iz], self._facts()) for iz, one in enumerate(grids)]
        return [whole, *subs] if self._options.include_sub_grids else [whole]

    def _axis_values(self, name: str, axis: Axis) -> list[Any]:
        text: str = getattr(self._options, f"{name}_values")
        values = self._options.fixed.get(name) or axis.values(text)
        if not values:
            raise BadRequest(f"The axis {name.upper()} ({axis.label}) has no values: {text!r}.", f"{name}_values")
        return values

    def _running_order(self) -> list[tuple[int, ...]]:
        """Places (x, y, z): the axis that is slowest to change outermost; else Z, then Y, then X."""
        outer = sorted(range(3), key=lambda n: (-self._axes[n].cost, -n))
        counts = [range(len(self._values[n])) for n in outer]
        return [tuple(place[outer.index(n)] for n in range(3)) for place in itertools.product(*counts)]

    def _seed_shift(self, place: tuple[int, ...]) -> int:
        options, (nx, ny) = self._options, (len(self._values[0]), len(self._values[1]))
        shifts = ((options.vary_seeds_x, 1), (options.vary_seeds_y, nx), (options.vary_seeds_z, nx * ny))
        return sum(at * by for at, (on, by) in zip(place, shifts, strict=True) if on)

    def _check_size(self) -> None:
        megapixels = self.cells * self._base.width * self._base.height / 1e6
        if megapixels > MOST_MEGAPIXELS:
            raise BadRequest(
                f"The grid would have {megapixels:.0f} megapixels; {MOST_MEGAPIXELS} are possible: take fewer values "
                "or a smaller picture.",
                "x_values",
            )

    def _legend(self, axis: int, at: int) -> str:
        return self._axes[axis].legend(self._values[axis][at])

    def _facts(self) -> dict[str, str]:
        facts = {"Script": NAME}
        for name, axis, values in zip("xyz", self._axes, self._values, strict=True):
            if axis.kind == "none":
                continue
            facts[f"{name.upper()} Type"] = axis.label
            facts[f"{name.upper()} Values"] = getattr(self._options, f"{name}_values")
            if axis.label in _SEEDS and not self._options.keep_random_seeds:
                facts[f"Fixed {name.upper()} Values"] = ", ".join(str(value) for value in values)
        return facts


def fixed_seeds(options: XyzOptions) -> XyzOptions:
    """The options with a seed drawn for every -1 among an axis's values, so that the plot can be made again."""
    if options.keep_random_seeds:
        return options
    fixed: dict[str, list[int]] = {}
    for name in "xyz":
        axis = find_axis(getattr(options, f"{name}_type"), f"{name}_type")
        if axis.label in _SEEDS and name not in options.fixed:
            values = axis.values(getattr(options, f"{name}_values"))
            fixed[name] = [secrets.randbelow(2**32 - 2) if value == -1 else value for value in values]
    return options.replace(fixed={**options.fixed, **fixed})


def _first(results: Results, cell: int) -> Image.Image | None:
    return next(iter(results.pictures(cell)), None)
