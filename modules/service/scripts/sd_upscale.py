"""SD upscale: a picture is enlarged, then drawn over tile by tile, and the tiles are put together again."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modules.schema.errors import BadRequest
from modules.schema.extras import ExtrasRequest
from modules.schema.frozen import Frozen
from modules.schema.knob import knob
from modules.schema.request import GenerationRequest
from modules.service.inputs import InputPictures
from modules.service.plans import Results, Sheet

NAME = "SD upscale"
IMAGES = "img2img-images"
Weights = NDArray[np.float64]


class SdUpscaleOptions(Frozen):
    """How much larger, by what, and how far tiles overlap."""

    overlap: int = knob(64, "Tile overlap", "How far tiles overlap.", section="upscale", ge=0, le=256, step=16,
                        unit="px")  # fmt: skip
    scale: float = knob(2.0, "Scale factor", "How many times as wide and high.", section="upscale", ge=1, le=8,
                        soft_le=4, step=0.05)  # fmt: skip
    upscaler: str = knob("None", "Upscaler", "What enlarges before tiles are drawn.", section="upscale")


def positions(length: int, tile: int, overlap: int) -> list[int]:
    """Where tiles begin along a side; the last one ends with the picture."""
    if length <= tile:
        return [0]
    count = -(-(length - overlap) // max(tile - overlap, 1))
    return [int(index * (length - tile) / (count - 1)) for index in range(count)]


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
        overlap = min(options.overlap, min(base.width, base.height) - 8)
        self._columns = positions(self._size[0], base.width, overlap)
        self._rows = positions(self._size[1], base.height, overlap)
        self._overlap = overlap

    @property
    def cells(self) -> int:
        return 1 + self._tiles * self._base.batch_count

    @property
    def _tiles(self) -> int:
        return len(self._columns) * len(self._rows)

    def size(self, index: int) -> int:
        """Always one picture."""
        del index
        return 1

    def cell(self, index: int, results: Results | None = None) -> GenerationRequest | ExtrasRequest:
        """The enlarging, or one tile of the enlarged picture."""
        if index == 0 or results is None:
            return self._enlarging()
        batch, tile = divmod(index - 1, self._tiles)
        top, left = (self._rows[tile // len(self._columns)], self._columns[tile % len(self._columns)])
        large = results.pictures(0)[0]
        width, height = self._base.width, self._base.height
        piece = large.crop((left, top, min(left + width, large.width), min(top + height, large.height)))
        image = self._image.replace(picture=self._inputs.add_picture(piece), resize_mode="Just resize")
        return self._base.replace(image=image, seed=self._base.seed + batch + tile, batch_count=1, batch_size=1)

    def sheets(self, results: Results) -> list[Sheet]:
        """The whole picture of every batch; only those whose tiles are all there."""
        found: list[Sheet] = []
        for batch in range(self._base.batch_count):
            first = 1 + batch * self._tiles
            tiles = [picture for n in range(self._tiles) for picture in results.pictures(first + n)]
            if len(tiles) == self._tiles:
                found.append(Sheet(self._joined(tiles), "", first, self._facts(), IMAGES))
        return found

    def _enlarging(self) -> ExtrasRequest:
        upscaler = self._options.upscaler if self._options.upscaler != "None" else "Lanczos"
        width, height = self._size
        return ExtrasRequest(pictures=(self._image.picture,), resize_mode="Scale to", width=width, height=height,
                             upscaler_1=upscaler)  # fmt: skip

    def _joined(self, tiles: list[Image.Image]) -> Image.Image:
        """Tiles cross-faded where they overlap."""
        width, height = self._size
        whole: Weights = np.zeros((height, width, 3))
        weights: Weights = np.zeros((height, width, 1))
        for n, tile in enumerate(tiles):
            row, column = divmod(n, len(self._columns))
            top, left = self._rows[row], self._columns[column]
            wide, high = min(self._base.width, width - left), min(self._base.height, height - top)
            pixels = np.asarray(tile.resize((wide, high)) if tile.size != (wide, high) else tile, dtype=np.float64)
            mask = (
                self._ramp(self._rows, row, high)[:, None, None]
                * self._ramp(self._columns, column, wide)[None, :, None]
            )
            whole[top : top + high, left : left + wide] += pixels * mask
            weights[top : top + high, left : left + wide] += mask
        return Image.fromarray((whole / weights).round().astype(np.uint8))

    def _ramp(self, starts: list[int], at: int, length: int) -> Weights:
        """Rises over the overlap with the tile before, falls over that with the one after."""
        weights: Weights = np.ones(length)
        side = np.arange(1, self._overlap + 1) / (self._overlap + 1)
        if at > 0 and self._overlap:
            weights[: self._overlap] = side
        if at < len(starts) - 1 and self._overlap:
            weights[-self._overlap :] = np.minimum(weights[-self._overlap :], side[::-1])
        return weights

    def _facts(self) -> dict[str, Any]:
        return {"SD upscale overlap": str(self._overlap), "SD upscale upscaler": self._options.upscaler}
