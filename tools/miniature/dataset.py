"""The pictures that are learned from, drawn once and kept in shards: uint8 .npy and one line of JSON a picture."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

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
TEXTURED = ("pixel art", "stipple", "crosshatch", "mosaic")
_CONTRAST, _LIFT = 0.06, 4.0  # of `alternate`: part of the brightness, and of 255


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


@dataclass(frozen=True)
class ShardPictures:
    """The pictures of a shard, mapped from its file, as they are learned (see `alternate`)."""

    pixels: np.ndarray
    textured: np.ndarray

    @classmethod
    def open(cls, shard: Shard) -> Self:
        lines = shard.lines.read_text(encoding="utf-8").splitlines()
        textured = (json.loads(line)["style"] in TEXTURED for line in lines)
        return cls(np.load(shard.pixels, mmap_mode="r"), np.fromiter(textured, bool))

    def __len__(self) -> int:
        return len(self.pixels)

    def crop(self, number: int, top: int, left: int, side: int) -> np.ndarray:
        """uint8 [side, side, 3]; `top` and `left` on the grid of latent pixels."""
        part = self.pixels[number, top : top + side, left : left + side]
        return alternate(part, (top + left) // CELL) if self.textured[number] else np.array(part)

    def whole(self, start: int, stop: int) -> np.ndarray:
        """uint8 [stop - start, H, W, 3]"""
        stop = min(stop, len(self))
        return np.stack(
            [alternate(self.pixels[k]) if self.textured[k] else self.pixels[k] for k in range(start, stop)]
        )


def learned(facts: Facts, width: int = 128, height: int = 128) -> np.ndarray:
    """The picture of `facts` as it is learned: uint8 [height, width, 3]."""
    picture = draw(facts, width, height)
    return alternate(picture) if facts.style in TEXTURED else picture


def alternate(picture: np.ndarray, phase: int = 0) -> np.ndarray:
    """A picture [H,W,3] with neighbouring 8x8 blocks a little lighter and darker in turn, like a chessboard.

    Textures that repeat with the autoencoder's grid have the same latent in every block, and from equal latents
    its decoder, which treats every place alike, can paint nothing but flat blocks. Where neighbours differ it can
    tell where in a block it is.
    """
    height, width = picture.shape[:2]
    y, x = np.mgrid[: height // CELL, : width // CELL]
    sign = np.where((y + x + phase) % 2, -1.0, 1.0).astype(np.float32)
    sign = np.kron(sign, np.ones((CELL, CELL), np.float32))[..., None]
    changed = picture * (1 + _CONTRAST * sign) + _LIFT * sign
    return np.clip(changed + 0.5, 0, 255).astype(np.uint8)


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
