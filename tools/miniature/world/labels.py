"""What a picture shows, as numbers: the same for whoever learns to draw it and whoever judges it."""

from __future__ import annotations

from tools.miniature.world.facts import (
    COLOURS,
    KINDS,
    LAYOUTS,
    PALETTES,
    SCENES,
    SIZES,
    STYLES,
    TIMES,
    Facts,
    size_word,
)

NOT_SHOWN = -1
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "layout": LAYOUTS,
    "kind1": KINDS,
    "colour1": tuple(COLOURS),
    "kind2": KINDS,
    "colour2": tuple(COLOURS),
    "size": SIZES,
    "background": (*COLOURS, *SCENES),
    "time": TIMES,
    "style": STYLES,
    "palette": PALETTES,
}


def words(facts: Facts) -> dict[str, str | None]:
    """The value of every attribute, None where the picture does not show one."""
    first = facts.things[0] if facts.things else None
    second = facts.things[1] if facts.layout in ("beside", "stacked") else None
    plain = facts.background in COLOURS
    return {
        "layout": facts.layout,
        "kind1": first and first.kind,
        "colour1": None if facts.colourless else first and first.colour,
        "kind2": second and second.kind,
        "colour2": None if facts.colourless else second and second.colour,
        "size": size_word(facts.things[0]) if facts.layout == "one" else None,
        "background": None if facts.colourless and plain else facts.background,
        "time": facts.time or None,
        "style": facts.style if facts.style in STYLES else None,
        "palette": facts.palette if facts.style in STYLES else None,
    }


def labels(facts: Facts) -> dict[str, int]:
    """The same as indices into `ATTRIBUTES`; -1 where the picture does not show one."""
    return {
        name: NOT_SHOWN if value is None else ATTRIBUTES[name].index(value) for name, value in words(facts).items()
    }
