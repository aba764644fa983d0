"""Poor man's outpainting: a border is laid around a picture, and inpainted tile by tile."""

from __future__ import annotations

from PIL import Image

from modules.schema.errors import BadRequest
from modules.schema.knob import knob
from modules.schema.parts import Inpaint, MaskedContent
from modules.schema.request import GenerationRequest
from modules.service.inputs import InputPictures
from modules.service.plans import Results, Sheet
from modules.service.scripts.borders import Borders, Sides, borders, padded
from modules.service.scripts.sd_upscale import IMAGES
from modules.service.scripts.tiles import Tiles

NAME = "Poor man's outpainting"


class PoorManOptions(Sides):
    """Where to, how soft the seam is, and what the border begins with."""

    mask_blur: int = knob(4, "Mask blur", "How far the picture's own border is drawn anew and blended.",
                          section="outpainting", ge=0, le=64, step=1, unit="px")  # fmt: skip
    masked_content: MaskedContent = knob(
        "fill", "Masked content", "What the border begins with: colours from around it, the repeated border, noise, "
        "nothing.", section="outpainting",
    )  # fmt: skip


class PoorMan:
    """A cell is a tile with a part of the border in it. No tile waits for another: their overlaps are blended."""

    in_order = False
    saves_cells = False

    def __init__(self, base: GenerationRequest, options: PoorManOptions, inputs: InputPictures) -> None:
        if base.image is None:
            raise BadRequest("Outpainting needs a picture to begin with: use it in img2img.", "script")
        self._base, self._options, self._inputs = base, options, inputs
        self._image = base.image
        picture = inputs.opaque(base.image.picture, base.image.background_color)
        more = borders(picture.size, options)
        self._size = more.around(picture.size)
        # Where a side does not grow it may be no multiple of 8, as every tile must be.
        rest = [-side % 8 for side in self._size]
        self._whole = padded(picture, more.left, more.up, more.right + rest[0], more.down + rest[1])
        self._mask = _border(self._whole.size, more, 2 * options.mask_blur)
        self._latent_mask = _border(self._whole.size, more, options.mask_blur // 2)
        tile = (min(base.width, self._whole.width), min(base.height, self._whole.height))
        self._layout = Tiles(self._whole.size, tile, options.pixels)
        added = _border(self._whole.size, more, 0)
        self._drawn = [n for n, box in enumerate(self._layout.boxes) if added.crop(box).getbbox()]

    @property
    def cells(self) -> int:
        return len(self._drawn) * self._base.image_count

    def size(self, index: int) -> int:
        """Always one picture."""
        del index
        return 1

    def cell(self, index: int, results: Results | None = None) -> GenerationRequest:
        """One tile of one picture."""
        del results
        box = self._layout.boxes[self._drawn[index % len(self._drawn)]]
        picture = self._whole.crop(box)
        inpaint = (self._base.inpaint or Inpaint()).replace(
            mask=self._inputs.add_picture(self._mask.crop(box)),
            latent_mask=self._inputs.add_picture(self._latent_mask.crop(box)),
            mask_blur=2.0 * self._options.mask_blur,
            mask_blur_y=None,
            mask_mode="Inpaint masked",
            masked_content=self._options.masked_content,
            area="Whole picture",
            round_mask=True,
        )
        return self._base.replace(
            image=self._image.replace(picture=self._inputs.add_picture(picture), resize_mode="Just resize"),
            inpaint=inpaint,
            soft_inpaint=None,
            seed=self._base.seed + index,
            batch_count=1,
            batch_size=1,
            width=picture.width,
            height=picture.height,
        )

    def sheets(self, results: Results) -> list[Sheet]:
        """The grown pictures of which every tile is there."""
        found: list[Sheet] = []
        for variant in range(self._base.image_count):
            first = variant * len(self._drawn)
            tiles = {tile: results.pictures(first + n) for n, tile in enumerate(self._drawn)}
            if all(tiles.values()):
                boxes = enumerate(self._layout.boxes)
                pieces = [tiles[n][0] if n in tiles else self._whole.crop(box) for n, box in boxes]
                whole = self._layout.joined(pieces).crop((0, 0, *self._size))
                found.append(Sheet(whole, "", first, self._facts(), IMAGES))
        return found

    def _facts(self) -> dict[str, str]:
        names = [name for name in ("left", "right", "up", "down") if getattr(self._options, name)]
        size = f"{self._size[0]}x{self._size[1]}"
        return {"Script": NAME, "Outpainting": " ".join(names), "Outpainted size": size}


def _border(size: tuple[int, int], more: Borders, inset: int) -> Image.Image:
    """White at the sides that grow, and `inset` pixels into the picture."""
    mask = Image.new("L", size, 255)
    left, up = more.left and more.left + inset, more.up and more.up + inset
    right = size[0] - (more.right and more.right + inset)
    down = size[1] - (more.down and more.down + inset)
    mask.paste(0, (left, up, max(right, left), max(down, up)))
    return mask
