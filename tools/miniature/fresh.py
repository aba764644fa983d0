"""Drawings that nobody has seen yet, for the judge: chunk after chunk, drawn by other processes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import count
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray

from tools.miniature.world.draw import draw
from tools.miniature.world.facts import KINDS, SIDE, Facts
from tools.miniature.world.labels import ATTRIBUTES, labels
from tools.miniature.world.sampling import Split, sample

CHUNK = 256
LEVEL_SHARES = (0.08, 0.14, 0.22, 0.56)
# Far from the seeds of the pictures that the miniature learns from and of the prompts it is examined with.
FIRST_SEED = 1_000_000_000
SEEDS_APART = 10_000_000  # between two runs of different seed
CELL = 16  # px
MIDDLE = 0.35  # of a thing's size, to each side, is told as its place
NATIVE = (SIDE, SIDE)
OTHER_SIZES = ((96, 128), (128, 96), (160, 128), (128, 160))
OTHER_EVERY = 8  # one chunk in so many has one of the other sizes
ALIKE = ("flat", "outlined", "watercolour")  # styles that are taken for each other


@dataclass(frozen=True)
class Chunk:
    """`pictures` uint8 [N, H, W, 3]; `labels` int16 [N, attributes] in the order of ATTRIBUTES, -1: not shown;
    `cells` int16 [N, H/16, W/16]: the kind of the thing at each cell of 16x16 px, -1: none.
    """

    pictures: NDArray[np.uint8]
    labels: NDArray[np.int16]
    cells: NDArray[np.int16]

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)"""
        return self.pictures.shape[2], self.pictures.shape[1]


def fresh_facts(seed: int) -> Facts:
    """Of every second picture the combinations are those that the miniature never learns: the judge knows both."""
    rng = np.random.default_rng([seed, 7])
    split: Split = "unseen" if rng.random() < 0.5 else "train"
    return sample(FIRST_SEED + seed, split, int(rng.choice(len(LEVEL_SHARES), p=LEVEL_SHARES)))


def twin(facts: Facts, seed: int) -> Facts:
    """The same in another style, one of those that are taken for each other."""
    others = [style for style in ALIKE if style != facts.style]
    return replace(facts, style=others[seed % len(others)])


def draw_chunk(first_seed: int, size: tuple[int, int], length: int = CHUNK, *, twins: bool = False) -> Chunk:
    """The drawings of `length` seeds from `first_seed` on; `twins`: every second one is the one before in another
    style instead.
    """
    facts = [fresh_facts(first_seed + k) for k in range(length)]
    if twins:
        facts[1::2] = [twin(one, first_seed // 2 + k) for k, one in enumerate(facts[: length - 1 : 2])]
    marks = [[labels(one)[name] for name in ATTRIBUTES] for one in facts]
    return Chunk(
        np.stack([draw(one, *size) for one in facts]),
        np.array(marks, np.int16),
        np.stack([kinds_at(one, *size) for one in facts]),
    )


def kinds_at(facts: Facts, width: int, height: int) -> NDArray[np.int16]:
    """Where the things are: int16 [height / 16, width / 16], the index of the kind in the middle of each thing."""
    y, x = np.mgrid[CELL // 2 : height : CELL, CELL // 2 : width : CELL]
    cells = np.full(x.shape, -1, np.int16)
    reach = MIDDLE * min(width, height) / SIDE
    for thing in facts.things:
        away = np.maximum(abs(x - thing.x * width / SIDE), abs(y - thing.y * height / SIDE))
        cells[away < thing.size * reach] = KINDS.index(thing.kind)
    return cells


def chunk_size(number: int) -> tuple[int, int]:
    """(width, height) of the pictures of chunk `number`."""
    if number % OTHER_EVERY != OTHER_EVERY - 1:
        return NATIVE
    return OTHER_SIZES[number // OTHER_EVERY % len(OTHER_SIZES)]


def chunks(seed: int, processes: int, first: int = 0) -> Iterator[Chunk]:
    """Chunk `first` and those after it, without end; the same ones for the same seed. Close it when done."""
    start = seed * SEEDS_APART
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        ahead = deque(
            pool.submit(draw_chunk, start + number * CHUNK, chunk_size(number), twins=True)
            for number in range(first, first + 2 * processes)
        )
        try:
            for number in count(first + 2 * processes):
                yield ahead.popleft().result()
                ahead.append(pool.submit(draw_chunk, start + number * CHUNK, chunk_size(number), twins=True))
        finally:
            pool.shutdown(cancel_futures=True)
