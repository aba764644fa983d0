"""Handle of an engine on another machine: the other end of its `node.Node`, spoken to over Ray."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from modules.catalog.hashes import Hashes
from modules.schema.engine import Command
from modules.schema.errors import UserError
from modules.schema.events import EngineStatus, Event, Failed, Finished
from modules.schema.extras import ExtrasRequest
from modules.schema.orders import AnyOrder
from modules.schema.request import GenerationRequest
from modules.schema.scripts import ScriptRequest
from modules.service.engines import OnDeath, OnEvent
from modules.service.shipping import Freight, Ship, freight_of, send
from modules.service.worker import MOST_DEATHS, Death

log = logging.getLogger(__name__)

_LISTEN_SECONDS = 1.0
_START_SECONDS = 120.0
_ANSWER_SECONDS = 60.0
_CLOSE_SECONDS = 5.0


class Way(Protocol):
    """The connection to the cluster: the module `ray`, and who uses it."""

    @property
    def ray(self) -> Any: ...
    def join(self) -> None: ...
    def leave(self) -> None: ...


class FarEngine:
    """The handle of an engine in the cluster; see `worker.Worker`. `actor` starts its far end.

    When that end is gone (its machine, its network) another one is started, where Ray finds room; after
    `MOST_DEATHS` in a row no more until `revive`.
    """

    def __init__(
        self,
        connection: Way,
        actor: Callable[[], Any],
        host: str,
        hashes: Hashes,
        on_event: OnEvent,
        on_death: OnDeath,
        *,
        backoff: float = 1.0,
    ) -> None:
        self._connection = connection
        self._ray = connection.ray
        self._make = actor
        self._host = host
        self._hashes = hashes
        self._on_event = on_event
        self._on_death = on_death
        self._backoff = backoff
        self._actor: Any = None
        self._deaths = 0
        self._queued: set[str] = set()
        self._stopped: set[str] = set()
        self._there: dict[str, str] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._go = threading.Event()
        self._commands: queue.SimpleQueue[tuple[Any, Command] | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._watch, name="cluster-watch", daemon=True),
            threading.Thread(target=self._send_all, name="cluster-send", daemon=True),
        ]
        self.far_pid: int | None = None
        connection.join()

    @property
    def pid(self) -> int | None:
        """None: its process is on another machine."""
        return None

    @property
    def log_file(self) -> Path:
        """On that machine."""
        return Path(f"{self._host}:webui-engine-{self.far_pid}.log")

    def takes(self, order: AnyOrder) -> bool:
        """What draws. The others read and write folders of this machine, and captioners' models are only here."""
        if isinstance(order, ExtrasRequest):
            return not order.captioners
        return isinstance(order, GenerationRequest | ScriptRequest)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def send(self, command: Command) -> bool:
        """Hand over a command; False when there is no far end to take it (its death will be told)."""
        with self._lock:
            actor = self._actor
            if actor is None:
                return False
            if command.job is not None:
                self._queued.add(command.job.id)
                self._stopped.discard(command.job.id)
            elif command.name == "interrupt" and command.job_id is not None:
                # Files may still be on their way, for it or for what comes before it.
                self._stopped.add(command.job_id)
                if command.job_id in self._queued:
                    self._queued.discard(command.job_id)
                    self._on_event(command.job_id, Finished("interrupted"))
                    return True
        self._commands.put((actor, command))
        return True

    def succeeded(self) -> None:
        """It completed a command: earlier deaths no longer count."""
        self._deaths = 0
        self._tell("succeeded")

    def revive(self) -> None:
        """Try again after giving up, or now instead of after the pause."""
        self._deaths = 0
        self._go.set()
        self._tell("revive")

    def kill(self) -> None:
        """End the engine process at once; a new one starts as after any death."""
        self._tell("kill")

    def close(self) -> None:
        """End it for good."""
        self._closing.set()
        self._go.set()
        self._commands.put(None)
        with self._lock:
            actor, self._actor = self._actor, None
        if actor is not None:
            try:
                self._ray.get(actor.close.remote(), timeout=_CLOSE_SECONDS)
            except self._ray.exceptions.RayError:
                log.debug("the far end had gone")
            self._end(actor)
        for thread in self._threads:
            if thread.is_alive():
                thread.join(_CLOSE_SECONDS)
        self._connection.leave()

    def _tell(self, name: str) -> None:
        """Call a method of the far end without waiting for it."""
        actor = self._actor
        if actor is not None:
            getattr(actor, name).remote()

    def _end(self, actor: Any) -> None:
        try:
            self._ray.kill(actor)
        except (self._ray.exceptions.RayError, ValueError):
            log.debug("the far end had gone")

    # Hearing from it

    def _watch(self) -> None:
        while not self._closing.is_set():
            self._go.clear()
            words = self._run_once()
            if self._closing.is_set():
                return
            self._deaths += 1
            gave_up = self._deaths >= MOST_DEATHS
            self._on_death(Death(-1, words, gave_up, f"the connection to {self._host} was lost"))
            pause = self._backoff * (2 ** (self._deaths - 1) - 1)
            self._go.wait(None if gave_up else pause)

    def _run_once(self) -> str:
        """Start a far end and pass on what it says until it is gone; returns why."""
        actor = self._make()
        try:
            self._host, self.far_pid = self._ray.get(actor.about.remote(), timeout=_START_SECONDS)
            with self._lock:
                self._actor = actor
            while not self._closing.is_set():
                for said in self._ray.get(actor.listen.remote(_LISTEN_SECONDS), timeout=_ANSWER_SECONDS):
                    self._pass_on(said)
        except self._ray.exceptions.RayError as error:
            words = first_line(error)
            log.warning("the engine on %s is gone: %s", self._host, words)
        else:
            words = ""
        with self._lock:
            self._actor = None
        self._end(actor)
        return words

    def _pass_on(self, said: tuple[str | None, Event] | Death) -> None:
        if isinstance(said, Death):
            self._on_death(said)
            return
        job_id, event = said
        if isinstance(event, EngineStatus):
            checkpoint = self._there.get(event.checkpoint, event.checkpoint)
            event = replace(event, checkpoint=checkpoint, device=f"{event.device} on {self._host}")
        self._on_event(job_id, event)

    def _say(self, actor: Any, job_id: str | None, event: Event) -> None:
        """Say something in the engine's stead, unless it is gone and that was told."""
        with self._lock:
            if self._actor is actor:
                self._on_event(job_id, event)

    # Sending to it

    def _send_all(self) -> None:
        while (item := self._commands.get()) is not None:
            actor, command = item
            if command.job is not None and not self._is_wanted(command.job.id):
                continue
            try:
                self._carry(actor, command)
            except self._ray.exceptions.RayTaskError as error:
                self._refuse(actor, command, _not_copied(first_line(error.cause or error), self._host))
            except self._ray.exceptions.RayError as error:
                log.debug("a command found the engine gone: %s", error)
            except UserError as error:
                self._refuse(actor, command, str(error))
            except OSError as error:
                self._refuse(actor, command, _not_copied(str(error), self._host))

    def _is_wanted(self, job_id: str) -> bool:
        """Whether nobody has interrupted a job before its turn came."""
        with self._lock:
            wanted = job_id in self._queued
            self._queued.discard(job_id)
            return wanted

    def _refuse(self, actor: Any, command: Command, sentence: str) -> None:
        """End a job that cannot be sent."""
        if command.job is not None:
            self._say(actor, command.job.id, Failed(sentence, "UserError"))
        self._say(actor, None, EngineStatus("ready", device=f"on {self._host}"))

    def _carry(self, actor: Any, command: Command) -> None:
        """Bring a command to the far end, and before it the files that it needs. Raises UserError and OSError."""
        freight: list[Freight] = []
        if command.job is not None or command.model is not None:
            freight = freight_of(command, self._hashes)
            missing: list[list[Ship]] = self._call(actor.missing, freight)
            for one, ships in zip(freight, missing, strict=True):
                for ship in ships:
                    if not self._ship(actor, one, ship, command.job.id if command.job else ""):
                        self._say(actor, command.job.id if command.job else None, Finished("interrupted"))
                        self._say(actor, None, EngineStatus("ready", device=f"on {self._host}"))
                        return
        places: dict[str, str] | None = self._call(actor.send, command.model_dump_json(exclude_none=True), freight)
        self._there.update({there: here for here, there in (places or {}).items()})

    def _ship(self, actor: Any, freight: Freight, ship: Ship, job_id: str) -> bool:
        """Send a file; False where its job was interrupted meanwhile."""
        name = Path(ship.path).name
        transfer: str = self._call(actor.begin, freight, ship)

        def goes_on(done: int) -> bool:
            share = f"{name} is being copied to {self._host}: {100 * done // max(ship.size, 1)} %."
            self._say(actor, None, EngineStatus("loading", share, f"on {self._host}"))
            return job_id not in self._stopped and not self._closing.is_set()

        whole = False
        try:
            whole = send(ship, lambda data: self._call(actor.write, transfer, data), goes_on)
        finally:
            arrived: bool = self._call(actor.finish, transfer, freight, whole)
        if whole and not arrived:
            raise UserError(
                f"{name} did not arrive at {self._host} as it is here; was it changed meanwhile? Try again."
            )
        return whole

    def _call(self, method: Any, *values: Any) -> Any:
        return self._ray.get(method.remote(*values))


def _not_copied(why: str, host: str) -> str:
    return f"A file that this job needs could not be copied to {host} ({why}): is its disk full?"


def first_line(error: BaseException) -> str:
    """Of its message, without the full stop."""
    return next((line.strip().rstrip(".") for line in str(error).splitlines() if line.strip()), type(error).__name__)
