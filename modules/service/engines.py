"""The engines: which there are, what each is doing, and which one a job goes to."""

from __future__ import annotations

import itertools
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from modules.schema.engine import Command, ModelRef
from modules.schema.events import EngineStatus, Event
from modules.schema.orders import AnyOrder
from modules.service.pieces import Piece
from modules.service.worker import Death

OnEvent = Callable[[str | None, Event], None]
OnDeath = Callable[[Death], None]

_STARTING = "The engine is starting."
_SHORT_LIST = 4
_DOES = {"busy": "is drawing", "loading": "is loading", "ready": "is ready", "starting": "is starting",
         "stopped": "has stopped"}  # fmt: skip


class Handle(Protocol):
    """An engine as the service holds it, wherever it runs; see `worker.Worker`."""

    @property
    def pid(self) -> int | None: ...
    @property
    def log_file(self) -> Path: ...
    def takes(self, order: AnyOrder) -> bool:
        """Whether it can do work of that kind."""
        ...

    def start(self) -> None: ...
    def send(self, command: Command) -> bool: ...
    def succeeded(self) -> None: ...
    def revive(self) -> None: ...
    def kill(self) -> None: ...
    def close(self) -> None: ...


MakeHandle = Callable[[OnEvent, OnDeath], Handle]


@dataclass(frozen=True)
class EngineView:
    """What an engine is doing, for people; `device` as it names it itself, `name` as it is numbered here."""

    name: str
    state: str
    text: str
    device: str
    checkpoint: str


class Engine:
    """One engine: whether it is `up`, what it draws, which training it does (it can do both at once).

    `holds`: the checkpoints that it has in memory, the newest last. `loading`: the model it was told to load ahead;
    `refused`: one whose loading ended it.
    """

    def __init__(self, name: str, handle: Handle, holds: int) -> None:
        self.name = name
        self.handle = handle
        self.status = EngineStatus("starting", _STARTING)
        self.up = False
        self.gave_up = False
        self.drawing: Piece | None = None
        self.training: Piece | None = None
        self.loading: ModelRef | None = None
        self.refused: ModelRef | None = None
        self.holds: deque[str] = deque(maxlen=holds)
        self.last_used = 0

    @property
    def is_free(self) -> bool:
        """Whether it can be given something to draw; also beside a training."""
        return self.up and self.drawing is None

    @property
    def is_idle(self) -> bool:
        return self.is_free and self.training is None

    @property
    def pieces(self) -> list[Piece]:
        """What it works on."""
        return [piece for piece in (self.drawing, self.training) if piece is not None]

    def piece_of(self, job_id: str) -> Piece | None:
        """What it does of a job."""
        return next((piece for piece in self.pieces if piece.job.id == job_id), None)

    def take(self, piece: Piece) -> None:
        if piece.job.is_training:
            self.training = piece
        else:
            self.drawing = piece

    def release(self, piece: Piece) -> None:
        if self.drawing is piece:
            self.drawing = None
        if self.training is piece:
            self.training = None

    def told(self, status: EngineStatus) -> None:
        """Note what it says of itself."""
        self.status = status
        if status.checkpoint:
            if status.checkpoint in self.holds:
                self.holds.remove(status.checkpoint)
            self.holds.append(status.checkpoint)

    def ended(self, status: EngineStatus, *, gave_up: bool) -> None:
        """Its process has died; another one knows nothing."""
        self.status, self.gave_up, self.up = status, gave_up, False
        self.refused, self.loading = self.loading, None
        self.holds.clear()


