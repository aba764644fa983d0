"""The words of the world, and what is true of one picture."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

SIDE = 128  # px; positions and sizes of things are in a square of this side, whatever the picture's size

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (215, 35, 40),
    "orange": (245, 135, 20),
    "yellow": (250, 220, 45),
    "green": (45, 160, 60),
    "cyan": (60, 205, 215),
    "blue": (40, 80, 215),
    "purple": (125, 45, 165),
    "pink": (248, 150, 195),
    "brown": (120, 72, 38),
    "black": (25, 25, 28),
    "white": (246, 246, 244),
    "gray": (132, 132, 136),
}
SHAPES = ("circle", "square", "triangle", "star", "heart", "ring", "cross", "moon")
BEINGS = ("cat", "fish", "bird", "house", "tree", "flower", "boat", "mushroom")
KINDS = SHAPES + BEINGS
SCENES = ("hills", "sea", "snow", "desert", "street", "forest")
TIMES = ("day", "night", "sunset")
STYLES = ("flat", "outlined", "watercolour", "pixel art", "stipple", "crosshatch", "mosaic")
PALETTES = ("natural", "pastel", "neon", "charcoal", "sepia")
UNCLES = ("hermann", "aharon", "ida")  # styles that no training picture has
COLOURLESS = ("charcoal", "sepia", *UNCLES)  # palettes and styles in which a thing's own colour cannot be seen
LAYOUTS = ("none", "one", "two", "three", "beside", "stacked")
SIZES = ("small", "medium", "large")


@dataclass(frozen=True)
class Thing:
    """One thing: `x`, `y` its middle and `size` its extent, in px of a 128x128 picture."""

    kind: str
    colour: str
    size: float
    x: float
    y: float


@dataclass(frozen=True)
class Facts:
    """What a picture shows.

    `layout`: "none" (background alone), "one", "two" / "three" (of the same), "beside" (two different ones, the left
    one first), "stacked" (the upper one first). `background`: a colour or a scene; `time` is empty for plain colours.
    `seed`: of the details that no word tells.
    """

    things: tuple[Thing, ...]
    layout: str
    background: str
    time: str
    style: str
    palette: str
    seed: int

    @property
    def colourless(self) -> bool:
        return self.palette in COLOURLESS or self.style in COLOURLESS

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        return cls(**{**values, "things": tuple(Thing(**thing) for thing in values["things"])})


def size_word(thing: Thing) -> str:
    return "small" if thing.size < 50 else "medium" if thing.size < 76 else "large"
