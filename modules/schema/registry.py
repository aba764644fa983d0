"""A table of named things that can be looked up by name, label or alias, and that answers a misspelling kindly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Generic, Protocol, TypeVar

from modules.schema.errors import UnknownName


class Named(Protocol):
    """What a registry needs of an entry: a stable id, a label for people, and other spellings."""

    @property
    def name(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def aliases(self) -> tuple[str, ...]: ...


T = TypeVar("T", bound=Named)


class Registry(Generic[T]):
    """Entries in order, found without regard to case."""

    def __init__(self, what: str, entries: Iterable[T]) -> None:
        self._what = what
        self._entries = tuple(entries)
        self._by_name: dict[str, T] = {}
        for entry in self._entries:
            for key in (entry.label, entry.name, *entry.aliases):
                self._by_name.setdefault(key.casefold(), entry)

    def __iter__(self) -> Iterator[T]:
        return iter(self._entries)

    def __contains__(self, name: str) -> bool:
        return name.casefold() in self._by_name

    def labels(self) -> tuple[str, ...]:
        return tuple(entry.label for entry in self._entries)

    def get(self, name: str, field: str | None = None) -> T:
        """The entry of that name, label or alias; raises `UnknownName`."""
        try:
            return self._by_name[name.strip().casefold()]
        except KeyError:
            raise UnknownName(self._what, name, self.labels(), field) from None