class Engines:
    """All engines, made by `makers` under their names. Each keeps `holds` checkpoints in memory."""

    def __init__(
        self,
        makers: Mapping[str, MakeHandle],
        on_event: Callable[[Engine, str | None, Event], None],
        on_death: Callable[[Engine, Death], None],
        holds: int,
    ) -> None:
        self.all: list[Engine] = []
        self._used = itertools.count(1)
        for name, make in makers.items():
            self._add(name, make, on_event, on_death, holds)

    def _add(
        self,
        name: str,
        make: MakeHandle,
        on_event: Callable[[Engine, str | None, Event], None],
        on_death: Callable[[Engine, Death], None],
        holds: int,
    ) -> None:
        # The handle speaks before anything is asked of it only after `start`, when the engine is in the list.
        handle = make(
            lambda job_id, event: on_event(engine, job_id, event),
            lambda death: on_death(engine, death),
        )
        engine = Engine(name, handle, holds)
        self.all.append(engine)

    @property
    def are_several(self) -> bool:
        return len(self.all) > 1

    @property
    def all_gave_up(self) -> bool:
        return all(engine.gave_up for engine in self.all)

    @property
    def any_free(self) -> bool:
        return any(engine.is_free for engine in self.all)

    @property
    def any_training(self) -> bool:
        return any(engine.training is not None for engine in self.all)

    @property
    def pids(self) -> list[int]:
        """Process ids of those that run on this machine."""
        return [pid for engine in self.all if (pid := engine.handle.pid) is not None]

    def can_take(self, order: AnyOrder) -> bool:
        """Whether any of them, also one that does something else now, can do work of that kind."""
        return any(engine.handle.takes(order) for engine in self.all)

    def to_draw(self, order: AnyOrder, checkpoint: str) -> Engine | None:
        """The free engine for an order: rather one that does not train, then one that has the checkpoint, then the
        one that has had nothing to do for longest."""
        return self._best((engine for engine in self.all if engine.is_free), order, checkpoint)

    def to_train(self, order: AnyOrder, checkpoint: str) -> Engine | None:
        """The engine for a training; it may be drawing still."""
        up = (engine for engine in self.all if engine.up and engine.training is None)
        return self._best(up, order, checkpoint)

    def to_help(self, order: AnyOrder, checkpoint: str) -> Engine | None:
        """An engine that has nothing to do, for more of a job that another one has begun."""
        return self._best((engine for engine in self.all if engine.is_idle), order, checkpoint)

    def _best(self, engines: Iterable[Engine], order: AnyOrder, checkpoint: str) -> Engine | None:
        able = [engine for engine in engines if engine.handle.takes(order)]
        return min(
            able,
            key=lambda engine: (bool(engine.pieces), checkpoint not in engine.holds, engine.last_used),
            default=None,
        )

    def to_load(self, model: ModelRef) -> Engine | None:
        """The engine that loads a model ahead; None where one has it at hand, or none has time."""
        idle = [engine for engine in self.all if engine.is_idle]
        if self.are_several and any(engine.status.checkpoint == model.checkpoint for engine in idle):
            return None
        return min(
            (engine for engine in idle if model != engine.refused), key=lambda engine: engine.last_used, default=None
        )

    def give(self, engine: Engine, piece: Piece, command: Command) -> bool:
        """Have `engine` work on `piece`; False: it has just died, which will be told."""
        if not engine.handle.send(command):
            engine.up = False
            return False
        engine.last_used = next(self._used)
        engine.take(piece)
        return True

    def start(self) -> None:
        for engine in self.all:
            engine.handle.start()

    def revive(self) -> None:
        """Try those again that were given up."""
        for engine in self.all:
            if engine.gave_up:
                engine.gave_up = False
                engine.refused = None
                engine.status = EngineStatus("starting", "The engine is starting again.")
                engine.handle.revive()

    def kill(self) -> None:
        """End all of them at once; new ones start."""
        for engine in self.all:
            engine.handle.kill()

    def close(self) -> None:
        """End all of them for good, beside each other: each may take seconds."""
        threads = [threading.Thread(target=engine.handle.close, name="engine-close") for engine in self.all]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    @property
    def status(self) -> EngineStatus:
        """The state of the one engine, or what several do in one sentence."""
        if not self.are_several:
            return self.all[0].status
        states = [engine.status.state for engine in self.all]
        state = next((state for state in ("busy", "loading", "ready", "starting") if state in states), "stopped")
        newest = max(self.all, key=lambda engine: engine.last_used)
        text = self._sentence() if state != "stopped" else self.all[0].status.text
        return EngineStatus(state, text, f"{len(self.all)} engines", newest.status.checkpoint)

    @property
    def views(self) -> list[EngineView]:
        """Each by itself."""
        return [
            EngineView(
                engine.name,
                engine.status.state,
                engine.status.text or _sentence(_words(engine)),
                engine.status.device,
                engine.status.checkpoint,
            )
            for engine in self.all
        ]

    def _sentence(self) -> str:
        if len(self.all) <= _SHORT_LIST:
            return _sentence(", ".join(map(_words, self.all)))
        states = [engine.status.state for engine in self.all]
        counted = ", ".join(f"{states.count(state)} {_DOES[state]}" for state in _DOES if state in states)
        return f"Of {len(self.all)} engines: {counted.replace(' is ', ' are ')}."


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


def _words(engine: Engine) -> str:
    does = _DOES.get(engine.status.state, engine.status.state)
    if engine.status.state == "loading" and engine.status.checkpoint:
        does = f"is loading {os.path.basename(engine.status.checkpoint)}"
    if engine.training is not None:
        does = "is training" if engine.drawing is None else "is training and drawing"
    return f"{engine.name} {does}"
