"""Wildcard files: a text file with a line for each thing that its name can stand for. # begins a remark."""

from __future__ import annotations

import difflib
from fnmatch import fnmatch
from pathlib import Path

from modules.extensions import BadRequest

_LARGEST = 20_000_000


class Wildcards:
    """The text files below a folder; a file is read again when it has changed."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self._read: dict[Path, tuple[int, list[str]]] = {}

    def names(self) -> list[str]:
        """Names of the files with their folders, without .txt."""
        if self.folder is None or not self.folder.is_dir():
            return []
        files = (path for path in self.folder.rglob("*.txt") if path.is_file())
        return sorted(path.relative_to(self.folder).with_suffix("").as_posix() for path in files)

    def lines(self, name: str) -> list[str]:
        """All lines of the files that answer to the name; raises BadRequest where there are none."""
        names = self.names()
        wanted = name.casefold()
        found = [one for one in names if _answers(one.casefold(), wanted)]
        lines = [line for one in found for line in self._lines(one)]
        if lines:
            return lines
        if found:
            raise BadRequest(f"The wildcard file {found[0]}.txt has no lines.", "prompt")
        near = difflib.get_close_matches(name, names, n=1)
        hint = f" Did you mean __{near[0]}__?" if near else ""
        raise BadRequest(
            f"There is no wildcard named {name!r}: put {name}.txt into the folder wildcards.{hint}", "prompt"
        )

    def _lines(self, name: str) -> list[str]:
        assert self.folder is not None
        path = self.folder / f"{name}.txt"
        try:
            changed = path.stat().st_mtime_ns
            if path not in self._read or self._read[path][0] != changed:
                if path.stat().st_size > _LARGEST:
                    raise BadRequest(f"The wildcard file {name}.txt is larger than 20 MB.", "prompt")
                text = path.read_text(encoding="utf-8-sig", errors="replace")
                self._read[path] = changed, [line for raw in text.splitlines() if (line := _bare(raw))]
        except OSError as error:
            raise BadRequest(f"The wildcard file {name}.txt cannot be read ({error.strerror}).", "prompt") from None
        return self._read[path][1]


def _answers(name: str, wanted: str) -> bool:
    return fnmatch(name, wanted) or name.rpartition("/")[2] == wanted


def _bare(line: str) -> str:
    line = line.strip()
    return "" if line.startswith("#") else line
