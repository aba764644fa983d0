"""Does a checkpoint draw what it is asked for? Held-out prompts, drawn by the product's engine, read by the judge."""

from __future__ import annotations

import json
import logging
import os
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modules.schema.errors import ModelFileError
from tools.miniature.judging import JUDGE_FILE, Judge
from tools.miniature.painting import Painter, psnr
from tools.miniature.scoring import Share, attribute_marks, combined_marks, tally
from tools.miniature.world.captions import caption
from tools.miniature.world.draw import draw
from tools.miniature.world.facts import Facts
from tools.miniature.world.labels import ATTRIBUTES, words
from tools.miniature.world.sampling import Split, sample

log = logging.getLogger(__name__)

SPLITS: tuple[Split, ...] = ("seen", "unseen")
LEVEL_TURNS = (3, 0, 3, 1, 3, 2)  # half of the prompts use all that the world has
FIRST_SEED = 500_000_000
SIZE_WORDS = frozenset(("small", "tiny", "little", "medium", "large", "big"))


@dataclass(frozen=True)
class Question:
    """A held-out prompt, the facts behind it, and those of them that the words tell and a picture shows."""

    split: str
    seed: int
    facts: Facts
    prompt: str
    asked: dict[str, str]


@dataclass(frozen=True)
class Report:
    """Shares of right readings by mark: `seen`, `unseen` and `both` of the model's pictures; `ceiling` of the drawing
    program's own after a round trip through the autoencoder; `drawn` of those without it. `psnr` of that round trip
    in dB, `seconds` for a picture. `answers`: what was asked and read, one by one.
    """

    seen: dict[str, Share]
    unseen: dict[str, Share]
    both: dict[str, Share]
    ceiling: dict[str, Share]
    drawn: dict[str, Share]
    psnr: float
    seconds: float
    answers: list[dict[str, Any]]

    def text(self) -> str:
        """The table."""
        columns = (self.seen, self.unseen, self.both, self.ceiling, self.drawn)
        lines = [f"{'right, %':24}{'seen':>7}{'never seen':>12}{'both':>7}{'of':>5}{'ceiling':>9}{'drawn':>8}"]
        empty = Share(0, 0)
        for name in self.drawn:
            seen, unseen, both, ceiling, drawn = (str(column.get(name, empty)) for column in columns)
            of = self.both.get(name, empty).of
            lines.append(f"{name:24}{seen:>7}{unseen:>12}{both:>7}{of:>5}{ceiling:>9}{drawn:>8}")
        lines.append(f"round trip through the autoencoder: {self.psnr:.1f} dB")
        lines.append(f"{self.seconds:.2f} s for a picture")
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        shares = {
            column: {name: {"right": s.right, "of": s.of} for name, s in getattr(self, column).items()}
            for column in ("seen", "unseen", "both", "ceiling", "drawn")
        }
        return {**shares, "psnr": self.psnr, "seconds": self.seconds, "answers": self.answers}


def questions(count: int, seed: int = 0) -> list[Question]:
    """`count` prompts, always the same for the same seed; every second one has a never-seen combination."""
    return [_question(number, seed) for number in range(count)]


def _question(number: int, seed: int) -> Question:
    split = SPLITS[number % 2]
    level = LEVEL_TURNS[number // 2 % len(LEVEL_TURNS)]
    own_seed = FIRST_SEED + seed * 1_000_000 + number
    facts = sample(own_seed, split, level)
    prompt = caption(facts, random.Random(own_seed), complete=True)
    return Question(split, own_seed, facts, prompt, told(facts, prompt))


def told(facts: Facts, prompt: str) -> dict[str, str]:
    """The attributes that the picture of `prompt` has to show; a size only where the words name one."""
    asked = {name: value for name, value in words(facts).items() if value is not None}
    if not SIZE_WORDS & set(prompt.replace(",", " ").split()):
        asked.pop("size", None)
    return asked


def load_judge(file: Path = JUDGE_FILE, device: str = "cpu") -> Judge:
    """The judge, made sure that it speaks of the world as it is now."""
    judge = Judge.load(file, device)
    if judge.attributes != ATTRIBUTES:
        raise ModelFileError(f"{file.name} judges another world than this one; train it again with the stage judge.")
    return judge


def evaluate(
    painter: Painter, judge: Judge, asked: Sequence[Question], say: Callable[[int], None] | None = None
) -> Report:
    """Draw, read and compare. `say` is told after each picture how many are done."""
    width, height = painter.model.native_size
    painter.warm_up()
    painted = []
    for done, question in enumerate(asked, 1):
        painted.append(painter.paint(question.prompt, question.seed)[0])
        if say:
            say(done)
    drawn = np.stack([draw(question.facts, width, height) for question in asked])
    passed = painter.round_trip(drawn)
    readings = judge.read(np.stack(painted))
    marks = _marks(asked, readings)
    return Report(
        *(tally(m for m, q in zip(marks, asked, strict=True) if q.split == split) for split in SPLITS),
        both=tally(marks),
        ceiling=tally(_marks(asked, judge.read(passed))),
        drawn=tally(_marks(asked, judge.read(drawn))),
        psnr=psnr(drawn, passed),
        seconds=painter.seconds / painter.pictures,
        answers=[
            {"split": q.split, "seed": q.seed, "prompt": q.prompt, "asked": q.asked, "read": r}
            for q, r in zip(asked, readings, strict=True)
        ],
    )


def _marks(asked: Sequence[Question], readings: Sequence[dict[str, str]]) -> list[dict[str, bool]]:
    return [
        attribute_marks(question.asked, read) | combined_marks(question.asked, read)
        for question, read in zip(asked, readings, strict=True)
    ]


def main(
    file: Path,
    count: int = 300,
    json_file: Path | None = None,
    *,
    device: str = "auto",
    precision: str = "auto",
    judge_file: Path = JUDGE_FILE,
    seed: int = 0,
) -> Report:
    """Print the table of the checkpoint `file`; write all of it to `json_file` when there is one."""
    judge = load_judge(judge_file)
    painter = Painter(file, device, precision)
    report = evaluate(painter, judge, questions(count, seed), _progress(count))
    sys.stdout.write(f"{file.name}, {count} held-out prompts\n{report.text()}\n")
    if json_file:
        part = json_file.with_name(json_file.name + ".part")
        part.write_text(json.dumps(report.to_json(), indent=1), encoding="utf-8")
        os.replace(part, json_file)
    return report


def _progress(count: int) -> Callable[[int], None]:
    def say(done: int) -> None:
        if done % 50 == 0:
            log.info("%d of %d pictures", done, count)

    return say
