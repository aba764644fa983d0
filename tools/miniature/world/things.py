"""How each kind of thing is drawn: in unit coordinates, -1 to 1, y downwards, in one main colour."""

from __future__ import annotations

import math
from collections.abc import Callable

from tools.miniature.world.pen import Colour, Pen, Point, shaded

INK: Colour = (30, 28, 30)
PAPER: Colour = (250, 248, 240)
BARK: Colour = (110, 70, 40)
STALK: Colour = (60, 140, 60)


def _round(count: int, radius: float, turn: float = 0.0) -> list[Point]:
    angles = (turn + 2 * math.pi * k / count for k in range(count))
    return [(radius * math.sin(angle), -radius * math.cos(angle)) for angle in angles]


def circle(pen: Pen, colour: Colour) -> None:
    pen.ellipse((-1, -1, 1, 1), colour)


def square(pen: Pen, colour: Colour) -> None:
    pen.rectangle((-0.88, -0.88, 0.88, 0.88), colour)


def triangle(pen: Pen, colour: Colour) -> None:
    pen.polygon(((0, -1), (1, 0.85), (-1, 0.85)), colour)


def star(pen: Pen, colour: Colour) -> None:
    outer, inner = _round(5, 1.08), _round(5, 0.43, math.pi / 5)
    pen.polygon([point for pair in zip(outer, inner, strict=True) for point in pair], colour)


def heart(pen: Pen, colour: Colour) -> None:
    turns = (2 * math.pi * k / 48 for k in range(48))
    pen.polygon(
        [
            (
                math.sin(t) ** 3,
                -(13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)) / 16 - 0.1,
            )
            for t in turns
        ],
        colour,
    )


def ring(pen: Pen, colour: Colour) -> None:
    outer, inner = _round(48, 1.0), _round(48, 0.52)
    pen.polygon([*outer, outer[0], inner[0], *reversed(inner)], colour)


def cross(pen: Pen, colour: Colour) -> None:
    a, b = 0.32, 0.98
    pen.polygon(
        ((-a, -b), (a, -b), (a, -a), (b, -a), (b, a), (a, a), (a, b), (-a, b), (-a, a), (-b, a), (-b, -a), (-a, -a)),
        colour,
    )


def moon(pen: Pen, colour: Colour) -> None:
    outer = [(math.cos(t) * 1.0 - 0.1, math.sin(t)) for t in (math.pi * (0.5 + k / 24) for k in range(25))]
    inner = [(math.cos(t) * 0.42 - 0.1, math.sin(t)) for t in (math.pi * (1.5 - k / 24) for k in range(25))]
    shift = 0.4
    pen.polygon([(x + shift, y) for x, y in outer + inner], colour)


def cat(pen: Pen, colour: Colour) -> None:
    dark = shaded(colour, 0.75)
    pen.ellipse((-0.75, -0.05, 0.55, 1.0), colour)
    pen.polygon(((0.4, 0.85), (0.9, 0.45), (0.85, -0.1), (1.0, -0.1), (1.05, 0.55), (0.5, 1.0)), dark)
    pen.polygon(((-0.75, -0.45), (-0.72, -1.05), (-0.3, -0.72)), dark)
    pen.polygon(((0.55, -0.45), (0.52, -1.05), (0.1, -0.72)), dark)
    pen.ellipse((-0.75, -0.85, 0.55, 0.25), colour)
    for x in (-0.38, 0.18):
        pen.ellipse((x - 0.13, -0.45, x + 0.13, -0.15), PAPER)
        pen.ellipse((x - 0.06, -0.4, x + 0.06, -0.18), INK)


def fish(pen: Pen, colour: Colour) -> None:
    pen.polygon(((0.45, 0), (1.0, -0.55), (1.0, 0.55)), shaded(colour, 0.75))
    pen.polygon(((-0.2, -0.4), (0.15, -0.8), (0.3, -0.35)), shaded(colour, 0.75))
    pen.ellipse((-1.0, -0.55, 0.65, 0.55), colour)
    pen.ellipse((-0.75, -0.25, -0.45, 0.05), PAPER)
    pen.ellipse((-0.68, -0.17, -0.54, -0.03), INK)


