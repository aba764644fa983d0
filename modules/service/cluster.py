"""Engines on other machines of a Ray cluster (`--cluster ADDRESS`): held as those on this machine are.

On each machine an actor (`node.Node`) has an engine process beside it; `far_engine.FarEngine` is this end of it. Ray
is imported when it is asked for, and never otherwise.
"""

from __future__ import annotations

import importlib
import logging
import os
import socket
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import modules
from modules.catalog.cache import FileCache
from modules.catalog.hashes import Hashes
from modules.schema.errors import SetupError
from modules.schema.settings import Settings
from modules.service.engines import MakeHandle
from modules.service.far_engine import FarEngine, first_line
from modules.service.node import Node

log = logging.getLogger(__name__)

LOCAL = "local"
"""The address of a cluster that is this machine alone, started for the occasion: to try it out."""

_AT_ONCE = 4
_KNOCK_SECONDS = 5.0
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
        _knock(settings.cluster)
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
        except (self.ray.exceptions.RayError, ConnectionError, RuntimeError, ValueError, OSError) as error:
            raise _not_there(settings.cluster, error) from error

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

        return lambda on_event, on_death: FarEngine(connection, actor, seat.host, hashes, on_event, on_death)

    return {seat.name: maker(seat) for seat in connection.seats()}


def _knock(address: str) -> None:
    """See whether anybody listens at HOST:PORT, which Ray itself tries for minutes. Raises SetupError."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        return
    try:
        socket.create_connection((host.removeprefix("ray://").strip("[]"), int(port)), _KNOCK_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise _not_there(address, error) from error


def _not_there(address: str, error: Exception) -> SetupError:
    return SetupError(
        f"The Ray cluster at {address} cannot be reached ({first_line(error)}): start it on this machine with 'ray "
        "start --head', as docs/engines.md says."
    )
