"""Training in step in several processes of one thread each.

Two threads that meet after every small operation wait for whichever the machine has put aside; two processes that
meet a few times a step do not. They share the flat weights, so a step costs one pass over them and no copying.
"""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import BrokenBarrierError
from typing import Any, Protocol

import torch
import torch.multiprocessing as mp
from torch import Tensor, nn

from tools.miniature.nets import working_dtype
from tools.miniature.optimise import BUFFERS, AdamW, Flat, Group, average_decay, flatten, learning_rate
from tools.miniature.state import State, below, load_state, prefixed, save_state

_PATIENCE = 1800.0  # seconds that a replica waits for the others
_SAVE_EVERY = 120.0
ROUND = 10_000_000  # steps between the data of two rounds
_MOST_BAD = 3  # steps without numbers in a row, after which the rate is halved


@dataclass(frozen=True)
class Plan:
    """How long and how: `minutes` of wall time in all runs together, or `steps` where given.

    `rate`: peak learning rate; `warm`: share of the run in which it rises; `clip`: greatest norm of the gradient;
    `keep`: decay of the weights' average; `replicas`: processes of one thread (0: this one with torch's threads).
    `again`: begin another round where the state says that the last one was finished. `data`: names what is learned
    from; a state that was trained on other data is refused.
    """

    minutes: float
    rate: float
    steps: int | None = None
    warm: float = 0.02
    clip: float = 1.0
    keep: float = 0.999
    replicas: int = 2
    device: str = "cpu"
    seed: int = 0
    again: bool = True
    data: str = ""


class Task(Protocol):
    """What is trained: built anew in each process."""

    modules: Mapping[str, nn.Module]
    groups: Sequence[Group]

    def loss(self, step: int, fraction: float, rank: int, replicas: int) -> tuple[Tensor, Mapping[str, float]]:
        """The loss of this replica's part of a batch, and numbers for the log."""
        ...


class Watcher(Protocol):
    """Is told of progress, in the first replica only."""

    def logged(self, row: Mapping[str, float]) -> None: ...

    def saved(self, flat: Flat, step: int, fraction: float, final: bool) -> None: ...


@dataclass
class _Sync:
    """`control`: [fraction, stop, rate's factor, good steps]; `reports` [R, 2]: loss, squared norm of each."""

    barrier: Any
    control: Tensor
    reports: Tensor

    def wait(self) -> None:
        if self.barrier is not None:
            self.barrier.wait(_PATIENCE)


def train(make: Callable[[], Task], plan: Plan, file: Path, watcher: Watcher) -> bool:
    """Train from the state in `file`, or from the start, until the plan is done: then True; False when stopped.

    A finished state begins another round from its averaged weights, with a short rise of the rate. `make` builds the
    task from nothing but the files on disk; it is sent to the other processes.
    """
    replicas = max(1, plan.replicas) if plan.device == "cpu" else 1
    if plan.replicas:
        torch.set_num_threads(1 if plan.device == "cpu" else torch.get_num_threads())
    device = torch.device(plan.device)
    task = make()
    flat = flatten(task.modules, task.groups, replicas, working_dtype(device), device)
    facts = _resume(flat, file, plan)
    if facts.get("finished"):
        return True
    context = mp.get_context("spawn")
    sync = _Sync(
        context.Barrier(replicas) if replicas > 1 else None,
        torch.tensor([0.0, 0.0, facts.get("factor", 1.0), facts.get("good", 0)], dtype=torch.float64).share_memory_(),
        torch.zeros(replicas, 2, dtype=torch.float64).share_memory_(),
    )
    # Every round has data of its own.
    first = facts.get("step", 0) + facts.get("round", 0) * ROUND
    others = [
        context.Process(target=_other, args=(make, plan, flat, sync, rank, first), daemon=True)
        for rank in range(1, replicas)
    ]
    for process in others:
        process.start()
    _watch(others, sync)
    try:
        return _First(task, plan, flat, sync, file, watcher, facts).run()
    except BrokenBarrierError:
        raise RuntimeError("One of the training's processes has ended; what it said is above.") from None
    finally:
        for process in others:
            process.join(10)
            if process.is_alive():
                process.kill()


def _watch(others: Sequence[BaseProcess], sync: _Sync) -> None:
    """Have the wait of this process end when another one dies, which it would otherwise be told in half an hour."""

    def watch() -> None:
        ended = wait([process.sentinel for process in others])
        for process in others:
            if process.sentinel in ended:
                process.join()
        if any(process.exitcode for process in others):
            sync.barrier.abort()

    if others:
        threading.Thread(target=watch, name="watch", daemon=True).start()


def _resume(flat: Flat, file: Path, plan: Plan) -> dict[str, Any]:
    """Load the state; returns its facts, those of a new round where one begins, none at the very start."""
    state = load_state(file)
    if state is None:
        return {}
    for kind in BUFFERS:
        flat.load(kind, below(kind, state.tensors))
    facts = dict(state.facts)
    if facts.get("data", "") != plan.data:
        raise ValueError(f"{file} was trained on other data than is there now; move it away to train anew.")
    if facts.get("finished") and plan.again:
        flat.master.copy_(flat.average)
        flat.first.zero_()
        flat.second.zero_()
        facts = {"round": int(facts.get("round", 0)) + 1}
    flat.refresh()
    return facts


