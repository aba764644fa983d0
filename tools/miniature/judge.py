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
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from tools.miniature.fresh import CHUNK, NATIVE, SEEDS_APART, Chunk, chunks, draw_chunk
from tools.miniature.judging import JUDGE_FILE, Judge, JudgeNet, save
from tools.miniature.roughen import roughen
from tools.miniature.scoring import Share
from tools.miniature.world.facts import KINDS
from tools.miniature.world.labels import ATTRIBUTES

log = logging.getLogger(__name__)

BATCH = 32
RARE, RARE_UNTIL = 16, 0.7  # of a batch, and of the run: in equal shares of the styles, each beside its twin
STYLE_WEIGHT = 3.0  # in the loss: edges of a pixel are learned last
STEPS_A_CHUNK = 32  # so each drawing is learned from about four times, always spoilt in another way
POOL = 32  # chunks that are kept
PEAK_RATE, WARM_UP, DECAY = 1e-3, 0.05, 0.02
SAVE_EVERY = 60.0  # seconds
EXAMINED = 2000
EXAM_SEED = SEEDS_APART * 99
_STYLE = list(ATTRIBUTES).index("style")


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

    def batch(self, rare: int) -> Chunk:
        """BATCH drawings, `rare` of them in equal shares of the styles and each beside its twin."""
        size = self._chunks[self._rng.integers(len(self._chunks))].size
        fitting = [chunk for chunk in self._chunks if chunk.size == size]
        chosen = [self._place(fitting, of_rare=True) for _ in range(min(rare, BATCH) // 2)]
        places = [*chosen, *((chunk, j ^ 1) for chunk, j in chosen)]
        places += [self._place(fitting, of_rare=False) for _ in range(BATCH - len(places))]
        return Chunk(
            np.stack([chunk.pictures[j] for chunk, j in places]),
            np.stack([chunk.labels[j] for chunk, j in places]),
            np.stack([chunk.cells[j] for chunk, j in places]),
        )

    def _place(self, fitting: list[Chunk], *, of_rare: bool) -> tuple[Chunk, int]:
        """Any drawing but a twin; `of_rare`: one of a style in which few are drawn as soon as one of those in which
        most are.
        """
        chunk = fitting[self._rng.integers(len(fitting))]
        shown = chunk.labels[:, _STYLE]
        if not of_rare or (shown < 0).all():
            return chunk, int(self._rng.integers(CHUNK // 2)) * 2
        style = self._rng.choice(np.unique(shown[shown >= 0]))
        return chunk, int(self._rng.choice(np.flatnonzero(shown == style)))


@dataclass
class Progress:
    """How far a training has come: `seconds` of work, `steps` taken, a loss at every 50th."""

    seconds: float = 0.0
    steps: int = 0
    losses: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Goal:
    """When a training is over: after `seconds`, or after `steps` where they are given."""

    seconds: float
    steps: int | None

    def done(self, progress: Progress) -> float:
        """0..1, or beyond."""
        return progress.steps / self.steps if self.steps else progress.seconds / self.seconds


@dataclass
class Course:
    """A training under way. `guide` tells the kind of thing at a place from its token alone: shapes are learned
    faster by it. It is not kept.
    """

    net: JudgeNet
    guide: nn.Linear
    optimizer: torch.optim.AdamW
    progress: Progress


def train(
    work: Path,
    minutes: float,
    device: str = "cpu",
    seed: int = 0,
    *,
    steps: int | None = None,
    examined: int = EXAMINED,
) -> Path:
    """Train for `minutes`, or `steps`, in all and write `work`/judge.safetensors; an interrupted training goes on.

    Returns the file written. The judge's accuracy on `examined` fresh drawings is logged and kept in its metadata.
    """
    work.mkdir(parents=True, exist_ok=True)
    target = work / JUDGE_FILE.name
    place = torch.device(device)
    torch.manual_seed(seed)
    net = JudgeNet(ATTRIBUTES).to(device=place, memory_format=torch.channels_last)
    guide = nn.Linear(net.norm.normalized_shape[0], len(KINDS)).to(place)
    optimizer = torch.optim.AdamW([*net.parameters(), *guide.parameters()], PEAK_RATE, weight_decay=DECAY)
    course = Course(net, guide, optimizer, Progress())
    state = work / "judge-state.safetensors"
    if state.exists():
        _resume(course, state)
    goal = Goal(minutes * 60, steps)
    if goal.done(course.progress) < 1:
        _learn(course, goal, place, seed, state)
        _keep(course, state)
    net.fold()
    save(net, ATTRIBUTES, target)
    shares = examine(Judge.load(target, device), examined)
    accuracy = {name: round(share.percent, 2) for name, share in shares.items() if share.of}
    save(net, ATTRIBUTES, target, steps=course.progress.steps, accuracy=accuracy)
    told = ", ".join(f"{name} {share.percent:.1f} %" for name, share in shares.items())
    log.info("judge, %d steps: %s", course.progress.steps, told)
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


def _learn(course: Course, goal: Goal, device: torch.device, seed: int, state: Path) -> None:
    """Step after step to the goal."""
    come = course.progress
    rng = np.random.default_rng([seed, come.steps])
    pool = Pool(rng)
    course.net.train()
    processes = 1 if device.type == "cpu" else max(1, (os.cpu_count() or 2) - 1)
    # After an interruption the drawings go on where they were; those that were kept are drawn no second time.
    with closing(chunks(seed, processes, come.steps // STEPS_A_CHUNK)) as drawings:
        saved = come.seconds
        while (done := goal.done(come)) < 1:
            began = time.monotonic()
            if pool.empty or come.steps % STEPS_A_CHUNK == 0:
                pool.add(next(drawings))
            _step(course, pool, done, rng, device)
            come.seconds += time.monotonic() - began
            if come.seconds - saved > SAVE_EVERY:
                _keep(course, state)
                saved = come.seconds


def _step(course: Course, pool: Pool, done: float, rng: np.random.Generator, device: torch.device) -> None:
    # At the end styles come as often as they are drawn, so that the judge is no readier to see the rare ones.
    drawings = pool.batch(RARE if done < RARE_UNTIL else 0)
    spoilt = roughen(drawings.pictures, rng, device)
    labels, cells = (torch.from_numpy(part).long().to(device) for part in (drawings.labels, drawings.cells))
    with torch.autocast(device.type, torch.bfloat16):
        tokens = course.net.tokens(spoilt)
        logits, guided = course.net.answers(tokens), course.guide(tokens)
    loss = loss_of(logits, labels) + F.cross_entropy(guided.flatten(0, 1).float(), cells.flatten(), ignore_index=-1)
    rate = PEAK_RATE * min(1.0, done / WARM_UP + 0.01) * (0.5 + 0.5 * math.cos(math.pi * done))
    for group in course.optimizer.param_groups:
        group["lr"] = rate
    course.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(course.optimizer.param_groups[0]["params"], 2.0)
    course.optimizer.step()
    come = course.progress
    come.steps += 1
    if come.steps % 50 == 0:
        come.losses.append(float(loss.detach()))
        log.info("judge, step %d, %.0f s: loss %.3f", come.steps, come.seconds, come.losses[-1])


def loss_of(logits: dict[str, Tensor], labels: Tensor) -> Tensor:
    """Sum over attributes of the mean cross entropy where the attribute shows; `labels` [B, attributes], -1 else."""
    parts = [
        (STYLE_WEIGHT if name == "style" else 1.0)
        * F.cross_entropy(logits[name].float(), labels[:, k], ignore_index=-1, reduction="sum")
        / (labels[:, k] >= 0).sum().clamp(min=1)
        for k, name in enumerate(logits)
    ]
    return torch.stack(parts).sum()


def _tensors(course: Course) -> Iterator[tuple[str, Tensor]]:
    """Everything that the training needs to go on, by name."""
    yield from ((f"net.{name}", tensor) for name, tensor in course.net.state_dict().items())
    yield from ((f"guide.{name}", tensor) for name, tensor in course.guide.state_dict().items())
    for number, values in course.optimizer.state_dict()["state"].items():
        yield from ((f"optimizer.{number}.{name}", tensor) for name, tensor in values.items())


def _keep(course: Course, state: Path) -> None:
    """Write the training's state, so that an interruption costs a minute at most."""
    part = state.with_name(state.name + ".part")
    facts = json.dumps(asdict(course.progress))
    save_file({name: tensor.contiguous() for name, tensor in _tensors(course)}, part, metadata={"course": facts})
    os.replace(part, state)


def progress(state: Path) -> Progress:
    """How far the training of that state's file has come."""
    with safe_open(state, "pt") as file:
        return Progress(**json.loads(file.metadata()["course"]))


def _resume(course: Course, state: Path) -> None:
    course.progress = progress(state)
    with safe_open(state, "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    for part, module in (("net.", course.net), ("guide.", course.guide)):
        module.load_state_dict({k.removeprefix(part): v for k, v in tensors.items() if k.startswith(part)})
    moments: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        if key.startswith("optimizer."):
            _, number, name = key.split(".", 2)
            moments.setdefault(int(number), {})[name] = tensor
    groups = course.optimizer.state_dict()["param_groups"]
    course.optimizer.load_state_dict({"state": moments, "param_groups": groups})
