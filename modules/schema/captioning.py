"""What automatic captions of a data set's pictures can be asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from modules.schema.frozen import Frozen
from modules.schema.knob import knob
from modules.schema.registry import Registry

MOST_PICTURES = 20_000


@dataclass(frozen=True)
class CaptionerFacts:
    """A captioner that an extension adds."""

    name: str
    aliases: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return self.name


CAPTIONERS: Registry[CaptionerFacts] = Registry("captioner", ())

PictureId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]


class CaptionRequest(Frozen):
    """Pictures (by id) of a data set are looked at, and what is seen is written into the `.txt` beside each."""

    FLAG_PREFIX: ClassVar[str] = ""

    kind: Literal["caption"] = "caption"
    data_set: str = ""
    pictures: tuple[PictureId, ...] = Field((), max_length=MOST_PICTURES)
    existing: Literal["Replace", "Keep", "Prepend", "Append"] = knob(
        "Replace", "Captions in files", "Replace them, keep them and look only at pictures without one, or put what "
        "is seen before or after them.", section="caption",
    )  # fmt: skip
    captioner: str = knob("", "Captioner", "Whose words: empty is BLIP, else one that an extension adds.",
                          section="caption", choices=lambda: ("", *CAPTIONERS.labels()))  # fmt: skip
    beams: int = knob(3, "Beams", "Captions tried side by side; more takes longer.", section="caption", ge=1, le=16,
                      step=1)  # fmt: skip
    min_length: int = knob(5, "Shortest", "In tokens.", section="caption", ge=0, le=100, step=1)
    max_length: int = knob(48, "Longest", "In tokens.", section="caption", ge=1, le=200, step=1)

    @property
    def image_count(self) -> int:
        return 0
