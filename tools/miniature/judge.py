"""Train the judge on fresh drawings: never on a picture of the miniature, nor on one that the miniature learned from.

judge.train(work, minutes=10)
"""

from __future__ import annotations

import json
import logging
import math
import os
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from tools.miniature.fresh import CHUNK, NATIVE, SEEDS_APART, Chunk, chunks, draw_chunk
from tools.miniature.judging import JUDGE_FILE, Judge, JudgeNet, Pictures, save
from tools.miniature.roughen import roughen
from tools.miniature.scoring import Share
from tools.miniature.world.labels import ATTRIBUTES

log = logging.getLogger(__name__)

BATCH = 64
STEPS_A_CHUNK = 16  # so each drawing is learned from about four times, always spoilt in another way
POOL = 32  # chunks that are kept
PEAK_RATE, WARM_UP, DECAY = 1.5e-3, 0.05, 0.02
SAVE_EVERY = 60.0  # seconds
EXAMINED = 2000
EXAM_SEED = SEEDS_APART * 99


class Pool:
    """The newest chunks, by size; batches are taken from one size, as often as there are pictures of it."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._chunks: list[Chunk] = []

    @property
    def empty(self) -> bool:
        return not self._chunks

    def add(self, chunk: Chunk) -> None:
        self._chunks = [*self._chunks[-POOL + 1 :], chunk]

    def batch(self) -> tuple[Pictures, np.ndarray]:
        """Pictures uint8 [BATCH, H, W, 3] and labels [BATCH, attributes]."""
        size = self._chunks[self._rng.integers(len(self._chunks))].size
        fitting = [chunk for chunk in self._chunks if chunk.size == size]
        places = [(fitting[k], j) for k, j in self._rng.integers((len(fitting), CHUNK), size=(BATCH, 2))]
        return np.stack([c.pictures[j] for c, j in places]), np.stack([c.labels[j] for c, j in places])


@dataclass
class Course:
    """A training under way: what is learned, and how far it has come; `seconds` of work, `steps` taken."""

    net: JudgeNet
    optimizer: torch.optim.AdamW
    seconds: float = 0.0
    steps: int = 0
    losses: list[float] = field(default_factory=list)


def train(work: Path, minutes: float, device: str = "cpu", seed: int = 0, file: Path | None = None) -> Path:
    """Train for `minutes` in all (an interrupted training goes on) and write `work`/judge.safetensors, or `file`.

    Returns the file written. The judge's accuracy on fresh drawings is logged and kept in the file's metadata.
    """
    work.mkdir(parents=True, exist_ok=True)
    target = file or work / JUDGE_FILE.name
    place = torch.device(device)
    torch.manual_seed(seed)
    net = JudgeNet(ATTRIBUTES).to(device=place, memory_format=torch.channels_last)
    course = Course(net, torch.optim.AdamW(net.parameters(), PEAK_RATE, weight_decay=DECAY))
    state = work / "judge-state.safetensors"
    if state.exists():
        _resume(course, state)
    _learn(course, minutes * 60, place, seed, state)
    net.fold()
    save(net, ATTRIBUTES, target, steps=course.steps, drawings=course.steps // STEPS_A_CHUNK * CHUNK)
    shares = examine(Judge.load(target, device))
    save(net, ATTRIBUTES, target, steps=course.steps, accuracy={k: round(v.percent, 2) for k, v in shares.items()})
    log.info("judge, %d steps: %s", course.steps, ", ".join(f"{k} {v.percent:.1f} %" for k, v in shares.items()))
    return target


def examine(judge: Judge, count: int = EXAMINED, size: tuple[int, int] = NATIVE) -> dict[str, Share]:
    """How many of `count` fresh drawings the judge reads rightly, by attribute."""
    right = dict.fromkeys(ATTRIBUTES, 0)
    of = dict.fromkeys(ATTRIBUTES, 0)
    for start in range(0, count, CHUNK):
        chunk = draw_chunk(EXAM_SEED + start, size, min(CHUNK, count - start))
        for column, (name, shares) in enumerate(judge.probabilities(chunk.pictures).items()):
            asked = chunk.labels[:, column]
            shown = asked >= 0
            right[name] += int((shares.argmax(-1) == asked)[shown].sum())
            of[name] += int(shown.sum())
    return {name: Share(right[name], of[name]) for name in ATTRIBUTES}


def _learn(course: Course, budget: float, device: torch.device, seed: int, state: Path) -> None:
    """Step after step until `budget` seconds are used."""
    rng = np.random.default_rng([seed, course.steps])
    pool = Pool(rng)
    course.net.train()
    processes = 1 if device.type == "cpu" else max(1, (os.cpu_count() or 2) - 1)
    # After an interruption the drawings go on where they were; those that were kept are drawn no second time.
    with closing(chunks(seed, processes, course.steps // STEPS_A_CHUNK)) as drawings:
        saved = course.seconds
        while course.seconds < budget:
            began = time.monotonic()
            if pool.empty or course.steps % STEPS_A_CHUNK == 0:
                pool.add(next(drawings))
            _step(course, pool, course.seconds / budget, rng, device)
            course.seconds += time.monotonic() - began
            if course.seconds - saved > SAVE_EVERY:
                _keep(course, state)
                saved = course.seconds


def _step(course: Course, pool: Pool, done: float, rng: np.random.Generator, device: torch.device) -> None:
    pictures, labels = pool.batch()
    spoilt = roughen(pictures, rng, device)
    with torch.autocast(device.type, torch.bfloat16):
        logits = course.net(spoilt)
    loss = loss_of(logits, torch.from_numpy(labels).long().to(device))
    rate = PEAK_RATE * min(1.0, done / WARM_UP + 0.01) * (0.5 + 0.5 * math.cos(math.pi * done))
    for group in course.optimizer.param_groups:
        group["lr"] = rate
    course.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(course.net.parameters(), 2.0)
    course.optimizer.step()
    course.steps += 1
    if course.steps % 50 == 0:
        course.losses.append(float(loss.detach()))
        log.info("judge, step %d, %.0f s: loss %.3f", course.steps, course.seconds, course.losses[-1])


def loss_of(logits: dict[str, Tensor], labels: Tensor) -> Tensor:
    """Sum over attributes of the mean cross entropy where the attribute shows; `labels` [B, attributes], -1 else."""
    parts = [
        F.cross_entropy(logits[name].float(), labels[:, k], ignore_index=-1, reduction="sum")
        / (labels[:, k] >= 0).sum().clamp(min=1)
        for k, name in enumerate(logits)
    ]
    return torch.stack(parts).sum()


def _tensors(course: Course) -> Iterator[tuple[str, Tensor]]:
    """Everything that the training needs to go on, by name."""
    yield from ((f"net.{name}", tensor) for name, tensor in course.net.state_dict().items())
    for number, values in course.optimizer.state_dict()["state"].items():
        yield from ((f"optimizer.{number}.{name}", tensor) for name, tensor in values.items())


def _keep(course: Course, state: Path) -> None:
    """Write the training's state, so that an interruption costs a minute at most."""
    part = state.with_name(state.name + ".part")
    facts = json.dumps({"seconds": course.seconds, "steps": course.steps, "losses": course.losses})
    save_file({name: tensor.contiguous() for name, tensor in _tensors(course)}, part, metadata={"course": facts})
    os.replace(part, state)


def _resume(course: Course, state: Path) -> None:
    with safe_open(state, "pt") as file:
        facts = json.loads(file.metadata()["course"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    course.net.load_state_dict({k.removeprefix("net."): v for k, v in tensors.items() if k.startswith("net.")})
    moments: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        if key.startswith("optimizer."):
            _, number, name = key.split(".", 2)
            moments.setdefault(int(number), {})[name] = tensor
    groups = course.optimizer.state_dict()["param_groups"]
    course.optimizer.load_state_dict({"state": moments, "param_groups": groups})
    course.seconds, course.steps, course.losses = facts["seconds"], facts["steps"], facts["losses"]
