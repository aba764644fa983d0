"""The folders of training runs: made, found, listed, marked with their state, and moved to the trash.

A run is `LOG/YYYY-MM-DD/NAME` and is called `YYYY-MM-DD-NAME`; of two with the same name the later one is `NAME-2`.
Everything that must outlive this program stands in it: the request, the data set as it was, and `run.json`, which
says in which state the run is and which process works on it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

import psutil
from pydantic import ValidationError

from modules.catalog.headers import read_safetensors
from modules.catalog.writing import write_whole
from modules.schema.errors import BadRequest, ModelFileError, NotFound, UserError
from modules.schema.frozen import Frozen
from modules.schema.json_object import parse_object
from modules.schema.training import TrainingRequest, TrainingSet
from modules.service.naming import folder_parts

log = logging.getLogger(__name__)

RunState = Literal["waiting", "running", "paused", "interrupted", "failed", "done"]
OPEN: tuple[RunState, ...] = ("waiting", "running")
TRASH = "trash"
REQUEST, DATASET, RECORD = "request.json", "dataset.json", "run.json"
# The newest first; between two renames only the second may be there.
STATES = ("state.safetensors", "state-new.safetensors", "state-previous.safetensors")
COPIES = {"Textual inversion": "embeddings", "LoRA": "loras"}
"""The folder of a run's copies, by method."""

_ID = re.compile(r"(\d{4}-\d{2}-\d{2})-([^/\\]+)")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_MOST_OF_A_NAME = 1000


class Record(Frozen):
    """What `run.json` says. `created`: seconds since the epoch. `process`: pid and start time of who works on it."""

    state: RunState = "waiting"
    message: str = ""
    created: float = 0.0
    owner: str = ""
    job: str = ""
    process: tuple[int, float] | None = None


@dataclass(frozen=True)
class Run:
    """A run by its `id`, and where it is."""

    id: str
    folder: Path

    def path(self, *parts: str) -> Path:
        return self.folder.joinpath(*parts)


