"""Which pictures there are: facts from a seed, by level of difficulty, and apart what training never sees."""

from __future__ import annotations

import random
from typing import Literal

from tools.miniature.world.facts import (
    COLOURLESS,
    COLOURS,
    KINDS,
    LAYOUTS,
    PALETTES,
    SCENES,
    STYLES,
    TIMES,
    Facts,
    Thing,
)

Split = Literal["train", "seen", "unseen"]
LEVELS = 4
_SPLIT_SEEDS = {"train": 0, "seen": 1, "unseen": 2}
# Things of these colours would be lost in these surroundings.
_HIDDEN = {
    "hills": ("green",),
    "sea": ("blue", "cyan"),
    "snow": ("white",),
    "desert": ("yellow", "orange", "brown"),
    "street": ("gray", "black"),
    "forest": ("green",),
    "day": ("cyan",),
    "night": ("black", "blue", "purple"),
    "sunset": ("orange", "yellow"),
}
_PALETTE_COLOURS = {
    "natural": tuple(COLOURS),
    "pastel": ("red", "orange", "yellow", "green", "cyan", "blue", "purple"),
    "neon": ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink"),
    "charcoal": tuple(COLOURS),
    "sepia": tuple(COLOURS),
}
_NEON_GROUNDS = ("red", "green", "blue", "purple", "black")
# Pairs that differ too little to be told apart at a glance.
_ALIKE = {
    frozenset(pair)
    for pair in (("red", "orange"), ("orange", "yellow"), ("blue", "purple"), ("brown", "black"), ("white", "yellow"))
}
_CONTRAST = 60.0  # least difference of luminance, of 255, where there is no colour


def sample(seed: int, split: Split = "train", level: int = 3) -> Facts:
    """The facts of picture `seed`; the same seed gives the same picture.

    `level` 0: one flat thing on a plain ground; 1: also several; 2: also scenes; 3: also styles and palettes.
    "train" and "seen" have no combination of `is_unseen`, "unseen" has one at least.
    """
    rng = random.Random(seed * 3 + _SPLIT_SEEDS[split])
    while True:
        facts = _draw_facts(rng, level)
        if (split == "unseen") == is_unseen(facts):
            return facts


def is_unseen(facts: Facts) -> bool:
    """True when the picture holds a combination that training leaves out."""
    return any(
        (not facts.colourless and _unseen_colour(thing)) or _unseen_style(thing, facts) for thing in facts.things
    ) or _unseen_pair(facts)


def _unseen_colour(thing: Thing) -> bool:
    return (KINDS.index(thing.kind) * 5 + list(COLOURS).index(thing.colour) * 7) % 11 == 3


def _unseen_style(thing: Thing, facts: Facts) -> bool:
    if facts.style not in STYLES[1:]:
        return False
    return (KINDS.index(thing.kind) * 3 + STYLES.index(facts.style) * 2) % 9 == 1


def _unseen_pair(facts: Facts) -> bool:
    if facts.layout not in ("beside", "stacked"):
        return False
    first, second = (KINDS.index(thing.kind) for thing in facts.things)
    return (first * 7 + second * 3 + LAYOUTS.index(facts.layout)) % 10 == 4


def _draw_facts(rng: random.Random, level: int) -> Facts:
    style = rng.choice(STYLES[1:]) if level >= 3 and rng.random() < 0.75 else "flat"
    palette = rng.choice(PALETTES[1:]) if level >= 3 and rng.random() < 0.35 else "natural"
    scenic = level >= 2 and rng.random() < 0.6
    background = (
        rng.choice(SCENES) if scenic else rng.choice(_NEON_GROUNDS if palette == "neon" else _grounds(palette))
    )
    time = rng.choice(TIMES) if scenic else ""
    layout = _layout(rng, level, scenic)
    things = _things(rng, layout, _usable(background, time, palette), palette)
    return Facts(things, layout, background, time, style, palette, rng.randrange(2**31))


def _grounds(palette: str) -> tuple[str, ...]:
    return (*_PALETTE_COLOURS[palette], "white") if palette == "pastel" else _PALETTE_COLOURS[palette]


def _layout(rng: random.Random, level: int, scenic: bool) -> str:
    if level == 0:
        return "one"
    if scenic and rng.random() < 0.1:
        return "none"
    return rng.choices(LAYOUTS[1:], (35, 15, 12, 19, 19))[0]


def _usable(background: str, time: str, palette: str) -> tuple[str, ...]:
    """Colours that can be seen before this background."""
    colours = _PALETTE_COLOURS[palette]
    if palette in COLOURLESS:
        ground = (_GRAY_OF_SCENE[time],) if time else (_luminance(background),)
        return tuple(name for name in colours if all(abs(_luminance(name) - gray) >= _CONTRAST for gray in ground))
    hidden = {*_HIDDEN.get(background, ()), *_HIDDEN.get(time, ()), background}
    alike = {name for name in colours if frozenset((name, background)) in _ALIKE}
    return tuple(name for name in colours if name not in hidden | alike)


_GRAY_OF_SCENE = {"day": 180.0, "night": 45.0, "sunset": 165.0}


def _luminance(colour: str) -> float:
    red, green, blue = COLOURS[colour]
    return 0.299 * red + 0.587 * green + 0.114 * blue


def _things(rng: random.Random, layout: str, colours: tuple[str, ...], palette: str) -> tuple[Thing, ...]:
    places = _places(rng, layout)
    if layout in ("beside", "stacked"):
        kinds = rng.sample(KINDS, 2)
        pair = rng.sample(colours, 2) if len(colours) > 1 else [colours[0]] * 2
    else:
        kinds, pair = [rng.choice(KINDS)] * 3, [rng.choice(colours)] * 3
    return tuple(Thing(kind, colour, *place) for kind, colour, place in zip(kinds, pair, places, strict=False))


def _places(rng: random.Random, layout: str) -> list[tuple[float, float, float]]:
    """(size, x, y) of each thing."""

    def near(value: float, spread: float) -> float:
        return round(value + rng.uniform(-spread, spread), 1)

    if layout == "none":
        return []
    if layout == "one":
        size, spread = rng.choice(((42, 22), (64, 16), (92, 6)))
        return [(near(size, 4), near(64, spread), near(66, spread))]
    if layout == "three":
        size = near(36, 2)
        return [(size, near(x, 2), near(64, 8)) for x in (23, 64, 105)]
    size = near(50, 4)
    if layout == "stacked":
        x = near(64, 10)
        return [(size, x, near(34, 3)), (size, x, near(95, 3))]
    y = near(66, 10)
    return [(size, near(35, 3), y), (size, near(94, 3), y)]
