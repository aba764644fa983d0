"""Engines on other machines of a Ray cluster (`--cluster ADDRESS`): held as those on this machine are.

On each machine an actor (`node.Node`) has an engine process beside it; this end asks it what was said, and sends it
commands and the files they need. Ray is imported when it is asked for, and never otherwise.
"""

from __future__ import annotations

import importlib
import logging
import os
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import modules
from modules.catalog.cache import FileCache
from modules.catalog.hashes import Hashes
from modules.schema.engine import Command
from modules.schema.errors import SetupError, UserError
from modules.schema.events import EngineStatus, Event, Failed, Finished
from modules.schema.extras import ExtrasRequest
from modules.schema.orders import AnyOrder
from modules.schema.request import GenerationRequest
from modules.schema.scripts import ScriptRequest
from modules.schema.settings import Settings
from modules.service.engines import MakeHandle, OnDeath, OnEvent
from modules.service.node import Node
from modules.service.shipping import Freight, Ship, freight_of, send
from modules.service.worker import MOST_DEATHS, Death

log = logging.getLogger(__name__)

LOCAL = "local"
"""The address of a cluster that is this machine alone, started for the occasion: to try it out."""

_LISTEN_SECONDS = 1.0
_START_SECONDS = 120.0
_ANSWER_SECONDS = 60.0
_CLOSE_SECONDS = 5.0
_AT_ONCE = 4
_STORE_BYTES = 256 << 20


@dataclass(frozen=True)
class Seat:
    """Where an engine is to be: the machine's name, how Ray is to place it, and threads (0: one a core)."""

    name: str
    host: str
    options: dict[str, Any]
    threads: int = 0


