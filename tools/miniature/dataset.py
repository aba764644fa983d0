"""The pictures that are learned from, drawn once and kept in shards: uint8 .npy and one line of JSON a picture."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tools.miniature.world.draw import draw
from tools.miniature.world.facts import Facts
from tools.miniature.world.sampling import sample

SHARD = 500
LEVEL_SHARES = (0.14, 0.24, 0.24, 0.38)
# (width, height) and share; the native size comes first.
SIZES = ((128, 128), (96, 128), (128, 96), (160, 128), (128, 160))
SIZE_SHARES = (0.88, 0.03, 0.03, 0.03, 0.03)
CELL = 8  # px of a latent pixel


@dataclass(frozen=True)
class Shard:
    """Pictures of one size: files `stem`.npy (uint8 [N, H, W, 3]) and `stem`.jsonl in `folder`."""

    folder: Path
    size: tuple[int, int]
    number: int
    first_seed: int
    count: int

    @property
    def stem(self) -> str:
        return f"{self.size[0]}x{self.size[1]}-{self.number:04d}"

    @property
    def pixels(self) -> Path:
        return self.folder / f"{self.stem}.npy"

    @property
    def lines(self) -> Path:
        return self.folder / f"{self.stem}.jsonl"

    def exists(self) -> bool:
        return self.pixels.exists() and self.lines.exists()


@dataclass(frozen=True)
class Sample:
    """What is known of one picture."""

    facts: Facts
    level: int


def plan_shards(folder: Path, count: int, seed: int) -> list[Shard]:
    """The shards of `count` pictures; a larger count has the same first shards of each size."""
    shards = []
    for place, (size, share) in enumerate(zip(SIZES, SIZE_SHARES, strict=True)):
        wanted = max(1, round(count * share))
        for number in range(-(-wanted // SHARD)):
            held = min(SHARD, wanted - number * SHARD)
            shards.append(Shard(folder, size, number, _first_seed(seed, place, number), held))
    return shards


def _first_seed(seed: int, place: int, number: int) -> int:
    return ((seed * len(SIZES) + place) * 100_000 + number) * SHARD


def draw_all(folder: Path, count: int, seed: int, processes: int) -> Iterator[tuple[int, int]]:
    """Draw the shards that are not there yet; yields (shards done, shards in all) after each."""
    folder.mkdir(parents=True, exist_ok=True)
    shards = plan_shards(folder, count, seed)
    missing = [shard for shard in shards if not shard.exists()]
    done = len(shards) - len(missing)
    yield done, len(shards)
    if not missing:
        return
    with ProcessPoolExecutor(processes) as pool:
        for finished, _ in enumerate(pool.map(draw_shard, missing), 1):
            yield done + finished, len(shards)


def draw_shard(shard: Shard) -> None:
    """Draw and write one shard; its pixels last, so that a shard with pixels is complete."""
    samples = [_sample(shard.first_seed + k) for k in range(shard.count)]
    pictures = np.stack([draw(one.facts, *shard.size) for one in samples])
    text = "".join(json.dumps({"level": one.level, **one.facts.to_json()}) + "\n" for one in samples)
    replace_file(shard.lines, text.encode())
    save_array(shard.pixels, pictures)


def _sample(seed: int) -> Sample:
    level = int(np.random.default_rng([seed, 1]).choice(len(LEVEL_SHARES), p=LEVEL_SHARES))
    return Sample(sample(seed, "train", level), level)


def read_samples(shard: Shard) -> list[Sample]:
    return [_read_line(line) for line in shard.lines.read_text(encoding="utf-8").splitlines()]


def _read_line(line: str) -> Sample:
    values: dict[str, Any] = json.loads(line)
    level = int(values.pop("level"))
    return Sample(Facts.from_json(values), level)


def pixels_of(shard: Shard) -> np.ndarray:
    """The pictures of a shard, mapped from its file: uint8 [N, H, W, 3]."""
    pixels: np.ndarray = np.load(shard.pixels, mmap_mode="r")
    return pixels


def save_array(path: Path, array: np.ndarray) -> None:
    """Write a .npy file under a temporary name, then rename it."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    with part.open("wb") as stream:
        np.save(stream, array, allow_pickle=False)
    os.replace(part, path)


def file_hash(path: Path) -> str:
    """SHA-256 in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def replace_file(path: Path, content: bytes) -> None:
    """The same for bytes."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_bytes(content)
    os.replace(part, path)
