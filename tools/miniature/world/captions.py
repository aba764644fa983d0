"""How people would ask for a picture: many wordings of the same facts."""

from __future__ import annotations

import random

from tools.miniature.world.facts import COLOURS, Facts, Thing, size_word

_KIND_WORDS = {
    "circle": ("circle", "disc"),
    "square": ("square", "box"),
    "ring": ("ring", "hoop"),
    "cross": ("cross", "plus sign"),
    "moon": ("moon", "crescent"),
    "cat": ("cat", "kitten"),
    "house": ("house", "cottage"),
    "flower": ("flower", "blossom"),
    "boat": ("boat", "sailboat"),
    "mushroom": ("mushroom", "toadstool"),
}
_PLURALS = {"fish": "fish", "box": "boxes", "cross": "crosses", "plus sign": "plus signs"}
_COLOUR_WORDS = {"gray": ("gray", "grey"), "purple": ("purple", "violet"), "cyan": ("cyan", "turquoise")}
_SIZE_WORDS = {"small": ("small", "tiny", "little"), "medium": ("medium", "medium sized"), "large": ("large", "big")}
_SCENE_WORDS = {
    "hills": ("hills", "green hills", "a hilly landscape"),
    "sea": ("the sea", "a calm sea", "the ocean"),
    "snow": ("snow", "a snowy landscape", "winter"),
    "desert": ("a desert", "the desert", "sand dunes"),
    "street": ("a street", "a city street", "the city"),
    "forest": ("a forest", "the forest", "the woods"),
}
_TIME_WORDS = {
    "day": ("by day", "in daylight", "at day"),
    "night": ("at night", "by night", "night"),
    "sunset": ("at sunset", "sunset", "in the evening"),
}
_STYLE_WORDS = {
    "flat": ("flat", "flat design", "flat colours"),
    "outlined": ("outlined", "ink outlines", "line art"),
    "watercolour": ("watercolour", "watercolor"),
    "pixel art": ("pixel art", "pixelated"),
    "stipple": ("stipple", "stippled", "pointillism"),
    "crosshatch": ("crosshatch", "crosshatching", "cross-hatched"),
    "mosaic": ("mosaic", "mosaic tiles"),
}
_PALETTE_WORDS = {
    "pastel": ("pastel", "pastel colours"),
    "neon": ("neon", "neon colours", "glowing neon"),
    "charcoal": ("charcoal", "black and white", "monochrome"),
    "sepia": ("sepia", "sepia tones"),
}
_OPENINGS = ("", "", "a picture of ", "a drawing of ", "a painting of ", "an image of ", "an illustration of ")
_JOINED = {
    "beside": (("{a} to the left of {b}", 0), ("{a} left of {b}", 0), ("{a} on the left, {b} on the right", 0),
               ("{a} to the right of {b}", 1), ("{a} right of {b}", 1)),
    "stacked": (("{a} above {b}", 0), ("{a} over {b}", 0), ("{a} on top of {b}", 0),
                ("{a} below {b}", 1), ("{a} under {b}", 1)),
}  # fmt: skip
_LOOSE = ("{a} and {b}", "{a} with {b}", "{a}, {b}")


def caption(facts: Facts, rng: random.Random, *, complete: bool = False) -> str:
    """One wording of `facts`, new at each call. `complete`: nothing that decides the picture is left out, as in the
    prompts of an evaluation; else now and then something is."""
    subject = _subject(facts, rng, complete)
    keep_ground = complete or not subject or rng.random() < 0.92
    looks = _looks(facts, rng, complete)
    if rng.random() < 0.4:
        ground = [_ground_tag(facts, rng)] if keep_ground else []
        parts = [_ground_alone(facts, rng)] if not subject else [subject, *ground]
        return ", ".join(_shuffled_ends(parts, looks, rng))
    body = rng.choice(_OPENINGS) + (
        f"{subject} {_ground_phrase(facts, rng)}" if subject else _ground_alone(facts, rng)
    )
    if subject and not keep_ground:
        body = rng.choice(_OPENINGS) + subject
    return _with_looks(body, looks, rng)


