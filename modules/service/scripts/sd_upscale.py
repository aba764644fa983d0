"""SD upscale: a picture is enlarged, then drawn over tile by tile, and the tiles are put together again."""

from __future__ import annotations

from typing import Any

from modules.schema.errors import BadRequest
from modules.schema.extras import ExtrasRequest
from modules.schema.frozen import Frozen
from modules.schema.knob import knob
from modules.schema.request import GenerationRequest
from modules.service.inputs import InputPictures
from modules.service.plans import Results, Sheet
from modules.service.scripts.tiles import Tiles

NAME = "SD upscale"
IMAGES = "img2img-images"


class SdUpscaleOptions(Frozen):
    """How much larger, by what, and how far tiles overlap."""

    overlap: int = knob(64, "Tile overlap", "How far tiles overlap.", section="upscale", ge=0, le=256, step=16,
                        unit="px")  # fmt: skip
    scale: float = knob(2.0, "Scale factor", "How many times as wide and high.", section="upscale", ge=1, le=8,
                        soft_le=4, step=0.05)  # fmt: skip
    upscaler: str = knob("None", "Upscaler", "What enlarges before tiles are drawn.", section="upscale")


class SdUpscale:
    """The first cell enlarges; then come the tiles, row by row, once for every batch."""

    in_order = True
    saves_cells = False

    def __init__(self, base: GenerationRequest, options: SdUpscaleOptions, inputs: InputPictures) -> None:
        if base.image is None:
            raise BadRequest("SD upscale needs a picture to begin with: use it in img2img.", "script")
        self._base, self._options, self._inputs = base, options, inputs
        self._image = base.image
        width, height = inputs.open(base.image.picture).size
        self._size = max(1, int(width * options.scale)), max(1, int(height * options.scale))
        self._layout = Tiles(self._size, (base.width, base.height), options.overlap)

    @property
    def cells(self) -> int:
        return 1 + self._tiles * self._base.batch_count

    @property
    def _tiles(self) -> int:
        return len(self._layout.boxes)

    def size(self, index: int) -> int:
        """Always one picture."""
        del index
        return 1

    def cell(self, index: int, results: Results | None = None) -> GenerationRequest | ExtrasRequest:
        """The enlarging, or one tile of the enlarged picture."""
        if index == 0 or results is None:
            return self._enlarging()
        batch, tile = divmod(index - 1, self._tiles)
        piece = results.pictures(0)[0].crop(self._layout.boxes[tile])
        image = self._image.replace(picture=self._inputs.add_picture(piece), resize_mode="Just resize")
        return self._base.replace(image=image, seed=self._base.seed + batch + tile, batch_count=1, batch_size=1)

    def sheets(self, results: Results) -> list[Sheet]:
        """The whole picture of every batch; only those whose tiles are all there."""
        found: list[Sheet] = []
        for batch in range(self._base.batch_count):
            first = 1 + batch * self._tiles
            tiles = [picture for n in range(self._tiles) for picture in results.pictures(first + n)]
            if len(tiles) == self._tiles:
                found.append(Sheet(self._layout.joined(tiles), "", first, self._facts(), IMAGES))
        return found

    def _enlarging(self) -> ExtrasRequest:
        upscaler = self._options.upscaler if self._options.upscaler != "None" else "Lanczos"
        width, height = self._size
        return ExtrasRequest(pictures=(self._image.picture,), resize_mode="Scale to", width=width, height=height,
                             upscaler_1=upscaler)  # fmt: skip

    def _facts(self) -> dict[str, Any]:
        return {"SD upscale overlap": str(self._layout.overlap), "SD upscale upscaler": self._options.upscaler}
