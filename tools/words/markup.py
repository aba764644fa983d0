"""The words of markup: what an HTML page shows, says to screen readers, and shows in tooltips."""

from __future__ import annotations

import re
from html.parser import HTMLParser

ATTRIBUTES = (
    "title",
    "placeholder",
    "aria-label",
    "alt",
    "aria-description",
    "aria-valuetext",
    "aria-roledescription",
)
_SILENT = {"script", "style", "textarea", "code", "pre", "kbd", "svg"}
_VOID = {"input", "img", "br", "hr", "meta", "link", "area", "base", "col", "embed", "source", "track", "wbr"}
_LETTERS = re.compile(r"[A-Za-z]{2,}")


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self._open: list[tuple[str, bool]] = []

    @property
    def _silent(self) -> bool:
        return any(silent for _, silent in self._open)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        silent = tag in _SILENT or given.get("translate") == "no"
        if not self._silent and given.get("translate") != "no":
            for name in ATTRIBUTES:
                self._take(given.get(name) or "")
        if tag not in _VOID:
            self._open.append((tag, silent))

    def handle_endtag(self, tag: str) -> None:
        while self._open:
            if self._open.pop()[0] == tag:
                return

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self._take(data)

    def _take(self, text: str) -> None:
        clean = " ".join(text.split())
        if _LETTERS.search(clean) and "{{" not in clean:
            self.found.append(clean)


def words_of(markup: str) -> list[str]:
    """Every text that is shown, in order, with single spaces."""
    reader = _Reader()
    reader.feed(markup)
    reader.close()
    return reader.found
