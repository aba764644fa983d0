"""How far a job is and how long it still takes, from the times of its own steps."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from modules.schema.events import Progress


@dataclass(frozen=True)
class Leg:
    """A pass that is to come: its steps, what one of them costs beside those of the first pass, and its name."""

    steps: int
    cost: float = 1.0
    stage: str = "sampling"


class Pace:
    """Counts the steps of all passes and pictures of a job, `together` at a time, and makes its `Progress` events."""

    def __init__(self, legs: Sequence[Leg], images: int, together: int) -> None:
        self._legs = list(legs)
        self._images = images
        self._batches = images // together
        self._together = together
        self._batch = 0
        self._leg = -1
        self._step = 0
        self._mark = time.monotonic()
        self._sampling = 0.0
        self._work_timed = 0.0
        self._rest = 0.0
        self._batches_ended = 0

    @property
    def sampling_seconds(self) -> float:
        """Time spent in steps so far."""
        return self._sampling

    def start_batch(self, first: int) -> None:
        """The batch of picture `first` (from 0) begins."""
        self._batch, self._leg, self._step = first // self._together, -1, 0
        self._mark = time.monotonic()

    def start_pass(self, steps: int) -> None:
        """The batch's next pass begins, with so many steps."""
        self._leg = min(self._leg + 1, len(self._legs) - 1)
        self._set_steps(steps)
        self._step, self._mark = 0, time.monotonic()

    def step(self, index: int, total: int) -> None:
        """Step `index` of `total` has just ended (an adaptive sampler learns its total as it goes)."""
        now = time.monotonic()
        self._sampling += now - self._mark
        self._work_timed += self._legs[self._leg].cost
        self._mark, self._step = now, index
        self._set_steps(max(total, index))

    def progress(self) -> Progress:
        return self._event(self._legs[max(self._leg, 0)].stage, self._done() / max(self._work(), 1e-9))

    def enlarging(self) -> Progress:
        """Between two passes."""
        self._mark = time.monotonic()
        return self._event("enlarging", self._done() / max(self._work(), 1e-9))

    def decoding(self) -> Progress:
        self._mark = time.monotonic()
        return self._event("decoding", 1.0)

    def end_batch(self) -> None:
        self._rest += time.monotonic() - self._mark
        self._batches_ended += 1

    def timings(self) -> dict[str, float]:
        """Seconds spent in steps and in decoding."""
        return {"sampling": round(self._sampling, 4), "decoding": round(self._rest, 4)}

    def _set_steps(self, steps: int) -> None:
        leg = self._legs[self._leg]
        if leg.steps != steps:
            self._legs[self._leg] = Leg(steps, leg.cost, leg.stage)

    def _work(self) -> float:
        """Of one batch, in steps of the first pass."""
        return sum(leg.steps * leg.cost for leg in self._legs)

    def _done(self) -> float:
        """Of this batch."""
        if self._leg < 0:
            return 0.0
        before = sum(leg.steps * leg.cost for leg in self._legs[: self._leg])
        return before + self._step * self._legs[self._leg].cost

    def _event(self, stage: str, part: float) -> Progress:
        before = sum(leg.steps for leg in self._legs[: max(self._leg, 0)])
        return Progress(
            step=before + self._step,
            steps=sum(leg.steps for leg in self._legs),
            image=self._batch * self._together + 1,
            images=self._images,
            stage=stage,
            fraction=round((self._batch + 0.97 * min(part, 1.0)) / self._batches, 4),
            seconds_left=self._seconds_left(),
        )

    def _seconds_left(self) -> float | None:
        if not self._work_timed:
            return None
        work_left = self._work() * (self._batches - self._batch) - self._done()
        decode = self._rest / self._batches_ended if self._batches_ended else 0.0
        left = work_left * self._sampling / self._work_timed + decode * (self._batches - self._batches_ended)
        return round(left, 2)
