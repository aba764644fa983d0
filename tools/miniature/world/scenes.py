"""Backgrounds: a plain colour, or a scene at a time of day. Drawn in px of a 128x128 picture, stretched to fit."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from tools.miniature.world.facts import COLOURS, SIDE
from tools.miniature.world.pen import Colour, Pen, Point, shaded

_SKY: dict[str, tuple[Colour, Colour]] = {  # top, horizon
    "day": ((120, 190, 245), (190, 225, 250)),
    "night": ((14, 18, 52), (34, 40, 92)),
    "sunset": ((235, 120, 90), (252, 205, 120)),
}
_LIGHT = {"day": 1.0, "night": 0.5, "sunset": 0.85}
_BANDS = 8


def paint_background(pen: Pen, background: str, time: str, rng: random.Random) -> None:
    if background in COLOURS:
        pen.rectangle((0, 0, SIDE, SIDE), COLOURS[background])
        return
    _sky(pen, time, rng)
    _GROUNDS[background](pen, _LIGHT[time], rng)


def _sky(pen: Pen, time: str, rng: random.Random) -> None:
    top, low = _SKY[time]
    depth = SIDE / _BANDS
    for band in range(_BANDS):
        part = band / (_BANDS - 1)
        colour = tuple(int(a + (b - a) * part) for a, b in zip(top, low, strict=True))
        pen.wash((0, band * depth, SIDE, (band + 1) * depth), colour)  # type: ignore[arg-type]
    if time == "night":
        for _ in range(14):
            x, y = rng.uniform(0, SIDE), rng.uniform(0, 70)
            pen.ellipse((x - 1.3, y - 1.3, x + 1.3, y + 1.3), (250, 245, 200))
    elif time == "sunset":
        x = rng.uniform(20, 108)
        pen.ellipse((x - 13, 58, x + 13, 84), (255, 235, 150))
    else:
        x, y = rng.uniform(14, 114), rng.uniform(12, 22)
        for shift in (-9, 0, 9):
            pen.ellipse((x + shift - 8, y - 5, x + shift + 8, y + 5), (250, 252, 254))


def _wave(base: float, height: float, length: float, shift: float) -> list[Point]:
    line = [(x, base - height * math.sin(2 * math.pi * (x + shift) / length)) for x in range(0, SIDE + 1, 4)]
    return [*line, (SIDE, SIDE), (0, SIDE)]


def _hills(pen: Pen, light: float, rng: random.Random) -> None:
    pen.polygon(_wave(80, 12, 110, rng.uniform(0, 110)), shaded((120, 190, 90), light))
    pen.polygon(_wave(100, 10, 90, rng.uniform(0, 90)), shaded((80, 155, 65), light))


def _sea(pen: Pen, light: float, rng: random.Random) -> None:
    pen.rectangle((0, 76, SIDE, SIDE), shaded((30, 100, 185), light))
    for k, y in enumerate((84, 96, 108, 120)):
        for x in range(-16, SIDE, 32):
            left = x + 16 * (k % 2) + rng.uniform(-2, 2)
            pen.rectangle((left, y - 1.5, left + 16, y + 1.5), shaded((120, 185, 235), light))


def _snow(pen: Pen, light: float, rng: random.Random) -> None:
    bright = max(light, 0.6)
    pen.polygon(_wave(84, 8, 128, rng.uniform(0, 128)), shaded((215, 228, 242), bright))
    pen.polygon(_wave(104, 6, 100, rng.uniform(0, 100)), shaded((245, 248, 252), bright))
    for _ in range(16):
        x, y = rng.uniform(0, SIDE), rng.uniform(0, 90)
        pen.ellipse((x - 1.8, y - 1.8, x + 1.8, y + 1.8), (252, 252, 254))


def _desert(pen: Pen, light: float, rng: random.Random) -> None:
    pen.polygon(_wave(84, 6, 140, rng.uniform(0, 140)), shaded((225, 180, 105), light))
    pen.polygon(_wave(102, 8, 120, rng.uniform(0, 120)), shaded((200, 150, 75), light))
    x = rng.choice((14, 112))
    for box in ((x - 3, 68, x + 3, 100), (x - 10, 76, x - 6, 88), (x + 6, 72, x + 10, 86), (x - 10, 84, x + 10, 88)):
        pen.rectangle(box, shaded((70, 130, 70), light))


def _street(pen: Pen, light: float, rng: random.Random) -> None:
    for x in range(0, SIDE, 32):
        top = rng.choice((32, 40, 48, 56))
        pen.rectangle((x + 2, top, x + 30, 96), shaded(rng.choice(((150, 110, 100), (165, 150, 140))), light))
        for window in range(top + 6, 88, 16):
            for left in (x + 8, x + 20):
                pen.rectangle(
                    (left, window, left + 5, window + 7), (245, 225, 140) if light < 0.6 else (90, 110, 130)
                )
    pen.rectangle((0, 96, SIDE, SIDE), shaded((88, 88, 94), max(light, 0.6)))
    for x in range(4, SIDE, 32):
        pen.rectangle((x, 110, x + 18, 114), (240, 240, 230))


def _forest(pen: Pen, light: float, rng: random.Random) -> None:
    pen.rectangle((0, 88, SIDE, SIDE), shaded((85, 120, 60), light))
    for k, x in enumerate(range(-4, SIDE + 16, 18)):
        base, tall = 96 + rng.uniform(-3, 3), rng.uniform(52, 68)
        green = shaded((30, 95, 55) if k % 2 else (40, 110, 60), light)
        pen.rectangle((x - 2, base - 8, x + 2, base), shaded((100, 65, 40), light))
        pen.polygon(((x, base - tall), (x + 13, base - 8), (x - 13, base - 8)), green)


_GROUNDS: dict[str, Callable[[Pen, float, random.Random], None]] = {
    "hills": _hills,
    "sea": _sea,
    "snow": _snow,
    "desert": _desert,
    "street": _street,
    "forest": _forest,
}
