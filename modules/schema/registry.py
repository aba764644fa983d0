"""A table of named things that can be looked up by name, label or alias, and that answers a misspelling kindly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Generic, Protocol, TypeVar

from modules.schema.errors import BadRequest, UnknownName


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
    """Entries in order, found without regard to case. Extensions add theirs at the start of a process."""

    def __init__(self, what: str, entries: Iterable[T]) -> None:
        self._what = what
        self._entries: tuple[T, ...] = ()
        self._by_name: dict[str, T] = {}
        self._again: list[T] = []
        for entry in entries:
            self._put(entry)

    def _put(self, entry: T) -> None:
        self._entries = (*self._entries, entry)
        for key in _keys(entry):
            self._by_name.setdefault(key, entry)

    def add(self, entry: T) -> None:
        """Take in a further entry at the end; raises `BadRequest` where one of its names is taken by another one.

        The very same entry may be added again; it is then to be removed as often.
        """
        if entry in self._entries:
            self._again.append(entry)
            return
        taken = next((key for key in _keys(entry) if key in self._by_name), None)
        if taken is not None:
            raise BadRequest(f"There is a {self._what} named {self._by_name[taken].label!r} already.")
        self._put(entry)

    def remove(self, entry: T) -> None:
        """Take back what was added."""
        if entry in self._again:
            self._again.remove(entry)
            return
        rest = [one for one in self._entries if one != entry]
        self._entries, self._by_name = (), {}
        for one in rest:
            self._put(one)

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


def _keys(entry: Named) -> list[str]:
    return [key.casefold() for key in (entry.label, entry.name, *entry.aliases)]