class Runs:
    """The runs below the log directories of a data folder. `state`: the folder where the directories are noted."""

    def __init__(self, data: Path, state: Path) -> None:
        self.data = data
        self._noted = state / "training-folders.json"
        self._lock = threading.Lock()
        self._roots: list[str] = _noted_roots(self._noted)

    # Folders

    def make(self, name: str, log_directory: str) -> Run:
        """A new, empty run folder; raises UserError when it cannot be written."""
        root = self.root(log_directory)
        day = date.today().isoformat()
        with self._lock:
            for number in range(1, _MOST_OF_A_NAME):
                called = name if number == 1 else f"{name}-{number}"
                run = Run(f"{day}-{called}", root / day / called)
                if self._look(run.id) is None and not run.folder.exists():
                    break
            try:
                run.folder.mkdir(parents=True)
                self._note(root)
            except OSError as error:
                raise UserError(
                    f"The run's folder {run.folder} cannot be made ({error.strerror}): make room or choose another "
                    "log directory."
                ) from error
        return run

    def root(self, log_directory: str) -> Path:
        """The folder of a log directory; raises BadRequest for one outside the data folder."""
        parts = folder_parts(log_directory)
        outside = Path(log_directory).is_absolute() or ".." in Path(log_directory).parts
        if outside or not parts:
            raise BadRequest(
                f"The log directory {log_directory!r} must be a folder below {self.data}, such as "
                "textual_inversion.", "log_directory",
            )  # fmt: skip
        return self.data.joinpath(*parts)

    def find(self, run_id: str) -> Run:
        """The run of that id; raises NotFound."""
        run = self._look(run_id)
        if run is None:
            raise NotFound(f"There is no training run {run_id!r}: its folder may have been moved or deleted.")
        return run

    def list(self) -> list[Run]:
        """All runs, newest first."""
        runs = [run for root in self._folders() for run in _below(root)]
        return sorted(runs, key=lambda run: (self.record(run).created, run.id), reverse=True)

    def requests(self) -> Iterator[tuple[Run, TrainingRequest]]:
        """All runs, newest first, with what they were asked for; without those where that cannot be read any more."""
        for run in self.list():
            try:
                yield run, self.request(run)
            except UserError as error:
                log.info("a run is left out: %s", error)

    def trash(self, run: Run) -> Path:
        """Move the run's folder into the trash of its log directory; returns where it is now. Raises UserError."""
        trash = run.folder.parents[1] / TRASH
        target = trash / run.id
        number = 2
        while target.exists():
            target, number = trash / f"{run.id}-{number}", number + 1
        try:
            trash.mkdir(exist_ok=True)
            os.replace(run.folder, target)
            with contextlib.suppress(OSError):
                run.folder.parent.rmdir()  # only where it is empty
        except OSError as error:
            raise UserError(f"The run {run.id} could not be moved to {target} ({error.strerror}).") from error
        return target

    # What is in them

    def request(self, run: Run) -> TrainingRequest:
        """What the run was asked for; raises UserError."""
        try:
            return TrainingRequest.model_validate_json(run.path(REQUEST).read_bytes())
        except OSError as error:
            raise UserError(_gone(run, error)) from error
        except ValidationError:
            raise UserError(f"{run.path(REQUEST)} is damaged or of another version of this program.") from None

    def save(self, run: Run, request: TrainingRequest, pictures: TrainingSet | None = None) -> None:
        """Keep the resolved request and, at the beginning, the data set; raises UserError."""
        try:
            if pictures is not None:
                write_whole(run.path(DATASET), pictures.model_dump_json(indent=1).encode())
            write_whole(run.path(REQUEST), request.model_dump_json(indent=1).encode())
        except OSError as error:
            raise UserError(_gone(run, error)) from error

    def check(self, run: Run) -> None:
        """Raise UserError where the run's folder has gone or cannot be written."""
        for name in (REQUEST, DATASET):
            if not run.path(name).is_file():
                raise UserError(_gone(run, FileNotFoundError(2, f"{name} is not there")))
        if not os.access(run.folder, os.W_OK):
            raise UserError(_gone(run, PermissionError(13, "it cannot be written")))

    def state(self, run: Run) -> dict[str, Any]:
        """What the last saved state says of itself ({} before the first): step, best, best_step, finished ..."""
        for name in STATES:
            path = run.path(name)
            try:
                with path.open("rb") as file:
                    header = read_safetensors(path.name, file, path.stat().st_size)
            except (OSError, ModelFileError):
                continue
            return parse_object(header.metadata.get("state", "")) or {}
        return {}

    # Its state

    def record(self, run: Run) -> Record:
        """What is noted of the run; a damaged or missing note is an interrupted run."""
        try:
            return Record.model_validate_json(run.path(RECORD).read_bytes())
        except (OSError, ValidationError):
            return Record(state="interrupted", created=_changed(run.folder))

    def mark(self, run: Run, **changes: Any) -> None:
        """Change the note; `running` and `waiting` are marked with this process. A folder that has gone is let be."""
        with self._lock:
            record = self.record(run).replace(**changes)
            record = record.replace(process=this_process() if record.state in OPEN else None)
            try:
                write_whole(run.path(RECORD), record.model_dump_json().encode())
            except OSError as error:
                log.warning("the state of the run %s cannot be noted: %s", run.id, error)

    # Inside

    def _look(self, run_id: str) -> Run | None:
        match = _ID.fullmatch(run_id)
        if match is None or match[2] in (".", ".."):
            return None
        places = (Run(run_id, root / match[1] / match[2]) for root in self._folders())
        return next((run for run in places if run.path(REQUEST).is_file()), None)

    def _folders(self) -> list[Path]:
        return [Path(root) for root in dict.fromkeys([str(self.data / "textual_inversion"), *self._roots])]

    def _note(self, root: Path) -> None:
        if str(root) not in self._roots:
            self._roots = [*self._roots, str(root)]
            self._noted.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._noted, json.dumps(self._roots).encode())


def _below(root: Path) -> list[Run]:
    runs: list[Run] = []
    for day in _subfolders(root):
        if _DAY.fullmatch(day.name):
            runs += [
                Run(f"{day.name}-{folder.name}", folder)
                for folder in _subfolders(day)
                if (folder / REQUEST).is_file()
            ]
    return runs


def _subfolders(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_dir()]
    except OSError:
        return []


def _noted_roots(path: Path) -> list[str]:
    try:
        roots = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return []
    return [root for root in roots if isinstance(root, str)] if isinstance(roots, list) else []


def _gone(run: Run, error: OSError) -> str:
    return (
        f"The folder of the run {run.id} cannot be used ({error.strerror}; {run.folder}): bring it back or make "
        "room, then press Resume."
    )


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def this_process() -> tuple[int, float]:
    """Pid and start time: together they are not given twice."""
    me = psutil.Process()
    return me.pid, me.create_time()


def is_alive(process: tuple[int, float] | None) -> bool:
    """Whether the process that is meant still runs."""
    if process is None:
        return False
    try:
        return abs(psutil.Process(process[0]).create_time() - process[1]) < 1
    except psutil.Error:
        return False