class Connection:
    """The way into a cluster, shared by all engines there; the last one that leaves closes it.

    Raises SetupError where there is no Ray, or no such cluster.
    """

    def __init__(self, settings: Settings) -> None:
        # Before the import: Ray reads it then. It would tell its makers of every start.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            self.ray = importlib.import_module("ray")
        except ImportError as error:
            raise SetupError(
                "--cluster needs Ray, which is not installed: install requirements-cluster.txt into .venv (see "
                "docs/engines.md), or leave --cluster away."
            ) from error
        self._settings = settings
        self._users = 0
        self._lock = threading.Lock()
        own = {"include_dashboard": False, "object_store_memory": _STORE_BYTES} if self._is_local else {}
        try:
            self.ray.init(
                address=settings.cluster,
                namespace="webui",
                configure_logging=False,
                log_to_driver=False,
                runtime_env={"py_modules": [modules.__path__[0]], "excludes": ["**/__pycache__"]},
                **own,
            )
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            raise SetupError(
                f"The Ray cluster at {settings.cluster} cannot be reached ({_first_line(error)}): start it on this "
                "machine with 'ray start --head', as docs/engines.md says."
            ) from error

    @property
    def _is_local(self) -> bool:
        return self._settings.cluster == LOCAL

    def seats(self) -> list[Seat]:
        """One for each card of the other machines (one for a machine without), or as many as the settings say."""
        nodes = [node for node in self.ray.nodes() if node["Alive"]]
        if self._settings.cluster_engines:
            return self._spread(nodes)
        here = self.ray.get_runtime_context().get_node_id()
        found = [seat for node in nodes if node["NodeID"] != here for seat in self._of_node(node)]
        if not found:
            raise SetupError(
                f"The Ray cluster at {self._settings.cluster} has no other machine: start Ray there first with 'ray "
                "start --address', as docs/engines.md says, or say how many engines with --cluster-engines."
            )
        return found

    def _of_node(self, node: dict[str, Any]) -> list[Seat]:
        cards, host = int(node["Resources"].get("GPU", 0)), str(node["NodeManagerHostname"])
        strategy = importlib.import_module("ray.util.scheduling_strategies")
        pinned = strategy.NodeAffinitySchedulingStrategy(node_id=node["NodeID"], soft=True)
        options = {"scheduling_strategy": pinned, "num_cpus": 0, "num_gpus": 1 if cards else 0}
        threads = self._settings.threads
        if not cards:
            return [Seat(f"engine on {host}", host, options, threads)]
        return [Seat(f"engine {card} on {host}", host, options, threads) for card in range(1, cards + 1)]

    def _spread(self, nodes: list[dict[str, Any]]) -> list[Seat]:
        count = self._settings.cluster_engines
        cards, cores = (sum(node["Resources"].get(name, 0) for node in nodes) for name in ("GPU", "CPU"))
        options = {"scheduling_strategy": "SPREAD", "num_cpus": 0, "num_gpus": 1 if cards >= count else 0}
        threads = self._settings.threads or (0 if cards >= count else max(int(cores) // count, 1))
        return [Seat(f"engine {n} in the cluster", "the cluster", options, threads) for n in range(1, count + 1)]

    def join(self) -> None:
        with self._lock:
            self._users += 1

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            last = self._users == 0
        if last:
            self.ray.shutdown()


def cluster_engines(settings: Settings, state: Path) -> dict[str, MakeHandle]:
    """What makes the handles of the cluster's engines, by their names; none without `--cluster`. Raises SetupError.

    `state`: the folder where hashes of files are kept.
    """
    if not settings.cluster:
        return {}
    connection = Connection(settings)
    hashes = Hashes(FileCache(state / "cluster.sqlite"))

    def maker(seat: Seat) -> MakeHandle:
        own = settings.replace(device="auto", threads=seat.threads, gpus="", cluster="")

        def actor() -> Any:
            far = connection.ray.remote(Node).options(max_concurrency=_AT_ONCE, max_restarts=0, **seat.options)
            return far.remote(own)

        return lambda on_event, on_death: FarEngine(connection, actor, seat, hashes, on_event, on_death)

    return {seat.name: maker(seat) for seat in connection.seats()}


class FarEngine:
    """The handle of an engine in the cluster; see `worker.Worker`. `actor` starts its far end.

    When that end is gone (its machine, its network) another one is started, where Ray finds room; after
    `MOST_DEATHS` in a row no more until `revive`.
    """

    def __init__(
        self,
        connection: Connection,
        actor: Callable[[], Any],
        seat: Seat,
        hashes: Hashes,
        on_event: OnEvent,
        on_death: OnDeath,
        *,
        backoff: float = 1.0,
    ) -> None:
        self._connection = connection
        self._ray = connection.ray
        self._make = actor
        self._host = seat.host
        self._hashes = hashes
        self._on_event = on_event
        self._on_death = on_death
        self._backoff = backoff
        self._actor: Any = None
        self._deaths = 0
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
        """What draws. The others read and write folders of this machine."""
        return isinstance(order, GenerationRequest | ScriptRequest | ExtrasRequest)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def send(self, command: Command) -> bool:
        """Hand over a command; False when there is no far end to take it (its death will be told)."""
        with self._lock:
            actor = self._actor
            if actor is None:
                return False
            if command.name == "interrupt" and command.job_id is not None:
                # Files may still be on their way for it.
                self._stopped.add(command.job_id)
            elif command.job is not None:
                self._stopped.discard(command.job.id)
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
            words = _first_line(error)
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
            try:
                self._carry(actor, command)
            except self._ray.exceptions.RayTaskError as error:
                self._refuse(actor, command, _not_copied(_first_line(error.cause or error), self._host))
            except self._ray.exceptions.RayError as error:
                log.debug("a command found the engine gone: %s", error)
            except UserError as error:
                self._refuse(actor, command, str(error))
            except OSError as error:
                self._refuse(actor, command, _not_copied(str(error), self._host))

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


def _first_line(error: Exception) -> str:
    return next((line.strip().rstrip(".") for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _not_copied(why: str, host: str) -> str:
    return f"A file that this job needs could not be copied to {host} ({why}): is its disk full?"
