"""Names that extensions add: each kind has its place, a clash is told, and all can be taken back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from modules.schema.errors import BadRequest
from modules.schema.registry import Registry

Sink = Callable[..., Callable[[], None]]
"""Takes in an extension's name and what `register(...)` was called with; gives back what undoes that. Raises
BadRequest for a taken name."""


def registry_sink(registry: Registry[Any]) -> Sink:
    """The place of a kind that is a registry; functions that go with an entry are for another process."""

    def take(_extension: str, entry: Any, *_others: Any) -> Callable[[], None]:
        registry.add(entry)
        return lambda: registry.remove(entry)

    return take


class Names:
    """What has been registered, by extension. `sinks`: by the hook's name without "register_"."""

    def __init__(self, sinks: Mapping[str, Sink], clash: Callable[[str, str], None]) -> None:
        self._sinks = sinks
        self._clash = clash
        self._undo: dict[str, list[Callable[[], None]]] = {}
        self._labels: dict[str, list[str]] = {}

    def register(self, extension: str, kind: str) -> Callable[..., None]:
        """The function that an extension's hook is given."""
        sink = self._sinks.get(kind)

        def register(*entry: Any) -> None:
            if sink is None:
                return
            try:
                self._undo.setdefault(extension, []).append(sink(extension, *entry))
            except BadRequest as error:
                self._clash(extension, f"{str(error).rstrip('.')}; this one of {extension} is left out.")
                return
            label = f"{_SINGULAR[kind]} {_label(entry[0])}".strip()
            if label not in self._labels.setdefault(extension, []):
                self._labels[extension].append(label)

        return register

    def labels(self, extension: str) -> list[str]:
        """What it has registered, in words."""
        return list(self._labels.get(extension, ()))

    def note(self, extension: str, label: str) -> None:
        """Something else that it adds."""
        if label not in self._labels.setdefault(extension, []):
            self._labels[extension].append(label)

    def undo(self, extension: str) -> None:
        """Take everything of an extension back."""
        for undo in reversed(self._undo.pop(extension, [])):
            undo()
        self._labels.pop(extension, None)

    def undo_all(self) -> None:
        for extension in list(self._undo):
            self.undo(extension)


_SINGULAR = {
    "samplers": "sampler",
    "schedules": "schedule type",
    "upscalers": "upscaler",
    "captioners": "captioner",
    "families": "model family",
    "axes": "axis",
    "scripts": "script",
    "tabs": "tab",
    "routes": "routes",
}


def _label(entry: Any) -> str:
    return entry if isinstance(entry, str) else str(getattr(entry, "label", ""))
