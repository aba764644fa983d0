"""Finding a model by whatever name a user, an API client or an old picture's text gives it.

Accepted, the first that answers deciding: title, path below the models folder, file name, stem, sha256, its first 10
digits, the old 8-digit hash; then the same without regard to case; then a part of the title. One name that means
several different models is an error that lists them: never is another model taken silently.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from modules.schema.errors import UnknownName


class Findable(Protocol):
    """What a search looks at. `problem` is None for a file that can be used."""

    @property
    def name(self) -> str: ...
    @property
    def stem(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def hash(self) -> str | None: ...
    @property
    def sha256(self) -> str | None: ...
    @property
    def problem(self) -> str | None: ...


E = TypeVar("E", bound=Findable)
_HEX = re.compile(r"^(?:[0-9a-f]{8}|[0-9a-f]{10}|[0-9a-f]{64})$")


class Search:
    """Looks names up among entries of one sort; `what` and `field` go into the error."""

    def __init__(self, what: str, field: str) -> None:
        self._what, self._field = what, field

    def find(
        self,
        name: str,
        entries: Sequence[E],
        *,
        sha256: Callable[[E], str],
        old_hash: Callable[[E], str | None],
    ) -> E:
        """The one entry that `name` means; raises UnknownName for none or several.

        `sha256` computes (slowly, once) the hash of an entry: needed only where a title's hash must be checked.
        """
        wanted = name.strip().replace("\\", "/")
        found = self._by_name(wanted, entries)
        if found is None and _HEX.match(wanted.lower()):
            found = self._by_hash(wanted.lower(), entries, old_hash)
        if found is None and wanted.endswith("]"):
            found = self._by_title(*_split(wanted), entries, sha256, old_hash)
        if found is None and wanted:
            found = self._only(name, [e for e in entries if wanted.casefold() in e.title.casefold()])
        if found is None:
            raise UnknownName(self._what, name, _known_names(entries), self._field)
        return found

    def _by_name(self, wanted: str, entries: Sequence[E]) -> E | None:
        return self._only(wanted, _named(wanted, entries))

    def _by_hash(self, wanted: str, entries: Sequence[E], old_hash: Callable[[E], str | None]) -> E | None:
        for entry in entries:
            if wanted in (entry.sha256, entry.hash):
                return entry
        if len(wanted) != 8:
            return None
        return self._only(wanted, [e for e in entries if e.problem is None and old_hash(e) == wanted])

    def _by_title(
        self,
        name: str,
        digits: str,
        entries: Sequence[E],
        sha256: Callable[[E], str],
        old_hash: Callable[[E], str | None],
    ) -> E | None:
        """`name [hash]`: of the files of that name the one with that hash, else the one of that hash."""
        if not _HEX.match(digits):
            return None
        old = len(digits) == 8
        found = None if old else self._by_hash(digits, entries, old_hash)
        if found is not None:
            return found
        same = _named(name, entries)
        usable = [entry for entry in same if entry.problem is None]
        for entry in usable:
            if (old_hash(entry) if old else sha256(entry)[: len(digits)]) == digits:
                return entry
        found = self._by_hash(digits, entries, old_hash)
        if found is not None or not usable:
            return found or next(iter(same), None)
        reason = f"{usable[0].name!r} has that name but other weights; choose it by name to draw with it"
        raise UnknownName(self._what, f"{name} [{digits}]", (), self._field, reason=reason)

    def _only(self, wanted: str, entries: Sequence[E]) -> E | None:
        """The entry, where all of them (that can be used) are the same file's content."""
        usable = [entry for entry in entries if entry.problem is None] or list(entries)
        if len(usable) > 1 and (usable[0].sha256 is None or len({entry.sha256 for entry in usable}) > 1):
            shown = ", ".join(repr(entry.title) for entry in usable[:5]) + (", ..." if len(usable) > 5 else "")
            reason = f"it fits {len(usable)} files ({shown}); give the whole name"
            raise UnknownName(self._what, wanted, (), self._field, reason=reason)
        return usable[0] if usable else None


def _named(wanted: str, entries: Sequence[E]) -> list[E]:
    """All entries of the first kind of name that answers."""
    for fold in (str, str.casefold):
        for key in (_title, _name, _file_name, _stem_path, _stem):
            same = [entry for entry in entries if fold(key(entry)) == fold(wanted)]
            if same:
                return same
    return []


def _split(title: str) -> tuple[str, str]:
    """`name [hash]` as (name, hash)."""
    name, _, rest = title.rpartition("[")
    return name.strip(), rest.removesuffix("]").strip().lower()


def _known_names(entries: Iterable[Findable]) -> list[str]:
    return [known for e in entries if e.problem is None for known in dict.fromkeys((e.stem, e.name, e.title))]


def _title(entry: Findable) -> str:
    return entry.title


def _name(entry: Findable) -> str:
    return entry.name


def _file_name(entry: Findable) -> str:
    return entry.name.rpartition("/")[2]


def _stem_path(entry: Findable) -> str:
    return entry.name.rpartition("/")[0] + "/" + entry.stem


def _stem(entry: Findable) -> str:
    return entry.stem
