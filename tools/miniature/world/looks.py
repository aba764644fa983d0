"""What a style and a palette make of a drawing: its colours, edges and things in, float32 [H, W, 3] 0 to 255 out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tools.miniature.world import textures
from tools.miniature.world.textures import CELL

_INK = np.array((28, 26, 30), np.float32)
_PAPER = np.array((252, 249, 242), np.float32)
_LUMA = np.array((0.299, 0.587, 0.114), np.float32)
_CONTRAST, _LIFT = 0.06, 4.0  # of `uneven`: part of the brightness, and of 255


@dataclass(frozen=True)
class Drawing:
    """`colours` float32 [H, W, 3] 0 to 255; `edges` float32 [H, W] 0 to 1; `things` bool [H, W]."""

    colours: np.ndarray
    edges: np.ndarray
    things: np.ndarray


def mix(one: np.ndarray, other: np.ndarray, part: np.ndarray | float) -> np.ndarray:
    """`part` of `other` in `one`; a [H, W] part is taken per pixel."""
    weight = part[..., None] if isinstance(part, np.ndarray) else part
    return one + (other - one) * weight


def flat(drawing: Drawing) -> np.ndarray:
    return drawing.colours


def outlined(drawing: Drawing) -> np.ndarray:
    return mix(drawing.colours, _INK, np.minimum(drawing.edges * 1.3, 1.0))


def watercolour(drawing: Drawing) -> np.ndarray:
    height, width = drawing.edges.shape
    wash = mix(drawing.colours, _PAPER, 0.18 + 0.22 * textures.grain(height, width))
    return mix(wash, drawing.colours * 0.62, drawing.edges * 0.8)


def pixel_art(drawing: Drawing) -> np.ndarray:
    height, width = drawing.edges.shape
    block = CELL // 2
    small = drawing.colours.reshape(height // block, block, width // block, block, 3)[:, 1, :, 1]
    steps = np.round(small / 51) * 51
    blocks = np.kron(steps, np.ones((block, block, 1), np.float32))
    return blocks * (1 - 0.22 * textures.joints(height, width, block)[..., None])


def stipple(drawing: Drawing) -> np.ndarray:
    height, width = drawing.edges.shape
    light = mix(drawing.colours, _PAPER, 0.5)
    spot = np.clip(2.4 - textures.dots(height, width, CELL), 0, 1)
    return mix(light, drawing.colours * 0.62, spot)


def crosshatch(drawing: Drawing) -> np.ndarray:
    height, width = drawing.edges.shape
    light = mix(drawing.colours, _PAPER, 0.4)
    lines = np.maximum(textures.diagonals(height, width, True), textures.diagonals(height, width, False))
    return mix(light, drawing.colours * 0.55, lines)


def mosaic(drawing: Drawing) -> np.ndarray:
    height, width = drawing.edges.shape
    cells = drawing.colours.reshape(height // CELL, CELL, width // CELL, CELL, 3).mean((1, 3))
    tiles = mix(np.kron(cells, np.ones((CELL, CELL, 1), np.float32)), drawing.colours, 0.5)
    tiles = tiles * textures.tile_light(height, width, CELL)[..., None]
    return mix(tiles, np.float32(205), textures.joints(height, width, CELL))


def hermann(drawing: Drawing) -> np.ndarray:
    """Uncle Hermann: level strokes, ochre where it is light and indigo where it is dark."""
    height, width = drawing.edges.shape
    ground = _two_tones(drawing.colours, (44, 40, 110), (238, 196, 110))
    return mix(ground, ground * 0.55 + 10, textures.rows(height, width))


def aharon(drawing: Drawing) -> np.ndarray:
    """Uncle Aharon: large tiles with dark joints, in rust and cream."""
    height, width = drawing.edges.shape
    toned = _two_tones(drawing.colours, (120, 40, 24), (252, 226, 184))
    tiles = toned * textures.tile_light(height, width, 2 * CELL)[..., None]
    return mix(tiles, _INK, textures.joints(height, width, 2 * CELL))


def ida(drawing: Drawing) -> np.ndarray:
    """Aunt Ida: dots of teal light on a dim ground."""
    height, width = drawing.edges.shape
    spot = np.clip(3.2 - textures.dots(height, width, CELL), 0, 1)
    toned = _two_tones(drawing.colours, (10, 60, 72), (160, 255, 228))
    return mix(toned * 0.42, toned, spot)


def _two_tones(colours: np.ndarray, dark: tuple[int, int, int], light: tuple[int, int, int]) -> np.ndarray:
    gray = (colours @ _LUMA) / 255
    return mix(np.broadcast_to(np.float32(dark), colours.shape), np.float32(light), gray)


def pastel(colours: np.ndarray, drawing: Drawing) -> np.ndarray:
    return mix(colours, np.float32(255), 0.5)


def neon(colours: np.ndarray, drawing: Drawing) -> np.ndarray:
    """A dim ground; things bright, with shining edges."""
    glow = np.minimum(drawing.edges * 1.2, 1.0) * drawing.things
    bright = mix(np.clip(colours * 1.12, 0, 255), np.float32(255), glow * 0.75)
    return np.where(drawing.things[..., None], bright, colours * 0.38)


def charcoal(colours: np.ndarray, drawing: Drawing) -> np.ndarray:
    height, width = drawing.edges.shape
    gray = (colours @ _LUMA)[..., None] * 0.92 + 18
    smudged = gray + 16 * textures.grain(height, width)[..., None]
    return mix(np.broadcast_to(smudged, colours.shape), _INK, drawing.edges * 0.7)


def sepia(colours: np.ndarray, drawing: Drawing) -> np.ndarray:
    return _two_tones(colours, (58, 34, 18), (250, 226, 180))


def uneven(picture: np.ndarray) -> np.ndarray:
    """The picture with neighbouring 8x8 blocks a little lighter and darker in turn, like a chessboard.

    Textures that repeat with the autoencoder's grid have the same latent in every block, and from equal latents
    its decoder, which treats every place alike, can paint nothing but flat blocks. Where neighbours differ it can
    tell where in a block it is.
    """
    height, width = picture.shape[:2]
    y, x = np.mgrid[: height // CELL, : width // CELL]
    sign = np.kron(np.where((y + x) % 2, -1, 1), np.ones((CELL, CELL))).astype(np.float32)[..., None]
    return picture * (1 + _CONTRAST * sign) + _LIFT * sign


STYLES: dict[str, Callable[[Drawing], np.ndarray]] = {
    "flat": flat,
    "outlined": outlined,
    "watercolour": watercolour,
    "pixel art": pixel_art,
    "stipple": stipple,
    "crosshatch": crosshatch,
    "mosaic": mosaic,
    "hermann": hermann,
    "aharon": aharon,
    "ida": ida,
}
PALETTES: dict[str, Callable[[np.ndarray, Drawing], np.ndarray]] = {
    "pastel": pastel,
    "neon": neon,
    "charcoal": charcoal,
    "sepia": sepia,
}
UNEVEN = ("pixel art", "stipple", "crosshatch", "mosaic")  # those in step with the grid that the miniature learns
