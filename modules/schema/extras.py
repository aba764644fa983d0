"""What the Extras tab can be asked for: finished pictures enlarged, faces in them restored, and captions of them."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from modules.schema.captioning import NONE, CaptionOptions
from modules.schema.knob import knob
from modules.schema.parts import PictureHash

MOST_PICTURES = 10_000


class ExtrasRequest(CaptionOptions):
    """Each of `pictures` is enlarged, its faces are restored, and what is seen in it is written beside it.

    `names` are the pictures' file names and `texts` what they said of their making, where they had any.

    The size: `scale` times the picture's, or with `resize_mode` "Scale to" the smallest that covers width x height,
    cut to exactly that with `crop`.
    """

    FLAG_PREFIX: ClassVar[str] = ""

    kind: Literal["extras"] = "extras"
    pictures: tuple[PictureHash, ...] = Field((), max_length=MOST_PICTURES)
    names: tuple[str, ...] = Field((), max_length=MOST_PICTURES)
    texts: tuple[str, ...] = Field((), max_length=MOST_PICTURES)
    resize_mode: Literal["Scale by", "Scale to"] = knob(
        "Scale by", "Resize mode", "By a factor, or to a size.", section="upscale"
    )
    scale: float = knob(4.0, "Scale by", "How many times as wide and high.", section="upscale",
                        infotext="Postprocess upscale by", ge=0.05, le=16, soft_le=8, step=0.05)  # fmt: skip
    width: int = knob(512, "Width", "Width to cover.", section="upscale", ge=1, le=16384, soft_le=4096, step=8,
                      unit="px")  # fmt: skip
    height: int = knob(512, "Height", "Height to cover.", section="upscale", ge=1, le=16384, soft_le=4096, step=8,
                       unit="px")  # fmt: skip
    crop: bool = knob(True, "Crop to fit", "Cut what goes beyond that size, in equal parts.", section="upscale",
                      infotext="Postprocess crop to")  # fmt: skip
    upscaler_1: str = knob("None", "Upscaler 1", "What enlarges; None leaves the size alone.", section="upscale",
                           infotext="Postprocess upscaler")  # fmt: skip
    upscaler_2: str = knob("None", "Upscaler 2", "A second one that is mixed in.", section="upscale",
                           infotext="Postprocess upscaler 2")  # fmt: skip
    upscaler_2_visibility: float = knob(0.0, "Upscaler 2 visibility", "How much of the second one is seen.",
                                        section="upscale", infotext="Postprocess upscaler 2 visibility", ge=0, le=1,
                                        step=0.001)  # fmt: skip
    tile: int = knob(192, "Tile", "Side of the pieces that a model works on; 0 takes the picture whole.",
                     section="upscale", infotext="Upscaler tile", ge=0, le=4096, soft_le=512, step=16,
                     unit="px")  # fmt: skip
    tile_overlap: int = knob(16, "Tile overlap", "How far pieces overlap; more hides seams better.",
                             section="upscale", infotext="Upscaler tile overlap", ge=0, le=256, soft_le=48, step=1,
                             unit="px")  # fmt: skip
    gfpgan_visibility: float = knob(0.0, "GFPGAN visibility", "How much of GFPGAN's faces is seen.", section="faces",
                                    infotext="GFPGAN visibility", ge=0, le=1, step=0.001)  # fmt: skip
    codeformer_visibility: float = knob(0.0, "CodeFormer visibility", "How much of CodeFormer's faces is seen.",
                                        section="faces", infotext="CodeFormer visibility", ge=0, le=1,
                                        step=0.001)  # fmt: skip
    codeformer_weight: float = knob(0.0, "CodeFormer weight", "0 is the strongest effect, 1 stays nearest to the "
                                    "picture.", section="faces", infotext="CodeFormer weight", ge=0, le=1,
                                    step=0.001)  # fmt: skip
    captioner: str = knob(NONE, "Captioner", "What is seen in the finished picture is written into a .txt beside it: "
                          "tags by WD tagger, a sentence by BLIP.", section="caption")  # fmt: skip
    captioner_2: str = knob(NONE, "Captioner 2", "A second one, whose words follow after a comma.",
                            section="caption")  # fmt: skip

    @property
    def captioners(self) -> dict[str, str]:
        """Whose words are asked for, by field; nobody is asked twice."""
        second = NONE if self.captioner_2 == self.captioner else self.captioner_2
        asked = {"captioner": self.captioner, "captioner_2": second}
        return {field: name for field, name in asked.items() if name != NONE}

    @property
    def image_count(self) -> int:
        return len(self.pictures)

    def target(self, size: tuple[int, int]) -> tuple[int, int]:
        """(width, height) that a picture of `size` is enlarged to, before it is cut."""
        width, height = size
        if self.resize_mode == "Scale by":
            return max(1, int(width * self.scale)), max(1, int(height * self.scale))
        factor = max(self.width / width, self.height / height)
        return max(self.width, round(width * factor)), max(self.height, round(height * factor))

    def facts(self) -> dict[str, str]:
        """A1111's text of what was done, key by key; only what had an effect."""
        found: dict[str, str] = {}
        if self.upscaler_1 != "None":
            found |= self._upscale_facts()
        if self.gfpgan_visibility:
            found["GFPGAN visibility"] = f"{self.gfpgan_visibility:g}"
        if self.codeformer_visibility:
            found["CodeFormer visibility"] = f"{self.codeformer_visibility:g}"
            found["CodeFormer weight"] = f"{self.codeformer_weight:g}"
        return found

    def _upscale_facts(self) -> dict[str, str]:
        found = {"Postprocess upscale by": f"{self.scale:g}"}
        if self.resize_mode == "Scale to":
            found = {"Postprocess upscale to": f"{self.width}x{self.height}"}
            if self.crop:
                found["Postprocess crop to"] = f"{self.width}x{self.height}"
        found["Postprocess upscaler"] = self.upscaler_1
        if self.upscaler_2 != "None" and self.upscaler_2_visibility:
            found["Postprocess upscaler 2"] = self.upscaler_2
            found["Postprocess upscaler 2 visibility"] = f"{self.upscaler_2_visibility:g}"
        return found
