"""The gallery's own thread: reads what is new in its folders, forgets what is gone, empties the trash in time.

A folder is compared with the index by the size and time of its files, so a scan that was broken off goes on where it
was, and one of a known folder reads nothing. Files are only ever read here.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Literal

from modules.catalog.cache import Stamp
from modules.schema.errors import NotFound, UserError
from modules.service.gallery.describe import describe, made_at
from modules.service.gallery.index import Fresh, Index
from modules.service.gallery.roots import Root, Roots
from modules.service.gallery.trash import Trash
from modules.service.gallery.walk import Folder, walk

log = logging.getLogger(__name__)

_BATCH = 100
_HOUR = 3600.0
_PAUSE = 0.002  # seconds after each batch: answers to people go first

State = Literal["waiting", "reading", "done", "missing", "failed"]
Marks = Callable[[int, PurePosixPath], tuple[str, bool]]
"""Whose a picture of a root is, and whether it is a favourite, as far as that is known from elsewhere."""


@dataclass(frozen=True)
class Progress:
    """How far the reading of a folder is: `done` of `total` files; `sentence` says why it could not be read."""

    state: State = "waiting"
    done: int = 0
    total: int = 0
    sentence: str = ""


class Scans:
    """Reads folders one after another on a thread of its own; `hourly` is done there at the start and every hour."""

    def __init__(self, roots: Roots, index: Index, trash: Trash, marks: Marks, hourly: Callable[[], None]) -> None:
        self._roots = roots
        self._index = index
        self._trash = trash
        self._marks = marks
        self._hourly = hourly
        self._wanted: queue.Queue[int | None] = queue.Queue()
        self._progress: dict[int, Progress] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Read every folder, then what is asked for."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="gallery", daemon=True)
            self.ask_all()
            self._thread.start()

    def ask_all(self) -> None:
        for root in self._roots.all:
            self.ask(root.number)

    def ask(self, number: int) -> None:
        """Have a folder read (again), soon."""
        if self.progress(number).state != "waiting" or number not in self._progress:
            self._progress[number] = Progress()
            self._wanted.put(number)

    def progress(self, number: int) -> Progress:
        return self._progress.get(number, Progress())

    def forget(self, number: int) -> None:
        self._progress.pop(number, None)

    def close(self) -> None:
        self._stop.set()
        self._wanted.put(None)
        if self._thread is not None:
            self._thread.join()

    def scan(self, root: Root) -> Progress:
        """Bring the index up to what is in a folder; returns how that ended."""
        if not root.path.is_dir():
            return Progress(
                "missing", sentence=f"The folder {root.path} is not there: connect its disk, or take it out."
            )
        total = sum(len(folder.files) for folder in walk(root.path, trusted=root.own))
        if not total and not root.own and self._index.count(root.number):
            return Progress("missing", sentence=f"The folder {root.path} is empty: is its disk connected?")
        self._progress[root.number] = progress = Progress("reading", 0, total)
        seen: set[str] = set()
        for folder in walk(root.path, trusted=root.own):
            seen.add(folder.name)
            progress = self._read(root, folder, progress)
            if self._stop.is_set():
                return progress
        for name in set(self._index.folders(root.number)) - seen:
            self._forget_gone(root, name, self._index.known(root.number, name))
        if root.own:
            self._find_trash(root)
        return replace(progress, state="done", done=progress.total)

    # Inside

    def _run(self) -> None:
        self._hourly()
        while not self._stop.is_set():
            try:
                number = self._wanted.get(timeout=_HOUR)
            except queue.Empty:
                self._hourly()
                continue
            if number is not None:
                self._run_one(number)

    def _run_one(self, number: int) -> None:
        try:
            self._progress[number] = self.scan(self._roots.get(number))
        except NotFound:
            self.forget(number)
        except (OSError, UserError) as error:
            self._progress[number] = Progress("failed", sentence=str(error))
        except Exception:  # a thread that died would leave the gallery old without a word
            log.exception("reading a folder of the gallery failed")
            self._progress[number] = Progress("failed", sentence="A fault in the program; its log says more.")

    def _read(self, root: Root, folder: Folder, progress: Progress) -> Progress:
        known = self._index.known(root.number, folder.name)
        changed = [name for name, status in folder.files.items() if known.get(name) != Stamp.of(status)]
        progress = replace(progress, done=progress.done + len(folder.files) - len(changed))
        for start in range(0, len(changed), _BATCH):
            if self._stop.is_set() or not self._still_wanted(root):
                return progress
            names = changed[start : start + _BATCH]
            self._index.put(self._fresh(root, folder, name) for name in names)
            progress = replace(progress, done=progress.done + len(names))
            self._progress[root.number] = progress
            self._stop.wait(_PAUSE)
        self._forget_gone(root, folder.name, set(known) - set(folder.files))
        return progress

    def _still_wanted(self, root: Root) -> bool:
        return root in self._roots.all

    def _fresh(self, root: Root, folder: Folder, name: str) -> Fresh:
        place, status = PurePosixPath(folder.name, name), folder.files[name]
        owner, favourite = self._marks(root.number, place)
        named = PurePosixPath(root.path.name, place)
        made, described = made_at(status, named), describe(root.path / place, named)
        return Fresh(root.number, place, Stamp.of(status), made, owner, described, favourite=favourite)

    def _forget_gone(self, root: Root, folder: str, names: Iterable[str]) -> None:
        """Those that were saved while we looked are there."""
        gone = [name for name in names if not (root.path / folder / name).is_file()]
        self._index.remove_files(root.number, folder, gone)

    def _find_trash(self, root: Root) -> None:
        """What was in the trash when the index was lost."""
        for found in self._trash.all():
            if found.place.name in self._index.known(root.number, str(found.place.parent)):
                continue
            path = root.path / found.place
            home = PurePosixPath(root.path.name, *found.place.parts[2:])
            status = path.stat()
            owner, favourite = self._marks(root.number, found.place)
            fresh = Fresh(root.number, found.place, Stamp.of(status), made_at(status, home), owner,
                          describe(path, home), found.id, favourite, found.since)  # fmt: skip
            self._index.put([fresh])
