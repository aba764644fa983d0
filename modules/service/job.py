"""One job: what was asked for, by whom, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from modules.schema.engine import ModelRef
from modules.schema.events import ImageSaved
from modules.schema.orders import AnyOrder
from modules.schema.request import GenerationRequest
from modules.schema.scripts import ScriptRequest
from modules.schema.training import TrainingRequest

State = Literal["waiting", "running", "done", "failed", "interrupted", "cancelled", "paused"]
OPEN_STATES: tuple[State, ...] = ("waiting", "running")


@dataclass(frozen=True)
class Job:
    """One order: a resolved request of an owner. Times are seconds since the epoch.

    `name`: what the caller calls it (an API's task id), if anything. `save`: whether its pictures go to the outputs
    folder; `lossless`: that more is made of them, so that they must not lose by their format. `position`: 0 while it
    runs, 1 for the next one, ...; None once it has ended.
    """

    id: str
    owner: str
    request: AnyOrder
    model: ModelRef
    state: State = "waiting"
    created: float = 0.0
    started: float | None = None
    ended: float | None = None
    message: str = ""
    name: str | None = None
    save: bool = True
    lossless: bool = False
    attempts: int = 0
    images: list[ImageSaved] = field(default_factory=list)
    position: int | None = None

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STATES

    @property
    def is_training(self) -> bool:
        return isinstance(self.request, TrainingRequest)

    @property
    def drawing(self) -> GenerationRequest | None:
        """The request that is drawn, or that a script's cells vary; None for work on finished pictures or models."""
        if isinstance(self.request, ScriptRequest):
            return self.request.base
        return self.request if isinstance(self.request, GenerationRequest) else None


@dataclass(frozen=True)
class OrderKey:
    """What a caller calls an order, so that sending it again makes no second job; `digest` is of the order's text."""

    name: str
    digest: str


class InLine(NamedTuple):
    """What there is to know of an open job without reading its request. `what` and `units`: see `measures`."""

    job_id: str
    owner: str
    state: State
    number: int
    training: bool
    what: str
    units: float
    position: int
