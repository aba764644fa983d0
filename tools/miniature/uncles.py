"""Pictures in a style that the miniature never saw, named by their captions as a hobbyist would: what textual
inversion is tried on."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from PIL import Image

from tools.miniature.world.captions import plain_caption
from tools.miniature.world.draw import draw
from tools.miniature.world.facts import UNCLES, Facts
from tools.miniature.world.sampling import sample


def pictures_of(uncle: str, count: int, first_seed: int = 0) -> list[tuple[str, Facts]]:
    """`count` captions, no two alike, and what their pictures show."""
    if uncle not in UNCLES:
        raise ValueError(f"there is no uncle {uncle!r}; there are {', '.join(UNCLES)}")
    found: dict[str, Facts] = {}
    seed = first_seed
    while len(found) < count:
        facts = sample(seed, "seen", level=3)
        seed += 1
        if facts.colourless:  # its colours were chosen for their contrast in gray
            shown = replace(facts, style=uncle, palette="natural")
            found.setdefault(plain_caption(shown), shown)
    return list(found.items())


def write(folder: Path, uncle: str, count: int = 24, first_seed: int = 0) -> list[Path]:
    """PNGs of 128x128 in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for caption, facts in pictures_of(uncle, count, first_seed):
        file = folder / f"{caption}.png"
        unfinished = file.with_suffix(".tmp")
        Image.fromarray(draw(facts)).save(unfinished, "PNG", optimize=True)
        os.replace(unfinished, file)
        files.append(file)
    return files
