"""Where data sets are: below `DATA/datasets`, and folders of this machine that were opened by their path."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from modules.catalog.datasets.folder import count_pictures
from modules.catalog.writing import write_whole
from modules.schema.errors import BadRequest, NotFound, UnknownName, UserError
from modules.schema.json_object import parse_object
from modules.service.naming import folder_parts, sanitize

_OPENED = "opened.json"
_OWNERS = "owners.json"


@dataclass(frozen=True)
class DatasetEntry:
    """A line of the list of data sets."""

    name: str
    folder: Path
    pictures: int
    captioned: int


class DatasetFolders:
    """Names of data sets and their folders. Safe for threads.

    `data`: the data folder; `state`: a folder of this program's own, where the opened folders are remembered.
    """

    def __init__(self, data: Path, state: Path) -> None:
        self.root = data / "datasets"
        self._data = data
        self._state = state
        self._lock = threading.RLock()

    def entries(self) -> list[DatasetEntry]:
        """Those of the data folder by name, then the folders that were opened by their path."""
        own = sorted(_folders(self.root), key=lambda path: path.name.casefold())
        named = [(path.name, path) for path in own]
        named += [(key, folder) for key, folder in self._opened().items() if folder.is_dir()]
        return [DatasetEntry(name, folder, *count_pictures(folder)) for name, folder in named]

    def folder(self, name: str) -> Path:
        """The folder of a data set by its name; raises NotFound."""
        own = self.root / name
        if _is_name(name) and own.is_dir():
            return own
        opened = self._opened().get(name)
        if opened is None:
            raise NotFound(f"There is no data set {name!r}: open its folder again.")
        if not opened.is_dir():
            raise NotFound(f"The folder {opened} is not there any more: open the data set where it is now.")
        return opened

    def belongs_to(self, name: str, owner: str) -> bool:
        """Whether `owner` made the data set of that name."""
        return self._table(_OWNERS).get(name.strip()) == owner

    def create(self, name: str, owner: str = "") -> str:
        """Make an empty data set, or find the one of that name; returns the name. Raises BadRequest.

        A new one belongs to `owner`, who must not be told of others' names: see `belongs_to`.
        """
        name = name.strip()
        if not _is_name(name):
            raise BadRequest(
                f"A data set cannot be called {name!r}: use letters, digits, spaces, dashes and dots.", "name"
            )
        folder = self.root / name
        with self._lock:
            is_new = not folder.exists()
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise UserError(f"The folder {folder} cannot be made ({error.strerror}).") from None
            if is_new and owner:
                self._remember(_OWNERS, {**self._table(_OWNERS), name: owner})
        return name

    def add_path(self, path: str) -> str:
        """Open a folder of this machine; returns the name that stands for it. Raises BadRequest."""
        folder = self._path(path)
        if folder is None:
            raise BadRequest(f"There is no folder {path!r} on this machine: give its whole path.", "path")
        if folder.parent == self.root.resolve():
            return folder.name
        key = f"{sanitize(folder.name) or 'folder'}-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:6]}"
        with self._lock:
            opened = self._opened()
            if opened.get(key) != folder:
                self._remember(_OPENED, {**opened, key: folder})
        return key

    def forget(self, name: str) -> None:
        """Take a folder that was opened by its path off the list. Raises NotFound."""
        with self._lock:
            opened = self._opened()
            if opened.pop(name, None) is None:
                raise NotFound(f"There is no opened folder {name!r}; data sets of this program stay.")
            self._remember(_OPENED, opened)

    def find(self, name_or_path: str) -> str:
        """The name of a data set that is meant by its name or by a path. Raises BadRequest on field data_root."""
        wanted = name_or_path.strip()
        if not wanted:
            raise BadRequest("Choose the pictures to learn from: a data set, or the path of a folder.", "data_root")
        known = set(self._opened()) | {path.name for path in _folders(self.root)}
        if wanted in known:
            return wanted
        if self._path(wanted) is None:
            raise UnknownName("data set or folder", wanted, known, "data_root")
        return self.add_path(wanted)

    def _remember(self, file: str, table: Mapping[str, str | Path]) -> None:
        text = json.dumps({key: str(value) for key, value in table.items()}, ensure_ascii=False)
        _write(self._state / file, text.encode("utf-8", "replace"))

    def _opened(self) -> dict[str, Path]:
        """Folders that were opened by their path, by the names that stand for them."""
        return {key: Path(path) for key, path in self._table(_OPENED).items()}

    def _table(self, file: str) -> dict[str, str]:
        """Texts by names, from a file of the state folder."""
        try:
            table = parse_object((self._state / file).read_text(encoding="utf-8")) or {}
        except (OSError, UnicodeDecodeError):
            return {}
        return {key: value for key, value in table.items() if isinstance(value, str)}

    def _path(self, text: str) -> Path | None:
        """An existing folder: a whole path, or one below the data folder."""
        try:
            path = (self._data / Path(text.strip()).expanduser()).resolve()
            return path if path.is_dir() else None
        except (OSError, RuntimeError, ValueError):
            return None


def _is_name(name: str) -> bool:
    """Whether it can be a folder's name here and elsewhere, and is nothing but a name."""
    return folder_parts(name) == [name] and not name.startswith(".")


def _folders(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    return [path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")]


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, data)
    except OSError as error:
        raise cannot_write(path.parent, error) from None


def cannot_write(folder: Path, error: OSError) -> UserError:
    """The sentence for a folder that cannot be written to."""
    return UserError(
        f"Nothing can be written into {folder} ({error.strerror}): make room or make it writable, or copy the "
        "pictures into a data set of this program."
    )
