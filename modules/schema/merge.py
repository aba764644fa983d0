"""What the checkpoint merger can be asked for."""

from __future__ import annotations

from typing import ClassVar, Literal

from modules.schema.frozen import Frozen
from modules.schema.knob import knob

MergeMethod = Literal["Weighted sum", "Add difference", "No interpolation"]


class MergeRequest(Frozen):
    """One new checkpoint out of up to three.

    Weighted sum: A (1 - M) + B M. Add difference: A + M (B - C). No interpolation: A, converted.
    """

    FLAG_PREFIX: ClassVar[str] = ""

    kind: Literal["merge"] = "merge"
    checkpoint_a: str = knob("", "Primary model (A)", "The checkpoint that the result is like.", section="merge")
    checkpoint_b: str = knob("", "Secondary model (B)", "The checkpoint that is mixed in.", section="merge")
    checkpoint_c: str = knob("", "Tertiary model (C)", "What is taken off B with Add difference.", section="merge")
    method: MergeMethod = knob("Weighted sum", "Interpolation method", "A(1-M) + B M; or A + M(B-C); or A alone.",
                               section="merge")  # fmt: skip
    multiplier: float = knob(0.3, "Multiplier (M)", "How much of B (or of B - C).", section="merge", ge=-1, le=2,
                             soft_le=1, step=0.05)  # fmt: skip
    precision: Literal["as it is", "fp32", "fp16", "bf16"] = knob(
        "as it is", "Save as", "Number format of the result.", section="merge"
    )
    keep_ema: bool = knob(False, "Keep EMA weights", "They double the file and are not used for drawing.",
                          section="merge")  # fmt: skip
    vae: str = knob("None", "Bake in VAE", "A VAE file that takes the place of A's own; None keeps it.",
                    section="merge")  # fmt: skip
    discard: str = knob("", "Discard weights with matching name", "A regular expression; searched for anywhere.",
                        section="merge")  # fmt: skip
    copy_metadata: bool = knob(True, "Copy metadata from the parents", "Beside the merge's own, which is always "
                               "written.", section="merge")  # fmt: skip
    name: str = knob("", "Custom name", "File name of the result; empty tells the recipe.", section="merge")
    overwrite: bool = knob(False, "Overwrite", "Replace a file of that name.", section="merge")

    @property
    def image_count(self) -> int:
        return 0
