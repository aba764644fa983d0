"""What a run goes on from after `kill -9`: the numbers that are learned, their moments, and where it was."""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from modules.engine.training.files import save_tensors
from modules.engine.training.norms import Moments


@dataclass
class Course:
    """Where a run stands. `step`: steps done. `updates`: those of Adam, whose numbers start anew after a fall.
    `rate_factor`: halved at each of the `falls`. `evaluations`: (step, loss). `seconds`: spent on steps."""

    step: int = 0
    updates: int = 0
    rate_factor: float = 1.0
    falls: int = 0
    smooth: float | None = None
    best: float | None = None
    best_step: int | None = None
    evaluations: list[tuple[int, float]] = field(default_factory=list)
    seconds: float = 0.0
    finished: bool = False


@dataclass
class State:
    """`flat`: the numbers that are learned, float32. `average`: their running mean, None when there is none."""

    course: Course
    flat: Tensor
    moments: Moments
    average: Tensor | None

    @classmethod
    def new(cls, flat: Tensor, averaged: bool) -> State:
        return cls(Course(), flat, Moments.zero(flat), flat.clone() if averaged else None)

    @property
    def shown(self) -> Tensor:
        """The numbers that are saved, shown and evaluated."""
        return self.flat.detach() if self.average is None else self.average

    @property
    def is_sound(self) -> bool:
        """Whether all numbers are finite."""
        return all(bool(torch.isfinite(tensor).all()) for tensor in self._tensors().values())

    def save(self, path: Path) -> None:
        """Write it whole; the one before stays as `previous`. Raises OSError."""
        fresh = path.with_name("state-new.safetensors")
        save_tensors(fresh, self._tensors(), {"state": json.dumps(asdict(self.course))})
        if path.exists():
            os.replace(path, previous(path))
        os.replace(fresh, path)

    def _tensors(self) -> dict[str, Tensor]:
        found = {"learned": self.flat.detach(), "first": self.moments.first, "second": self.moments.second}
        return found if self.average is None else {**found, "average": self.average}


def previous(path: Path) -> Path:
    return path.with_name("state-previous.safetensors")


def load_state(path: Path, device: torch.device, size: int, averaged: bool) -> State | None:
    """The newest whole state of a run; None when there is none that fits."""
    for file in (path, path.with_name("state-new.safetensors"), previous(path)):
        state = _load(file, device)
        if state is not None and state.flat.numel() == size and state.is_sound:
            if (state.average is not None) != averaged:
                state.average = state.flat.clone() if averaged else None
            return state
    return None


def _load(path: Path, device: torch.device) -> State | None:
    try:
        data = path.read_bytes()
        tensors = {name: tensor.to(device) for name, tensor in load(data).items()}
        length = int.from_bytes(data[:8], "little")
        noted = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["state"])
        noted["evaluations"] = [(int(step), float(loss)) for step, loss in noted["evaluations"]]
        course = Course(**noted)
        state = State(
            course, tensors["learned"], Moments(tensors["first"], tensors["second"]), tensors.get("average")
        )
    except (OSError, SafetensorError, ValueError, KeyError, TypeError):
        return None
    return state if math.isfinite(course.rate_factor) else None
