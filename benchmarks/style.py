"""Does a word learned from 24 pictures carry their style to new subjects, and is the subject still drawn?

    python -m benchmarks.style [--preset "Style, 70 pictures"] [--rate 0.005] [--steps 500] [--out sheet.png]

Trains the embedded model on `docs/samples/uncle_aharon`, draws held-out subjects without and with the word, and
prints how near each set is to other drawings of the style by the drawing program (`uncle.py` says how that is
measured), those after a round trip through the autoencoder: against each other they are the ceiling. Where the
miniature's judge is at hand it says how often the subject is still read from the picture.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.uncle import MODEL, WORD, Pictures, colours_of, distance, draw, lines_of, result_of, train
from modules.engine.loading.store import Store
from modules.schema.training import PRESETS
from tools.miniature.evaluate import load_judge
from tools.miniature.judging import JUDGE_FILE
from tools.miniature.painting import Painter
from tools.miniature.uncles import pictures_of
from tools.miniature.world.draw import draw as drawn
from tools.miniature.world.facts import Facts

# Beyond the seeds of the sample's own pictures.
_HELD_OUT, _OTHERS = 100_000, 200_000


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=list(PRESETS), default="Style, 70 pictures")
    parser.add_argument("--rate", help="learning rate, instead of the preset's")
    parser.add_argument("--steps", type=int, help="instead of the preset's")
    parser.add_argument("--pictures", type=int, default=48)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="a sheet: without the word, with it, the drawing program's own")
    parser.add_argument("--keep", type=Path, help="folder for the trained file")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    values = dict(PRESETS[arguments.preset])
    values |= {k: v for k, v in (("learn_rate", arguments.rate), ("steps", arguments.steps)) if v is not None}
    store = Store(1, torch.device("cpu"))
    wanted = pictures_of(WORD, arguments.pictures, _HELD_OUT)
    prompts = [caption for caption, _ in wanted]
    own = [drawn(facts) for _, facts in wanted]
    others = [drawn(facts) for _, facts in pictures_of(WORD, arguments.pictures, _OTHERS)]
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        found = train(folder, store, **values, create_image_every=0, save_embedding_every=0, seed=1)
        seconds = time.monotonic() - began
        without = draw(prompts, store, None)
        with_word = draw([f"{prompt}, by {WORD}" for prompt in prompts], store, result_of(folder))
    losses = [loss for _, loss in found["evaluations"]]  # type: ignore[attr-defined]
    print(f"{found['step']} steps in {seconds:.0f} s; evaluation loss {losses[0]:.4f} to {losses[-1]:.4f}\n")
    # What the autoencoder cannot show is nobody's to learn.
    painter = Painter(Path(MODEL.checkpoint))
    ceiling, others = (list(painter.round_trip(np.stack(drawings))) for drawings in (own, others))
    sets = {"without the word": without, "with the word": with_word, "the drawing program's own": ceiling}
    print("| pictures of new subjects | distance in colours | in lines | subject read right |")
    print("|---|---|---|---|")
    for name, pictures in sets.items():
        near = [f"{distance(pictures, others, seen):.3f}" for seen in (colours_of, lines_of)]
        print(f"| {name} | {' | '.join(near)} | {_subjects(pictures, wanted)} |")
    if arguments.out:
        _sheet(list(sets.values())).save(arguments.out)


def _subjects(pictures: Pictures, wanted: Sequence[tuple[str, Facts]]) -> str:
    """Share of the pictures in which the judge reads the first thing's kind as asked."""
    if not JUDGE_FILE.exists():
        return "-"
    readings = load_judge().read(np.stack(pictures))
    right = sum(
        read["kind1"] == facts.things[0].kind
        for read, (_, facts) in zip(readings, wanted, strict=True)
        if facts.things
    )
    return f"{right} of {sum(bool(facts.things) for _, facts in wanted)}"


def _sheet(rows: Sequence[Pictures], shown: int = 8, gap: int = 4) -> Image.Image:
    height, width = rows[0][0].shape[:2]
    sheet = Image.new("RGB", (shown * (width + gap) - gap, len(rows) * (height + gap) - gap), "white")
    for y, row in enumerate(rows):
        for x, picture in enumerate(row[:shown]):
            sheet.paste(Image.fromarray(np.asarray(picture)), (x * (width + gap), y * (height + gap)))
    return sheet


if __name__ == "__main__":
    main()
