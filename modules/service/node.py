"""The far end of an engine on another machine of a cluster: it runs there, and starts the engine process beside it.

What the engine says waits here until the head asks for it.
"""

from __future__ import annotations

import logging
import os
import queue
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path

import modules
from modules.catalog.cache import FileCache
from modules.catalog.hashes import Hashes
from modules.schema.engine import Command
from modules.schema.events import Event
from modules.schema.settings import Settings
from modules.service.devices import engine_command
from modules.service.shipping import Freight, Ship, Store, relocated
from modules.service.worker import Death, Worker

log = logging.getLogger(__name__)

CACHE = "WEBUI_CLUSTER_CACHE"
"""The variable that names the folder for files that came from the head."""
_MOST_AT_ONCE = 64

Said = tuple[str | None, Event] | Death


class Node:
    """An engine process on this machine. Every method may be called from any thread."""

    def __init__(self, settings: Settings, command: Sequence[str] = ()) -> None:
        # Ray sets it to 1 for whoever asked for one core; how many threads there are is said on the command line.
        os.environ.pop("OMP_NUM_THREADS", None)
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        self._said: queue.SimpleQueue[Said] = queue.SimpleQueue()
        self._store = Store(folder, Hashes(FileCache(folder / "hashes.sqlite")))
        self._worker = Worker(
            list(command) or engine_command(settings),
            folder=Path(modules.__path__[0]).parent,
            log_file=Path(tempfile.gettempdir()) / f"webui-engine-{os.getpid()}.log",
            on_event=lambda job_id, event: self._said.put((job_id, event)),
            on_death=self._said.put,
        )
        self._worker.start()

    def about(self) -> tuple[str, int]:
        """The machine's name, and the id of this process."""
        return socket.gethostname(), os.getpid()

    def listen(self, seconds: float) -> list[Said]:
        """What was said since the last time; waits up to so long for something."""
        said: list[Said] = []
        try:
            said.append(self._said.get(timeout=seconds))
            while len(said) < _MOST_AT_ONCE:
                said.append(self._said.get_nowait())
        except queue.Empty:
            pass
        return said

    def missing(self, freight: list[Freight]) -> list[list[Ship]]:
        """The files that have to be sent, for each piece of freight."""
        return [self._store.missing(one) for one in freight]

    def begin(self, freight: Freight, ship: Ship) -> str:
        """See `Store`."""
        return self._store.begin(freight, ship)

    def write(self, name: str, data: bytes) -> None:
        """See `Store`."""
        self._store.write(name, data)

    def finish(self, name: str, freight: Freight, keep: bool) -> bool:
        """See `Store`."""
        return self._store.finish(name, freight, keep=keep)

    def send(self, text: str, freight: list[Freight]) -> dict[str, str] | None:
        """Hand a command (as JSON) to the engine with the paths of this machine, which are returned by those of the
        head; None when there is no engine to take it (its death will be told)."""
        command = Command.model_validate_json(text)
        places = {one.root: self._store.place(one) for one in freight}
        if command.job is not None or command.model is not None:
            command = relocated(command, places, self._store.inputs)
        return places if self._worker.send(command) else None

    def succeeded(self) -> None:
        """See `Worker`."""
        self._worker.succeeded()

    def revive(self) -> None:
        """See `Worker`."""
        self._worker.revive()

    def kill(self) -> None:
        """See `Worker`."""
        self._worker.kill()

    def close(self) -> None:
        """End the engine process for good."""
        self._worker.close()
        self._store.close()


def cache_folder() -> Path:
    """Where files from the head are kept on this machine; nothing else is there, so it can be deleted at any time."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get(CACHE) or Path(base) / "webui-cluster")