def plain_caption(facts: Facts) -> str:
    """The one wording that a file name would have: the same for the same facts."""
    return caption(facts, random.Random(facts.seed), complete=True)


def _subject(facts: Facts, rng: random.Random, complete: bool) -> str:
    if not facts.things:
        return ""
    first = facts.things[0]
    if facts.layout in ("two", "three"):
        return f"{facts.layout} {_described(first, facts, rng, plural=True)}"
    if facts.layout == "one":
        size = rng.choice(_SIZE_WORDS[size_word(first)]) + " " if rng.random() < 0.35 else ""
        return _with_article(size + _described(first, facts, rng), rng)
    one, two = (_with_article(_described(thing, facts, rng), rng) for thing in facts.things)
    if not complete and rng.random() < 0.1:
        one, two = rng.sample((one, two), 2)
        return rng.choice(_LOOSE).format(a=one, b=two)
    wording, swapped = rng.choice(_JOINED[facts.layout])
    return wording.format(a=two, b=one) if swapped else wording.format(a=one, b=two)


def _described(thing: Thing, facts: Facts, rng: random.Random, *, plural: bool = False) -> str:
    kind = _usual_first(_KIND_WORDS.get(thing.kind, (thing.kind,)), rng)
    if plural:
        kind = _PLURALS.get(kind, f"{kind}s")
    return kind if facts.colourless else f"{_colour(thing.colour, rng)} {kind}"


def _colour(name: str, rng: random.Random) -> str:
    return _usual_first(_COLOUR_WORDS.get(name, (name,)), rng)


def _usual_first(words: tuple[str, ...], rng: random.Random) -> str:
    return words[0] if rng.random() < 0.7 else rng.choice(words)


def _with_article(words: str, rng: random.Random) -> str:
    if rng.random() < 0.15:
        return words
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _ground_phrase(facts: Facts, rng: random.Random) -> str:
    if facts.background not in COLOURS:
        place = _usual_first(_SCENE_WORDS[facts.background], rng)
        return f"{rng.choice(('in', 'before', 'with'))} {place} {_usual_first(_TIME_WORDS[facts.time], rng)}"
    if facts.colourless:
        return rng.choice(("on a plain background", "on plain ground"))
    colour = _colour(facts.background, rng)
    return rng.choice((f"on a {colour} background", f"on {colour}", f"before a {colour} background"))


def _ground_tag(facts: Facts, rng: random.Random) -> str:
    if facts.background not in COLOURS:
        return ", ".join(
            (_usual_first(_SCENE_WORDS[facts.background], rng), _usual_first(_TIME_WORDS[facts.time], rng))
        )
    return "plain background" if facts.colourless else f"{_colour(facts.background, rng)} background"


def _ground_alone(facts: Facts, rng: random.Random) -> str:
    place = _usual_first(_SCENE_WORDS[facts.background], rng)
    return f"{place} {_usual_first(_TIME_WORDS[facts.time], rng)}"


def _looks(facts: Facts, rng: random.Random, complete: bool) -> list[str]:
    """The words of style and palette; those of a style without words (an uncle's) are left to who draws it."""
    words = []
    if facts.style in _STYLE_WORDS and (facts.style != "flat" or rng.random() < 0.3):
        words.append(_usual_first(_STYLE_WORDS[facts.style], rng))
    if facts.palette in _PALETTE_WORDS:
        words.append(_usual_first(_PALETTE_WORDS[facts.palette], rng))
    if not complete and words and rng.random() < 0.04:
        words.pop()
    rng.shuffle(words)
    return words


def _shuffled_ends(parts: list[str], looks: list[str], rng: random.Random) -> list[str]:
    return [*looks, *parts] if looks and rng.random() < 0.3 else [*parts, *looks]


def _with_looks(body: str, looks: list[str], rng: random.Random) -> str:
    if not looks:
        return body
    way = rng.random()
    if way < 0.5:
        return f"{body}, {', '.join(looks)}"
    if way < 0.8:
        return f"{body} in {' '.join(looks)} style"
    return f"{', '.join(looks)}, {body}"
