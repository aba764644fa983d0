"""What can be asked of captioners: captions for a data set's files, or a look at pictures that were sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from modules.schema.frozen import Frozen
from modules.schema.knob import knob
from modules.schema.parts import PictureHash
from modules.schema.registry import Registry

MOST_PICTURES = 20_000
MOST_LOOKED_AT = 1000
NONE = "None"
BLIP, TAGGER = "BLIP", "WD tagger"


@dataclass(frozen=True)
class CaptionerFacts:
    """Somebody who says what is in a picture: one of the program's, or one that an extension adds."""

    name: str
    aliases: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return self.name


# A1111 calls them "clip" and "deepdanbooru" in its API, "DeepBooru" on its page.
CAPTIONERS: Registry[CaptionerFacts] = Registry(
    "captioner",
    (CaptionerFacts(BLIP, ("clip",)), CaptionerFacts(TAGGER, ("deepdanbooru", "deepbooru", "tagger"))),
)

PictureId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]


class CaptionOptions(Frozen):
    """How captioners speak: settings (with A1111's names where it has them), which a request may set for itself."""

    interrogate_clip_num_beams: int = knob(3, "Beams", "BLIP: captions tried side by side; more takes longer.",
                                           section="captions", ge=1, le=16, step=1)  # fmt: skip
    interrogate_clip_min_length: int = knob(5, "Shortest", "BLIP: of a caption, in tokens.", section="captions",
                                            ge=0, le=128, step=1)  # fmt: skip
    interrogate_clip_max_length: int = knob(48, "Longest", "BLIP: of a caption, in tokens.", section="captions",
                                            ge=1, le=256, step=1)  # fmt: skip
    interrogate_deepbooru_score_threshold: float = knob(
        0.35, "Tag threshold", "Tags that the tagger is less sure of are left out.", section="captions", ge=0, le=1,
        step=0.01)  # fmt: skip
    deepbooru_character_threshold: float = knob(0.85, "Character threshold", "The same for names of characters.",
                                                section="captions", ge=0, le=1, step=0.01)  # fmt: skip
    deepbooru_ratings: bool = knob(False, "Rating", "Put the rating that is likeliest before the tags.",
                                   section="captions")  # fmt: skip
    deepbooru_sort_alpha: bool = knob(True, "Tags in alphabetical order", "Off: the surest one first.",
                                      section="captions")  # fmt: skip
    deepbooru_use_spaces: bool = knob(True, "Spaces in tags", "Instead of underscores.", section="captions")
    deepbooru_escape: bool = knob(True, "Escape brackets in tags", "With backslashes, so that a prompt reads them as "
                                  "brackets and not as emphasis.", section="captions")  # fmt: skip
    deepbooru_filter_tags: str = knob("", "Tags left out", "With commas between them.", section="captions")
    interrogate_return_ranks: bool = knob(False, "Say how sure it is", "Write each tag as (tag:0.987).",
                                          section="captions")  # fmt: skip


OPTIONS = tuple(CaptionOptions.model_fields)


class CaptionRequest(CaptionOptions):
    """Pictures (by id) of a data set are looked at, and what is seen is written into the `.txt` beside each."""

    FLAG_PREFIX: ClassVar[str] = ""

    kind: Literal["caption"] = "caption"
    data_set: str = ""
    pictures: tuple[PictureId, ...] = Field((), max_length=MOST_PICTURES)
    existing: Literal["Replace", "Keep", "Prepend", "Append"] = knob(
        "Replace", "Captions in files", "Replace them, keep them and look only at pictures without one, or put what "
        "is seen before or after them.", section="caption",
    )  # fmt: skip
    captioner: str = knob(BLIP, "Captioner", "Whose words: BLIP (a sentence), WD tagger (tags), or one that an "
                          "extension adds.", section="caption")  # fmt: skip

    @property
    def image_count(self) -> int:
        return 0


class InterrogateRequest(CaptionOptions):
    """Pictures that were sent (by the names of their content) are looked at; the words are told as events."""

    FLAG_PREFIX: ClassVar[str] = ""

    kind: Literal["interrogate"] = "interrogate"
    pictures: tuple[PictureHash, ...] = Field((), max_length=MOST_LOOKED_AT)
    captioner: str = knob(BLIP, "Captioner", "Whose words: BLIP (a sentence), WD tagger (tags), or one that an "
                          "extension adds.", section="caption")  # fmt: skip

    @property
    def image_count(self) -> int:
        return 0
