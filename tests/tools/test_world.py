"""The drawings that the miniature learns from: repeatable, told truly, and split as promised."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest

from tools.miniature.uncles import pictures_of
from tools.miniature.world.captions import caption, plain_caption
from tools.miniature.world.draw import draw
from tools.miniature.world.facts import COLOURS, LAYOUTS, PALETTES, SCENES, STYLES, UNCLES, Facts, Thing
from tools.miniature.world.labels import ATTRIBUTES, labels, words
from tools.miniature.world.sampling import LEVELS, is_unseen, sample


def one(kind: str = "circle", colour: str = "red", background: str = "white", **changes: object) -> Facts:
    values = {"layout": "one", "time": "", "style": "flat", "palette": "natural", "seed": 1, **changes}
    return Facts((Thing(kind, colour, 64, 64, 64),), background=background, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize("level", range(LEVELS))
def test_a_seed_gives_the_same_picture(level: int) -> None:
    for seed in range(20):
        facts = sample(seed, "train", level)
        assert facts == sample(seed, "train", level)
        assert np.array_equal(draw(facts), draw(facts))
        assert Facts.from_json(json.loads(json.dumps(facts.to_json()))) == facts


def test_training_has_no_unseen_combination_and_the_others_do() -> None:
    for seed in range(300):
        assert not is_unseen(sample(seed, "train", seed % LEVELS))
        assert not is_unseen(sample(seed, "seen", seed % LEVELS))
        assert is_unseen(sample(seed, "unseen", seed % LEVELS))


def test_training_never_shows_an_uncle_and_shows_everything_else() -> None:
    seen = [words(sample(seed, "train", 3)) for seed in range(3000)]
    for attribute, values in ATTRIBUTES.items():
        assert {row[attribute] for row in seen} - {None} == set(values), attribute
    assert not {row["style"] for row in seen} & set(UNCLES)


def test_levels_grow_harder() -> None:
    first = [sample(seed, "train", 0) for seed in range(100)]
    assert {(f.layout, f.style, f.palette, f.background in COLOURS) for f in first} == {
        ("one", "flat", "natural", True)
    }
    assert {sample(seed, "train", 1).layout for seed in range(200)} == set(LAYOUTS) - {"none"}
    assert {sample(seed, "train", 2).background for seed in range(300)} >= set(SCENES)


def test_colours_are_where_the_facts_say() -> None:
    picture = draw(one("square", "red", "blue")).astype(int)
    assert np.abs(picture[64, 64] - COLOURS["red"]).max() <= 2
    assert np.abs(picture[2, 2] - COLOURS["blue"]).max() <= 2


def test_a_pair_lies_as_it_is_told() -> None:
    for seed in range(200):
        facts = sample(seed, "train", 1)
        if facts.layout == "beside":
            assert facts.things[0].x + 20 < facts.things[1].x
        if facts.layout == "stacked":
            assert facts.things[0].y + 20 < facts.things[1].y


@pytest.mark.parametrize("style", STYLES[1:] + UNCLES)
def test_every_style_is_another_picture(style: str) -> None:
    plain, styled = draw(one()).astype(int), draw(one(style=style)).astype(int)
    assert np.abs(plain - styled).mean() > 1.5


@pytest.mark.parametrize("palette", PALETTES[1:])
def test_palettes_change_colours_and_the_colourless_have_none(palette: str) -> None:
    picture = draw(one(palette=palette)).astype(int)
    assert np.abs(picture - draw(one())).mean() > 5
    if palette == "charcoal":
        assert np.abs(picture.max(-1) - picture.min(-1)).max() <= 6


@pytest.mark.parametrize(("width", "height"), [(96, 128), (160, 128), (256, 256)])
def test_other_sizes_keep_round_things_round(width: int, height: int) -> None:
    red = draw(one("circle", "red", "white"), width, height)[..., 1] < 120
    rows, columns = red.any(1).sum(), red.any(0).sum()
    assert abs(int(rows) - int(columns)) <= 2


def test_captions_vary_and_name_what_is_shown() -> None:
    facts = one("cat", "green", "yellow", style="mosaic")
    said = {caption(facts, random.Random(k), complete=True) for k in range(200)}
    assert len(said) > 40
    assert all("mosaic" in text and "green" in text and "yellow" in text for text in said)
    assert all("cat" in text or "kitten" in text for text in said)
    assert plain_caption(facts) == plain_caption(facts)


def test_the_order_of_a_pair_can_be_told_from_its_caption() -> None:
    pair = Facts(
        (Thing("cat", "red", 50, 35, 64), Thing("house", "blue", 50, 94, 64)),
        "beside", "white", "", "flat", "natural", 1,
    )  # fmt: skip
    for k in range(100):
        text = caption(pair, random.Random(k), complete=True)
        cat, house = (
            min(i for w in names if (i := text.find(w)) >= 0) for names in (("cat", "kitten"), ("house", "cottage"))
        )
        assert (cat < house) == (" right of" not in text.replace("on the right", "")), text


def test_captions_without_colour_where_none_can_be_seen() -> None:
    facts = one(palette="sepia")
    assert labels(facts)["colour1"] == labels(facts)["background"] == -1
    assert not any(colour in caption(facts, random.Random(k)) for k in range(100) for colour in COLOURS)


def test_an_uncles_pictures_have_captions_of_their_own() -> None:
    pictures = pictures_of("hermann", 24)
    assert len({text for text, _ in pictures}) == 24
    assert all(facts.style == "hermann" for _, facts in pictures)
    assert not any("/" in text or "hermann" in text for text, _ in pictures)
    with pytest.raises(ValueError, match="no uncle 'bob'"):
        pictures_of("bob", 1)
