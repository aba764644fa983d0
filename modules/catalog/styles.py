"""Styles: named prompts in a CSV file (`styles.csv`) that are put into the prompts of a request.

The file is A1111's: UTF-8 with a byte order mark, header `name,prompt,negative_prompt` (of old `name,text`). It is
read anew when it has changed, so that another program may write it too.
"""

from __future__ import annotations

import csv
import io
import shutil
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from modules.catalog.writing import write_whole
from modules.prompts.prompt import strip_comments
from modules.schema.errors import BadRequest, UnknownName, UserError

FIELDS = ("name", "prompt", "negative_prompt")
_PLACE = "{prompt}"
_LONGEST_TEXT = 100_000


@dataclass(frozen=True)
class Style:
    """A named prompt; `{prompt}` in it is where the user's own goes, else it is added after it."""

    name: str
    prompt: str = ""
    negative_prompt: str = ""


@dataclass(frozen=True)
class Removed:
    """What a deletion took away: put back with `save(style, at=position)`."""

    style: Style
    position: int


class StyleFile:
    """The styles of one file, in its order. Safe for threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._stamp: tuple[int, int] | None = None
        self._rows: list[Style] = []

    @property
    def entries(self) -> list[Style]:
        """All styles; rows whose name begins with # are comments. Raises UserError for a file that is no CSV."""
        with self._lock:
            self._refresh()
            return list({row.name: row for row in self._rows if not row.name.startswith("#")}.values())

    def find(self, name: str) -> Style:
        """The style of that name, exactly or else without regard to case; raises UnknownName."""
        entries = self.entries
        for wanted, spelt in ((name, str), (name.strip().casefold(), str.casefold)):
            for entry in entries:
                if spelt(entry.name) == wanted:
                    return entry
        raise UnknownName("style", name, [entry.name for entry in entries], "styles")

    def save(self, style: Style, at: int | None = None) -> None:
        """Add a style, or replace the one of that name; `at`: its place among the rows, if it is new.

        Raises BadRequest for what the file could not give back.
        """
        if not style.name.strip() or style.name.startswith("#") or style.name != style.name.strip():
            raise BadRequest("A style needs a name that does not begin with # and has no spaces at its ends.", "name")
        if max(map(len, asdict(style).values())) > _LONGEST_TEXT:
            raise BadRequest(f"A style may have {_LONGEST_TEXT} characters.", "prompt")
        with self._lock:
            self._refresh()
            rows = [style if row.name == style.name else row for row in self._rows]
            if style not in rows:
                rows.insert(len(rows) if at is None else at, style)
            self._write(rows)

    def delete(self, name: str) -> Removed:
        """Take a style out of the file; raises UnknownName."""
        with self._lock:
            style = self.find(name)
            position = self._rows.index(style)
            self._write([row for row in self._rows if row.name != style.name])
            return Removed(style, position)

    def _refresh(self) -> None:
        try:
            status = self.path.stat()
        except OSError:
            self._stamp, self._rows = None, []
            return
        stamp = (status.st_mtime_ns, status.st_size)
        if stamp != self._stamp:
            self._rows = _parse(_read(self.path), self.path)
            self._stamp = stamp

    def _write(self, rows: list[Style]) -> None:
        """Replace the file at once; the one before stays beside it as `.bak`."""
        text = io.StringIO(newline="")
        table = csv.DictWriter(text, FIELDS)
        table.writeheader()
        table.writerows(asdict(row) for row in rows)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.exists():
                shutil.copyfile(self.path, self.path.with_name(self.path.name + ".bak"))
            write_whole(self.path, text.getvalue().encode("utf-8-sig"))
        except OSError as error:
            raise UserError(f"The styles could not be saved to {self.path} ({error.strerror}).") from error
        self._stamp = None


def apply_styles(prompt: str, texts: Iterable[str]) -> str:
    """The prompt with the texts of styles put in, one after another; comments go, lest they hide what follows."""
    merged = strip_comments(prompt)
    for text in map(strip_comments, texts):
        if _PLACE in text:
            merged = text.replace(_PLACE, merged)
        elif text.strip():
            merged = ", ".join(part for part in (merged.strip(), text.strip()) if part)
    return merged


def find_styles(prompt: str, negative: str, styles: Iterable[Style]) -> tuple[list[str], str, str]:
    """Styles that both prompts went through, in the order of their use, and the prompts before them.

    Only what `apply_styles` makes the same prompts of again counts as found.
    """
    left = [style for style in styles if {style.prompt.strip(), style.negative_prompt.strip()} - {"", _PLACE}]
    names: list[str] = []
    while True:
        for style in left:
            before = _before(style.prompt, prompt), _before(style.negative_prompt, negative)
            if before[0] is not None and before[1] is not None:
                prompt, negative = before[0], before[1]
                names.insert(0, style.name)
                left.remove(style)
                break
        else:
            return names, prompt, negative


def _before(text: str, merged: str) -> str | None:
    """The prompt that became `merged` by a style's text, or None."""
    text = strip_comments(text)
    first, place, last = text.partition(_PLACE)
    if not place:
        first, last = "", text.strip()
    if len(merged) < len(first) + len(last) or not merged.startswith(first) or not merged.endswith(last):
        return None
    before = merged[len(first) : len(merged) - len(last)]
    before = before if place or not last else before.removesuffix(", ")
    return before if apply_styles(before, [text]) == merged else None


def _read(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"The styles in {path} cannot be read ({error.strerror}).") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Spreadsheet programs save in the system's own encoding.
        return data.decode("cp1252", errors="replace")


def _parse(text: str, path: Path) -> list[Style]:
    table = csv.DictReader(io.StringIO(text, newline=""), restkey="further", restval="")
    try:
        rows = list(table)
    except csv.Error as error:
        raise UserError(f"{path.name} is not a table of styles ({error}): repair it, or move it away.") from error
    return [
        Style(row["name"].strip(), row.get("prompt", row.get("text", "")), row.get("negative_prompt", ""))
        for row in rows
        if row.get("name", "").strip()
    ]
