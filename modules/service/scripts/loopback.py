"""Loopback: what was drawn is drawn over again, so many times, its denoising strength going from one to another."""

from __future__ import annotations

import math
from typing import Literal

from modules.schema.errors import BadRequest
from modules.schema.frozen import Frozen
from modules.schema.knob import knob
from modules.schema.request import GenerationRequest
from modules.service.inputs import InputPictures
from modules.service.plans import Results, Sheet
from modules.service.scripts.legend import Words, grid

NAME = "Loopback"


class LoopbackOptions(Frozen):
    """How often, and how the strength goes."""

    loops: int = knob(4, "Loops", "How many times a picture is drawn over.", section="loopback", ge=1, le=1000,
                      soft_le=32, step=1)  # fmt: skip
    final_denoising_strength: float = knob(0.5, "Final denoising strength", "Strength of the last loop.",
                                           section="loopback", ge=0, le=1, step=0.01)  # fmt: skip
    curve: Literal["Aggressive", "Linear", "Lazy"] = knob("Linear", "Denoising strength curve", "How the strength "
                                                          "goes from the first to the last.",
                                                          section="loopback")  # fmt: skip


def strength(first: float, last: float, loop: int, loops: int, curve: str) -> float:
    """Denoising strength of loop `loop` (from 0)."""
    if loops == 1:
        return first
    progress = loop / (loops - 1)
    if curve == "Aggressive":
        progress = math.sin(progress * math.pi / 2)
    elif curve == "Lazy":
        progress = 1 - math.cos(progress * math.pi / 2)
    return first + (last - first) * progress


class Loopback:
    """Cells run in order: all loops of the first batch, then those of the next, each from the first picture again."""

    in_order = True
    saves_cells = True

    def __init__(self, base: GenerationRequest, options: LoopbackOptions, inputs: InputPictures) -> None:
        if base.image is None:
            raise BadRequest("Loopback needs a picture to begin with: use it in img2img.", "script")
        self._base, self._options, self._inputs = base, options, inputs
        self._image = base.image

    @property
    def cells(self) -> int:
        return self._options.loops * self._base.batch_count

    def size(self, index: int) -> int:
        """Always one picture."""
        del index
        return 1

    def cell(self, index: int, results: Results | None = None) -> GenerationRequest:
        """A loop; every one but a batch's first begins with the picture before it."""
        loop = index % self._options.loops
        first, last = self._image.denoising_strength, self._options.final_denoising_strength
        changes: dict[str, object] = {
            "denoising_strength": strength(first, last, loop, self._options.loops, self._options.curve)
        }
        before = results.pictures(index - 1) if results is not None and loop else []
        if before:
            changes["picture"] = self._inputs.add_picture(before[0])
        inpaint = self._base.inpaint
        if inpaint is not None and loop:
            inpaint = inpaint.replace(masked_content="original")
        return self._base.replace(
            image=self._image.replace(**changes),
            inpaint=inpaint,
            seed=self._base.seed + index,
            batch_count=1,
            batch_size=1,
        )

    def sheets(self, results: Results) -> list[Sheet]:
        """One row a batch."""
        loops = self._options.loops
        if self.cells == 1:
            return []
        pictures = [next(iter(results.pictures(index)), None) for index in range(self.cells)]
        none: list[list[Words]] = [[] for _ in range(loops)]
        picture = grid(pictures, none, [[] for _ in range(self.cells // loops)], legend=False)
        return [Sheet(picture, "grid", 0, {"Script": NAME})]