def _other(make: Callable[[], Task], plan: Plan, flat: Flat, sync: _Sync, rank: int, step: int) -> None:
    """A further replica's whole life."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    torch.set_num_threads(1)
    replica = _Replica(make(), plan, flat, sync, rank)
    try:
        while True:
            sync.wait()
            fraction, stop, factor, good = sync.control.tolist()
            if stop:
                return
            replica.step(step, fraction, factor, int(good))
            step += 1
    except BrokenBarrierError:
        return


class _Replica:
    def __init__(self, task: Task, plan: Plan, flat: Flat, sync: _Sync, rank: int) -> None:
        self.task, self.plan, self.flat, self.sync, self.rank = task, plan, flat, sync, rank
        flat.attach(task.modules, rank)
        self.optimiser = AdamW(flat, rank)
        for module in task.modules.values():
            module.train()

    def step(self, step: int, fraction: float, factor: float, good: int) -> dict[str, float]:
        """Gradients of this replica's part, and the update of its share of the weights after `good` updates."""
        flat, sync, plan = self.flat, self.sync, self.plan
        flat.grads[self.rank].zero_()
        loss, numbers = self.task.loss(step, fraction, self.rank, len(flat.grads))
        loss.backward()
        sync.reports[self.rank, 0] = float(loss.detach())
        sync.wait()
        sync.reports[self.rank, 1] = self.optimiser.gather()
        sync.wait()
        mean, square = float(sync.reports[:, 0].mean()), float(sync.reports[:, 1].sum())
        norm = math.sqrt(square) if math.isfinite(square) else math.nan
        rate = learning_rate(fraction, plan.warm, plan.rate) * factor
        if math.isfinite(mean) and math.isfinite(norm):
            clip = min(1.0, plan.clip / (norm + 1e-6))
            self.optimiser.step(good + 1, rate, clip, average_decay(good, plan.keep))
        return {"loss": mean, "norm": norm, "rate": rate, **numbers}


class _First(_Replica):
    """The replica that keeps time, writes the log and saves."""

    def __init__(
        self, task: Task, plan: Plan, flat: Flat, sync: _Sync, file: Path, watcher: Watcher, facts: Mapping[str, Any]
    ) -> None:
        super().__init__(task, plan, flat, sync, 0)
        self.file, self.watcher = file, watcher
        self.count = int(facts.get("step", 0))
        self.round = int(facts.get("round", 0))
        self.first = self.round * ROUND
        self.used = float(facts.get("seconds", 0.0))
        self.stopping = False
        self.bad = 0

    def run(self) -> bool:
        mark = saved = time.monotonic()
        done = False
        with self._signals():
            while True:
                now = time.monotonic()
                self.used, mark = self.used + now - mark, now
                fraction = self._fraction()
                done = fraction >= 1
                self.sync.control[0], self.sync.control[1] = min(fraction, 1.0), float(done or self.stopping)
                self.sync.wait()
                if done or self.stopping:
                    break
                if now - saved > _SAVE_EVERY:
                    self._save(fraction, final=False)
                    saved = now
                factor, good = self.sync.control[2:].tolist()
                row = self.step(self.first + self.count, min(fraction, 1.0), factor, int(good))
                self._judge_step(row)
                self.count += 1
                self.watcher.logged({"step": self.count, "seconds": round(self.used, 1), "fraction": fraction, **row})
        self._save(fraction, final=done)
        return done

    def _fraction(self) -> float:
        if self.plan.steps is not None:
            return self.count / max(1, self.plan.steps)
        return self.used / max(1e-9, self.plan.minutes * 60)

    def _judge_step(self, row: Mapping[str, float]) -> None:
        """Count good steps; after several without numbers in a row, go on more slowly."""
        control = self.sync.control
        if math.isfinite(row["loss"]) and math.isfinite(row["norm"]):
            control[3] += 1
            self.bad = 0
            return
        self.bad += 1
        if self.bad % _MOST_BAD == 0:
            control[2] *= 0.5

    def _save(self, fraction: float, final: bool) -> None:
        tensors: dict[str, Tensor] = {}
        for kind in BUFFERS:
            tensors |= prefixed(kind, self.flat.tensors(kind))
        _, _, factor, good = self.sync.control.tolist()
        facts = {
            "step": self.count, "seconds": self.used, "factor": factor, "good": int(good), "finished": final,
            "round": self.round,
            "data": self.plan.data,
            "seed": self.plan.seed,
        }  # fmt: skip
        save_state(self.file, State(tensors, facts))
        self.watcher.saved(self.flat, self.count, fraction, final)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT end the run after the present step, with its state saved."""

        def stop(*_: object) -> None:
            self.stopping = True

        before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def processes(wanted: int) -> int:
    """So many processes, or one for each core of this machine where 0 is asked for."""
    return wanted or os.cpu_count() or 1
