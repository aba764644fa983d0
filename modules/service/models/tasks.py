"""Work on model files that takes long: hashing, copying, downloading. In the background, with progress, and stopped
when somebody wants it."""

from __future__ import annotations

import logging
import queue
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from modules.schema.errors import UserError

log = logging.getLogger(__name__)

State = Literal["waiting", "running", "paused", "failed", "done", "cancelled"]
Wish = Literal["", "pause", "cancel", "close"]
What = Literal["hash", "copy", "move", "download"]
_MOST_ENDED = 50
_CLOSE_SECONDS = 5.0


class Stopped(Exception):
    """The task was told to stop."""


@dataclass
class Task:
    """`work` does it and gives the sentence at the end; `total` is None as long as nobody knows. Bytes.

    `label` is what it is about: a file's name. `wish`: what somebody wants of it.
    """

    what: What
    label: str
    work: Callable[[Task], str]
    total: int | None = None
    done: int = 0
    state: State = "waiting"
    sentence: str = ""
    wish: Wish = ""
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    on_stop: Callable[[], None] = lambda: None

    @property
    def is_open(self) -> bool:
        return self.state in ("waiting", "running")

    def tell(self, done: int) -> None:
        """Note how far it is; raises Stopped where it is not wanted any more."""
        self.done = done
        if self.wish:
            raise Stopped


class Tasks:
    """Runs tasks on `threads` threads, in the order in which they came. Safe for threads."""

    def __init__(self, name: str, threads: int = 1) -> None:
        self._inbox: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._tasks: dict[str, Task] = {}
        self._threads = [
            threading.Thread(target=self._serve, name=f"{name}-{number}", daemon=True) for number in range(threads)
        ]
        self._started = False

    def all(self) -> list[Task]:
        """Those that are known, oldest first."""
        with self._lock:
            return list(self._tasks.values())

    def get(self, task_id: str) -> Task | None:
        with self._lock:
            return self._tasks.get(task_id)

    def show(self, task: Task) -> None:
        """List a task that does not run (yet)."""
        with self._lock:
            self._tasks[task.id] = task
            ended = [one.id for one in self._tasks.values() if not one.is_open and one.state != "paused"]
            for task_id in ended[: max(0, len(ended) - _MOST_ENDED)]:
                del self._tasks[task_id]

    def add(self, task: Task) -> Task:
        """Run it when its turn has come; again, where it has been stopped."""
        task.state, task.wish, task.sentence = "waiting", "", ""
        self.show(task)
        with self._lock:
            if not self._started:
                self._started = True
                for thread in self._threads:
                    thread.start()
        self._inbox.put(task)
        return task

    def stop(self, task: Task, wish: Wish) -> None:
        """Have it stopped: paused, or given up."""
        with self._lock:
            if not task.is_open:
                return
            task.wish = wish
            if task.state == "waiting":
                _end(task)
                return
        task.on_stop()

    def forget(self, task: Task) -> None:
        """Take a task that has ended off the list."""
        with self._lock:
            self._tasks.pop(task.id, None)

    def close(self) -> None:
        """Stop what runs, and wait a little for it."""
        for task in self.all():
            self.stop(task, "close")
        for _ in self._threads:
            self._inbox.put(None)
        for thread in self._threads if self._started else ():
            thread.join(_CLOSE_SECONDS)

    def _serve(self) -> None:
        while (task := self._inbox.get()) is not None:
            with self._lock:
                if task.state != "waiting":
                    continue
                task.state = "running"
            self._run(task)

    def _run(self, task: Task) -> None:
        try:
            sentence = task.work(task)
            task.state, task.sentence = "done", sentence
        except Stopped:
            _end(task)
        except UserError as error:
            task.state, task.sentence = "failed", str(error)
        except Exception:  # noqa: BLE001 - whatever a bug breaks, the next task must run
            log.exception("work on %s failed", task.label)
            task.state, task.sentence = "failed", f"The program has a fault here with {task.label}; see its log."


def _end(task: Task) -> None:
    task.state = "paused" if task.wish in ("pause", "close") else "cancelled"
