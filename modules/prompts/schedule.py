"""Prompts that change from step to step: `[from:to:when]`, `[a|b]`, nested as one likes.

`parse_editing` finds these in a text, `Editing.stages` says which text is used up to which step. All else, weights
and brackets included, is handed on unchanged, so every text of a stage is made of pieces of the source in their
order. A bracket that cannot be read is text, and only that bracket: what stands in it and around it is read all the
same. No part of this is recursive: a prompt may have thousands of brackets.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import reduce
from typing import NamedTuple, TypeAlias

from modules.prompts.problems import Problems

_LEXEME = re.compile(r"\\.?|[()\[\]]|[:|]|[^\\()\[\]:|]+", re.DOTALL)
_NUMBER = re.compile(r"\s*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*")
_OPENERS = {")": "(", "]": "["}
_MOST_TURNS = 10**9


class Slice(NamedTuple):
    """Characters `start` up to `end` of the source, used as they are."""

    start: int
    end: int


@dataclass(frozen=True, eq=False)
class Edit:
    """`before` up to a step, `after` from then on; `when` is that step as it was written."""

    before: Items
    after: Items
    when: str


@dataclass(frozen=True, eq=False)
class Alternation:
    """One of `options` after the other, a step each."""

    options: list[Items]


Item: TypeAlias = "Slice | Edit | Alternation | list[Item]"
Items: TypeAlias = list[Item]


@dataclass(frozen=True)
class Timing:
    """How written times become steps of one pass over the picture.

    `steps`: model calls of this pass. `first_pass`: those of the pass before it, where this is the hires pass; whole
    numbers and fractions then go on counting from there. `old`: as A1111 did before 1.6: what is below 1 is a
    fraction, all else a step, and both passes count alike.
    """

    steps: int
    first_pass: int | None = None
    old: bool = False

    def boundary(self, when: str) -> int:
        """The last step before the change, at most `steps`; below 1 there is no step before it."""
        value = float(when)
        if self.old:
            value = value * self.steps if value < 1 else value
        elif "." in when:
            value = (value if self.first_pass is None else value - 1) * self.steps
        else:
            value -= self.first_pass or 0
        return int(min(max(value, 0), self.steps))


class Stage(NamedTuple):
    """`slices` of the source make the text that is used up to and including step `end`."""

    end: int
    slices: tuple[Slice, ...]


@dataclass(frozen=True, eq=False)
class Editing:
    """A parsed text; `problems` are sentences on what could not be read and is used as text."""

    source: str
    items: Items
    problems: tuple[str, ...] = ()

    @property
    def edits(self) -> Iterator[Edit | Alternation]:
        """All of them, outer ones first."""
        waiting: list[Item] = [self.items]
        while waiting:
            item = waiting.pop()
            if isinstance(item, list):
                waiting.extend(item)
            elif isinstance(item, Edit):
                yield item
                waiting += (item.before, item.after)
            elif isinstance(item, Alternation):
                yield item
                waiting.extend(item.options)

    def stages(self, timing: Timing) -> list[Stage]:
        """The stages by rising end; the last ends at the last step. Where texts alternate each step is one."""
        edits = list(self.edits)
        borders = {timing.steps, *(timing.boundary(edit.when) for edit in edits if isinstance(edit, Edit))}
        edges = sorted(border for border in borders if border >= 1)
        periods = {len(edit.options) for edit in edits if isinstance(edit, Alternation)}
        ends = range(1, timing.steps + 1) if periods else edges
        # Steps between the same two edges, a whole number of turns apart, have the same text.
        period = min(reduce(math.lcm, periods, 1), _MOST_TURNS)
        texts: dict[tuple[int, int], tuple[Slice, ...]] = {}
        found = []
        for end in ends:
            key = (bisect_left(edges, end), end % period)
            if key not in texts:
                texts[key] = tuple(_joined(_slices(self.items, end, timing)))
            found.append(Stage(end, texts[key]))
        return found

    def text(self, stage: Stage) -> str:
        """The text of a stage."""
        return "".join(self.source[start:end] for start, end in stage.slices)


def schedule(text: str, steps: int) -> list[tuple[int, str]]:
    """(last step, text) of every stage of a prompt in a first pass of so many steps."""
    editing = parse_editing(text)
    return [(stage.end, editing.text(stage)) for stage in editing.stages(Timing(steps))]


def _slices(items: Items, step: int, timing: Timing) -> Iterator[Slice]:
    """What is used at `step` (from 1)."""
    stack: list[Iterator[Item]] = [iter(items)]
    while stack:
        item = next(stack[-1], None)
        if item is None:
            stack.pop()
        elif isinstance(item, Slice):
            yield item
        elif isinstance(item, list):
            stack.append(iter(item))
        elif isinstance(item, Alternation):
            stack.append(iter(item.options[(step - 1) % len(item.options)]))
        else:
            stack.append(iter(item.before if step <= timing.boundary(item.when) else item.after))


def _joined(slices: Iterator[Slice]) -> Iterator[Slice]:
    """The same with neighbours in the source made one."""
    current = next(slices, None)
    for piece in slices:
        if current is not None and current.end == piece.start:
            current = Slice(current.start, piece.end)
        elif current is not None:
            yield current
            current = piece
    if current is not None:
        yield current


@dataclass
class _Open:
    """A bracket opened at `start` and what stands in it so far, in parts divided by `:` and `|`; "" is the text."""

    bracket: str
    start: int
    parts: list[Items] = field(default_factory=lambda: [[]])
    dividers: list[Slice] = field(default_factory=list[Slice])

    def add(self, item: Item) -> None:
        self.parts[-1].append(item)

    def divide(self, divider: Slice) -> None:
        self.dividers.append(divider)
        self.parts.append([])

    def absorb(self, inner: _Open) -> None:
        """Take over what stands in a bracket that is only text."""
        self.parts[-1] += (Slice(inner.start, inner.start + 1), inner.parts[0])
        self.dividers += inner.dividers
        self.parts += inner.parts[1:]

    def literal(self, end: int) -> Items:
        """All of it, as it was written, up to character `end`; its edits stay edits."""
        items: Items = [Slice(self.start, self.start + len(self.bracket)), self.parts[0]]
        for divider, part in zip(self.dividers, self.parts[1:], strict=True):
            items += (divider, part)
        last = self.dividers[-1].end if self.dividers else self.start + len(self.bracket)
        return [*items, Slice(max(end - 1, last), end)] if self.bracket else items


class _Parser:
    """One pass over the text with a stack of open brackets."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._stack = [_Open("", 0)]
        self._count = {"(": 0, "[": 0}
        self._problems = Problems(source)

    def parse(self) -> Editing:
        for match in _LEXEME.finditer(self._source):
            lexeme, place = match.group(), Slice(match.start(), match.end())
            if lexeme in self._count:
                self._count[lexeme] += 1
                self._stack.append(_Open(lexeme, place.start))
            elif lexeme in _OPENERS:
                self._close(lexeme, place)
            elif lexeme in (":", "|"):
                self._stack[-1].divide(place)
            else:
                self._stack[-1].add(place)
        self._absorb(0, "")
        (whole,) = self._stack
        return Editing(self._source, whole.literal(len(self._source)), self._problems.sentences)

    def _close(self, closer: str, place: Slice) -> None:
        opener = _OPENERS[closer]
        if not self._count[opener]:
            self._problems.unopened(closer, place.end)
            self._stack[-1].add(place)
            return
        depth = next(i for i in range(len(self._stack) - 1, 0, -1) if self._stack[i].bracket == opener)
        self._absorb(depth, closer)
        closed = self._stack.pop()
        self._count[opener] -= 1
        self._stack[-1].add(self._meaning(closed, place))

    def _absorb(self, depth: int, closer: str) -> None:
        """Everything that is open above `depth` is text: it has no end before `closer`."""
        for inner in self._stack[depth + 1 :]:
            self._problems.unclosed(inner.bracket, inner.start, closer)
            self._stack[depth].absorb(inner)
            self._count[inner.bracket] -= 1
        del self._stack[depth + 1 :]

    def _meaning(self, closed: _Open, closer: Slice) -> Item:
        """The edit or alternation that a bracket is; else its text."""
        marks = "".join(self._source[divider.start] for divider in closed.dividers)
        if closed.bracket == "[" and marks:
            number = _NUMBER.fullmatch(self._source, closed.dividers[-1].end, closer.start)
            if marks == "|" * len(marks):
                return Alternation(closed.parts)
            if number and marks in (":", "::"):
                before: Items = closed.parts[0] if marks == "::" else []
                return Edit(before, closed.parts[-2], number[1])
            self._problems.unread(Slice(closed.start, closer.end), marks, closed.dividers[-1].end)
        elif marks:
            self._problems.weight(Slice(closed.start, closer.end), closed.dividers[-1].end)
        return closed.literal(closer.end)


def parse_editing(text: str) -> Editing:
    """What changes with the steps in a text."""
    return _Parser(text).parse()