def bird(pen: Pen, colour: Colour) -> None:
    pen.polygon(((0.35, 0.15), (1.05, -0.2), (1.0, 0.35)), shaded(colour, 0.75))
    pen.ellipse((-0.65, -0.25, 0.6, 0.75), colour)
    pen.ellipse((-0.85, -0.75, -0.1, 0.0), colour)
    pen.polygon(((-0.8, -0.5), (-1.1, -0.3), (-0.8, -0.2)), (240, 170, 40))
    pen.polygon(((-0.2, 0.1), (0.75, -0.55), (0.4, 0.4)), shaded(colour, 0.6))
    pen.ellipse((-0.66, -0.56, -0.42, -0.32), PAPER)
    pen.ellipse((-0.6, -0.5, -0.48, -0.38), INK)


def house(pen: Pen, colour: Colour) -> None:
    pen.rectangle((-0.75, -0.15, 0.75, 0.95), colour)
    pen.polygon(((-1.0, -0.1), (0, -1.0), (1.0, -0.1)), shaded(colour, 0.55))
    pen.rectangle((-0.2, 0.35, 0.2, 0.95), INK)
    pen.rectangle((-0.6, 0.1, -0.32, 0.4), PAPER)
    pen.rectangle((0.32, 0.1, 0.6, 0.4), PAPER)


def tree(pen: Pen, colour: Colour) -> None:
    pen.rectangle((-0.17, 0.2, 0.17, 1.0), BARK)
    pen.ellipse((-0.85, -0.5, 0.05, 0.4), shaded(colour, 0.85))
    pen.ellipse((-0.05, -0.5, 0.85, 0.4), shaded(colour, 0.85))
    pen.ellipse((-0.6, -1.0, 0.6, 0.25), colour)


def flower(pen: Pen, colour: Colour) -> None:
    pen.rectangle((-0.07, 0.1, 0.07, 1.0), STALK)
    pen.polygon(((0, 0.85), (0.55, 0.45), (0.45, 0.8)), STALK)
    for x, y in _round(5, 0.42):
        pen.ellipse((x - 0.34, y - 0.69, x + 0.34, y - 0.01), colour)
    pen.ellipse((-0.25, -0.6, 0.25, -0.1), (250, 215, 60))


def boat(pen: Pen, colour: Colour) -> None:
    pen.rectangle((-0.06, -1.0, 0.06, 0.4), BARK)
    pen.polygon(((0.12, -0.95), (0.85, 0.25), (0.12, 0.25)), PAPER)
    pen.polygon(((-0.12, -0.7), (-0.65, 0.25), (-0.12, 0.25)), PAPER)
    pen.polygon(((-1.0, 0.35), (1.0, 0.35), (0.65, 0.9), (-0.65, 0.9)), colour)


def mushroom(pen: Pen, colour: Colour) -> None:
    pen.polygon(((-0.25, 0.0), (0.25, 0.0), (0.35, 0.95), (-0.35, 0.95)), PAPER)
    cap = [(math.cos(t), 0.12 - math.sin(t) * 1.05) for t in (math.pi * k / 24 for k in range(25))]
    pen.polygon(cap, colour)
    for x, y, r in ((-0.4, -0.3, 0.15), (0.15, -0.55, 0.17), (0.5, -0.15, 0.13)):
        pen.ellipse((x - r, y - r, x + r, y + r), PAPER)


PAINTERS: dict[str, Callable[[Pen, Colour], None]] = {
    painter.__name__: painter
    for painter in (
        circle,
        square,
        triangle,
        star,
        heart,
        ring,
        cross,
        moon,
        cat,
        fish,
        bird,
        house,
        tree,
        flower,
        boat,
        mushroom,
    )
}
