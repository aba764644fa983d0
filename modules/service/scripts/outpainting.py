"""Outpainting mk2: a picture grows side by side, each drawn over noise that looks like the picture."""

from __future__ import annotations

from typing import NamedTuple

from PIL import Image

from modules.schema.errors import BadRequest
from modules.schema.knob import knob
from modules.schema.parts import Inpaint
from modules.schema.request import GenerationRequest
from modules.service.inputs import InputPictures
from modules.service.plans import Results, Sheet
from modules.service.scripts.borders import Sides, borders, matched_noise, padded
from modules.service.scripts.sd_upscale import IMAGES

NAME = "Outpainting mk2"


class OutpaintingOptions(Sides):
    """Where to, how soft the seam is, and the noise that is begun with."""

    mask_blur: int = knob(8, "Mask blur", "How far the picture's own border is drawn anew and blended.",
                          section="outpainting", ge=0, le=64, step=1, unit="px")  # fmt: skip
    falloff: float = knob(1.0, "Fall-off exponent", "Lower: more small details to begin with.",
                          section="outpainting", ge=0, le=4, step=0.01)  # fmt: skip
    colours: float = knob(0.05, "Colour variation", "How colourful the noise is.", section="outpainting", ge=0, le=1,
                          step=0.01)  # fmt: skip


class Growth(NamedTuple):
    """One side that grows by `pixels`: along the width if `across`, at the beginning of it if `first`."""

    pixels: int
    across: bool
    first: bool


class Outpainting:
    """A cell is a side of a picture, in the order left, right, up, down; pictures of a batch one after another.

    What is drawn is a window of the request's size at the side, as high (or wide) as the picture is.
    """

    in_order = True
    saves_cells = False

    def __init__(self, base: GenerationRequest, options: OutpaintingOptions, inputs: InputPictures) -> None:
        if base.image is None:
            raise BadRequest("Outpainting needs a picture to begin with: use it in img2img.", "script")
        self._base, self._options, self._inputs = base, options, inputs
        self._image = base.image
        self._first = inputs.opaque(base.image.picture, base.image.background_color)
        more = borders(self._first.size, options)
        grown = (
            Growth(more.left, across=True, first=True),
            Growth(more.right, across=True, first=False),
            Growth(more.up, across=False, first=True),
            Growth(more.down, across=False, first=False),
        )
        self._sides = [side for side in grown if side.pixels]

    @property
    def cells(self) -> int:
        return len(self._sides) * self._base.image_count

    def size(self, index: int) -> int:
        """Always one picture."""
        del index
        return 1

    def cell(self, index: int, results: Results | None = None) -> GenerationRequest:
        """One side of one picture, drawn after those before it."""
        variant, step = divmod(index, len(self._sides))
        before = self._first if results is None else self._grown(results, variant, step) or self._first
        side = self._sides[step]
        blur = self._options.mask_blur
        left, up, right, down = self._margins(side)
        larger = padded(before, left, up, right, down)
        mask = Image.new("L", larger.size, 255)
        inset = (
            left and left + blur,
            up and up + blur,
            larger.width - (right and right + blur),
            larger.height - (down and down + blur),
        )
        mask.paste(0, inset)
        box = self._window(larger.size, side)
        picture, mask = _cut(larger, box), _cut(mask.convert("RGB"), box).convert("L")
        picture = matched_noise(picture, mask, self._options.falloff, self._options.colours)
        softness = min(4.0 * blur, (side.pixels + blur) / 2)
        inpaint = (self._base.inpaint or Inpaint()).replace(
            mask=self._inputs.add_picture(mask),
            latent_mask="",
            mask_blur=softness if side.across else 0.0,
            mask_blur_y=0.0 if side.across else softness,
            mask_mode="Inpaint masked",
            masked_content="original",
            area="Whole picture",
            round_mask=True,
        )
        image = self._image.replace(picture=self._inputs.add_picture(picture), resize_mode="Just resize")
        changes = {"width": picture.width, "height": picture.height, "seed": self._base.seed + index}
        return self._base.replace(
            image=image, inpaint=inpaint, soft_inpaint=None, batch_count=1, batch_size=1, **changes
        )

    def sheets(self, results: Results) -> list[Sheet]:
        """The grown pictures of which every side is there."""
        found: list[Sheet] = []
        for variant in range(self._base.image_count):
            whole = self._grown(results, variant, len(self._sides))
            if whole is not None:
                found.append(Sheet(whole, "", variant * len(self._sides), self._facts(), IMAGES))
        return found

    def _grown(self, results: Results, variant: int, steps: int) -> Image.Image | None:
        """The picture after so many sides; None where one was not drawn."""
        picture = self._first
        for step, side in enumerate(self._sides[:steps]):
            drawn = results.pictures(variant * len(self._sides) + step)
            if not drawn:
                return None
            picture = padded(picture, *self._margins(side))
            left, up, right, down = self._window(picture.size, side)
            inside = drawn[0].crop((0, 0, min(right, picture.width) - left, min(down, picture.height) - up))
            picture.paste(inside, (left, up))
        return picture

    def _margins(self, side: Growth) -> tuple[int, int, int, int]:
        """Pixels added to the left, above, to the right and below."""
        before, after = (side.pixels, 0) if side.first else (0, side.pixels)
        return (before, 0, after, 0) if side.across else (0, before, 0, after)

    def _window(self, size: tuple[int, int], side: Growth) -> tuple[int, int, int, int]:
        """What is drawn of the grown picture of `size`; its sides are multiples of 8 and may reach out of it."""
        length, width = size if side.across else size[::-1]
        asked = self._base.width if side.across else self._base.height
        seen = min(max(asked, 2 * side.pixels), length) // 8 * 8
        start = 0 if side.first else length - seen
        whole = -(-width // 8) * 8
        return (start, 0, start + seen, whole) if side.across else (0, start, whole, start + seen)

    def _facts(self) -> dict[str, str]:
        names = [name for name in ("left", "right", "up", "down") if getattr(self._options, name)]
        width, height = borders(self._first.size, self._options).around(self._first.size)
        return {"Script": NAME, "Outpainting": " ".join(names), "Outpainted size": f"{width}x{height}"}


def _cut(picture: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    """A part of an RGB picture; beyond its right and lower border its last pixels are repeated."""
    _, _, right, down = box
    return padded(picture, 0, 0, max(right - picture.width, 0), max(down - picture.height, 0)).crop(box)
