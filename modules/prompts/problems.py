"""Sentences for what cannot be read in a prompt: each names the bracket by its text."""

from __future__ import annotations

import re

from modules.prompts.grammar import is_weight

_MOST = 3
_LONGEST = 40
_LIKE_A_NUMBER = re.compile(r"\s*[+-]?[0-9.,]+\s*")


class Problems:
    """Gathers sentences about a text; beyond the third it only counts."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._found: list[str] = []
        self._count = 0
        self._overlapping = {"(": 0, "[": 0}

    @property
    def sentences(self) -> tuple[str, ...]:
        more = self._count - len(self._found)
        return (*self._found, *([f"There are {more} more brackets that do not fit."] if more else []))

    def unclosed(self, opener: str, start: int, closer: str) -> None:
        """A bracket without an end; `closer`: the other kind of end that came instead, if one did."""
        where = self._quote(start, len(self._source))
        if closer:
            self._overlapping[opener] += 1
            self._tell("The {} in {} is not closed before the {} that follows.", opener, where, closer)
        else:
            self._tell("The {} in {} is never closed; it acts up to the end.", opener, where)

    def unopened(self, closer: str, end: int) -> None:
        """An end without a beginning, unless its beginning was told of already."""
        opener = "(" if closer == ")" else "["
        if self._overlapping[opener]:
            self._overlapping[opener] -= 1
            return
        self._tell(
            "The {} at the end of {} has no {} before it; it is used as text.", closer, self._quote(0, end), opener
        )

    def unread(self, place: tuple[int, int], marks: str, last: int) -> None:
        """A square bracket with colons or bars `marks` (the last part begins at `last`) that is no edit."""
        what = self._quote(*place)
        if "|" in marks:
            self._tell("{} is used as text: | and : do not go together in one bracket.", what)
        elif len(marks) > 2:
            self._tell("{} is used as text: it has more than two colons.", what)
        else:
            number = self._quote(last, place[1] - 1)
            self._tell("{} is used as text: {} is not a number, so nothing says when to change.", what, number)

    def weight(self, place: tuple[int, int], last: int) -> None:
        """A round bracket with colons: its last part may look like a weight and be none."""
        end = place[1] - 1
        if _LIKE_A_NUMBER.fullmatch(self._source, last, end) and not is_weight(self._source[last:end]):
            self._tell("In {} the weight is not a number; it is used as text.", self._quote(*place))

    def _tell(self, sentence: str, *parts: str) -> None:
        self._count += 1
        if len(self._found) < _MOST:
            self._found.append(sentence.format(*parts))

    def _quote(self, start: int, end: int) -> str:
        """That part of the text, shortened: at its beginning where it begins with the whole text, else at its end."""
        if end - start <= _LONGEST:
            words = self._source[start:end]
        elif start == 0 and end < len(self._source):
            words = "…" + self._source[end - _LONGEST : end]
        else:
            words = self._source[start : start + _LONGEST] + "…"
        return f"“{' '.join(words.split())}”"
