"""From facts to a picture."""

from __future__ import annotations

import random

import numpy as np

from tools.miniature.world.facts import COLOURS, SIDE, Facts
from tools.miniature.world.looks import PALETTES, STYLES, UNEVEN, Drawing, uneven
from tools.miniature.world.pen import Pen
from tools.miniature.world.scenes import paint_background
from tools.miniature.world.things import PAINTERS


def draw(facts: Facts, width: int = SIDE, height: int = SIDE) -> np.ndarray:
    """The picture of `facts`: uint8 [height, width, 3]; `width` and `height` in px, multiples of 8.

    The world is a square that is stretched to the picture; things keep their proportions.
    """
    drawing = _compose(facts, width, height)
    picture = STYLES[facts.style](drawing)
    if facts.palette != "natural":
        picture = PALETTES[facts.palette](picture, drawing)
    if facts.style in UNEVEN:
        picture = uneven(np.clip(picture, 0, 255))
    return np.clip(picture + 0.5, 0, 255).astype(np.uint8)


def _compose(facts: Facts, width: int, height: int) -> Drawing:
    pen = Pen(width, height)
    paint_background(pen, facts.background, facts.time, random.Random(facts.seed))
    pen.things()
    shrink = min(width, height) / SIDE
    for thing in facts.things:
        pen.at(thing.x * width / SIDE, thing.y * height / SIDE, thing.size / 2 * shrink)
        PAINTERS[thing.kind](pen, COLOURS[thing.colour])
    return Drawing(pen.colours(), pen.edges(), pen.thing_mask())
