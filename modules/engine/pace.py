"""How far a job is and how long it still takes, from the times of its own steps."""

from __future__ import annotations

import time

from modules.schema.events import Progress


class Pace:
    """Counts the steps of all pictures of a job, `together` at a time, and makes its `Progress` events."""

    def __init__(self, steps: int, images: int, together: int) -> None:
        self._steps = steps
        self._images = images
        self._batches = images // together
        self._together = together
        self._batch = 0
        self._step = 0
        self._mark = time.monotonic()
        self._sampling = 0.0
        self._steps_timed = 0
        self._rest = 0.0
        self._batches_ended = 0

    @property
    def sampling_seconds(self) -> float:
        """Time spent in steps so far."""
        return self._sampling

    def start_batch(self, first: int) -> None:
        """The batch of picture `first` (from 0) begins."""
        self._batch, self._step, self._mark = first // self._together, 0, time.monotonic()

    def step(self, index: int, total: int) -> None:
        """Step `index` of `total` has just ended (an adaptive sampler learns its total as it goes)."""
        now = time.monotonic()
        self._sampling += now - self._mark
        self._steps_timed += 1
        self._mark, self._step, self._steps = now, index, max(total, index, 1)

    def progress(self) -> Progress:
        return self._event("sampling", self._step / self._steps)

    def decoding(self) -> Progress:
        self._mark = time.monotonic()
        return self._event("decoding", 1.0)

    def end_batch(self) -> None:
        self._rest += time.monotonic() - self._mark
        self._batches_ended += 1

    def timings(self) -> dict[str, float]:
        """Seconds spent in steps and in decoding."""
        return {"sampling": round(self._sampling, 4), "decoding": round(self._rest, 4)}

    def _event(self, stage: str, part: float) -> Progress:
        return Progress(
            step=self._step,
            steps=self._steps,
            image=self._batch * self._together + 1,
            images=self._images,
            stage=stage,
            fraction=round((self._batch + 0.97 * part) / self._batches, 4),
            seconds_left=self._seconds_left(),
        )

    def _seconds_left(self) -> float | None:
        if self._steps_timed == 0:
            return None
        steps_left = self._steps * (self._batches - self._batch) - self._step
        decode = self._rest / self._batches_ended if self._batches_ended else 0.0
        left = steps_left * self._sampling / self._steps_timed + decode * (self._batches - self._batches_ended)
        return round(left, 2)
