"""The folders that the gallery shows: this program's outputs, and folders of others that are only read."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path

from modules.catalog.writing import write_whole
from modules.schema.errors import BadRequest, NotFound, UserError
from modules.schema.json_object import parse_object
from modules.service.gallery.index import OUTPUTS

_MOST = 100


@dataclass(frozen=True)
class Root:
    number: int
    path: Path

    @property
    def own(self) -> bool:
        return self.number == OUTPUTS


class Roots:
    """The outputs folder and the others, which are kept in a file of the state folder. Safe for threads."""

    def __init__(self, outputs: Path, file: Path) -> None:
        self._outputs = Root(OUTPUTS, outputs)
        self._file = file
        self._lock = threading.Lock()
        self._others = _read(file)

    @property
    def all(self) -> list[Root]:
        return [self._outputs, *self.others]

    @property
    def others(self) -> list[Root]:
        with self._lock:
            return list(self._others.values())

    def get(self, number: int) -> Root:
        """Raises NotFound."""
        with self._lock:
            root = self._outputs if number == OUTPUTS else self._others.get(number)
        if root is None:
            raise NotFound("That folder is not in the gallery any more.")
        return root

    def add(self, text: str) -> Root:
        """Take a folder in by its path; raises BadRequest, or UserError where that cannot be kept."""
        path = _folder(text)
        with self._lock:
            for root in (self._outputs, *self._others.values()):
                if path.is_relative_to(root.path.resolve()):
                    raise BadRequest(f"The folder {path} is in the gallery already, with {root.path}.", "path")
                if root.path.resolve().is_relative_to(path):
                    raise BadRequest(
                        f"The folder {path} holds {root.path}, which is in the gallery already: name a folder beside "
                        "it.", "path",
                    )  # fmt: skip
            if len(self._others) >= _MOST:
                raise BadRequest(f"There are {_MOST} folders in the gallery already: take one out first.", "path")
            root = Root(max(self._others, default=OUTPUTS) + 1, path)
            self._keep({**self._others, root.number: root})
            return root

    def remove(self, number: int) -> None:
        """Raises NotFound; the folder itself is not touched."""
        with self._lock:
            if number not in self._others:
                raise NotFound("That folder is not in the gallery any more.")
            self._keep({key: root for key, root in self._others.items() if key != number})

    def _keep(self, others: dict[int, Root]) -> None:
        text = json.dumps({"folders": {str(root.number): str(root.path) for root in others.values()}}, indent=1)
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._file, text.encode())
        except OSError as error:
            raise UserError(f"The gallery's folders could not be kept ({error.strerror}) in {self._file}.") from error
        self._others = others


def _folder(text: str) -> Path:
    wanted = text.strip().strip('"')
    if not wanted or "\0" in wanted:
        raise BadRequest("Name a folder of this machine by its path.", "path")
    path = Path(wanted)
    try:
        path = path.expanduser()
        if not path.is_absolute():
            raise BadRequest(f"{wanted!r} is no whole path: begin with the drive, or with a slash.", "path")
        path = path.resolve(strict=True)
        with os.scandir(path):
            return path
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or "there is no such user, or its links lead in a circle"
        raise BadRequest(f"The folder {path} cannot be read ({reason}).", "path") from None


def _read(file: Path) -> dict[int, Root]:
    """What is kept; a file that cannot be read is none."""
    try:
        data = parse_object(file.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError):
        return {}
    kept = data.get("folders")
    if not isinstance(kept, dict):
        return {}
    return {int(key): Root(int(key), Path(str(path))) for key, path in kept.items() if str(key).isdecimal()}
