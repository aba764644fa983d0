"""The prompt's emphasis language: brackets, weights, escapes and BREAK, as AUTOMATIC1111 reads them.

A prompt passes through stages, each from text to text or to runs, so that a stage can be put in front of another:

    prompt -> pieces (AND) -> step variants ([a:b:n], [a|b]) -> runs of equal weight (this module) -> tokens -> chunks

Round and square brackets are counted apart and may overlap (`(a [b) c]`), so the structure is not one tree but spans
over a list of atoms: `scan` finds atoms and spans, `parse_emphasis` turns them into runs.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

ROUND_FACTOR = 1.1
SQUARE_FACTOR = 1 / 1.1

# A number of more digits than this is text: it could only be a slip, and a weight must stay finite.
_WEIGHT = r"[+-]?(?:\d{1,9}(?:\.\d*)?|\.\d+)"
_LEXEME = re.compile(
    rf"""
      \\(?P<escaped>[()\[\]\\])
    | (?P<backslash>\\)
    | (?P<opener>[(\[])
    | :\s*(?P<weight>{_WEIGHT})\s*\)
    | (?P<closer>[)\]])
    | (?P<text>[^\\()\[\]:]+)
    | (?P<colon>:)
    """,
    re.VERBOSE,
)
# Spaces around the word are taken off by hand: `\s*` before it would cost the square of a long run of spaces.
_BREAK = re.compile(r"\bBREAK\b\s*")


@dataclass(frozen=True)
class Run:
    """A stretch of text with one weight; a break has the text BREAK and weight -1.

    `origin` has pairs (offset in `text`, offset in the source) for every stretch taken over unchanged, ascending; it
    is not part of a run's identity.
    """

    text: str
    weight: float
    is_break: bool = False
    origin: tuple[tuple[int, int], ...] = field(default=((0, 0),), compare=False, repr=False)

    def source_offset(self, offset: int) -> int:
        """Where character `offset` of this run stands in the parsed text."""
        start, source = self.origin[bisect_right(self.origin, offset, key=lambda pair: pair[0]) - 1]
        return source + offset - start


class Atom(NamedTuple):
    """Literal text at offset `start` of the source, or a break, whose `start` is where the text goes on after it."""

    text: str
    start: int
    is_break: bool = False


class Span(NamedTuple):
    """Atoms `first` up to, not including, `end` are multiplied by `factor`."""

    first: int
    end: int
    factor: float


@dataclass(frozen=True)
class Scan:
    """Atoms of a text and the spans of its two kinds of brackets; the spans of one kind nest."""

    atoms: list[Atom]
    round_spans: list[Span]
    square_spans: list[Span]


def parse_emphasis(text: str, mode: str = "Original") -> list[Run]:
    """Runs of equal weight, neighbours merged; an empty text is one empty run.

    `mode` is an emphasis mode: "None" takes everything literally, all others parse alike (what the weights do is the
    encoder's matter). A number that cannot be read is text; BREAK is a break inside brackets too.
    """
    if mode == "None":
        return [Run(text, 1.0)]
    scanned = scan(text)
    count = len(scanned.atoms)
    rounds, squares = _factors(scanned.round_spans, count), _factors(scanned.square_spans, count)
    weights = [r * s for r, s in zip(rounds, squares, strict=True)]
    return list(_merge(scanned.atoms, weights)) or [Run("", 1.0)]


def is_weight(text: str) -> bool:
    """Whether `text` is a number that can stand after the colon of round brackets."""
    return re.fullmatch(_WEIGHT, text.strip()) is not None


def scan(text: str) -> Scan:
    """Atoms and bracket spans of `text`; what is left open closes at the end, stray closers are text."""
    found = Scan([], [], [])
    open_round: list[int] = []
    open_square: list[int] = []
    for match in _LEXEME.finditer(text):
        kind, value = match.lastgroup, match.group(match.lastgroup or 0)
        if kind == "opener":
            (open_round if value == "(" else open_square).append(len(found.atoms))
        elif kind == "weight" and open_round:
            found.round_spans.append(Span(open_round.pop(), len(found.atoms), float(value)))
        elif kind == "closer" and value == ")" and open_round:
            found.round_spans.append(Span(open_round.pop(), len(found.atoms), ROUND_FACTOR))
        elif kind == "closer" and value == "]" and open_square:
            found.square_spans.append(Span(open_square.pop(), len(found.atoms), SQUARE_FACTOR))
        elif kind == "escaped":
            found.atoms.append(Atom(value, match.start("escaped")))
        elif kind != "backslash":
            found.atoms.extend(_split_breaks(match.group(), match.start()))
    end = len(found.atoms)
    found.round_spans.extend(Span(first, end, ROUND_FACTOR) for first in reversed(open_round))
    found.square_spans.extend(Span(first, end, SQUARE_FACTOR) for first in reversed(open_square))
    return found


def _split_breaks(text: str, start: int) -> Iterator[Atom]:
    done = 0
    for match in _BREAK.finditer(text):
        before = text[done : match.start()].rstrip()
        if before:
            yield Atom(before, start + done)
        yield Atom("BREAK", start + match.end(), is_break=True)
        done = match.end()
    if done < len(text):
        yield Atom(text[done:], start + done)


def _factors(spans: list[Span], count: int) -> list[float]:
    """The product of the factors over each of `count` atoms, in one pass (the spans nest)."""
    # Inner spans were closed first: in reverse order, and by their first atom, outer ones come first.
    outer_first = sorted(reversed(spans), key=lambda span: span.first)
    factors: list[float] = []
    stack: list[tuple[int, float]] = []
    upcoming = iter(outer_first)
    span = next(upcoming, None)
    for index in range(count):
        while stack and stack[-1][0] <= index:
            stack.pop()
        while span is not None and span.first <= index:
            if span.end > index:
                stack.append((span.end, span.factor * (stack[-1][1] if stack else 1.0)))
            span = next(upcoming, None)
        factors.append(stack[-1][1] if stack else 1.0)
    return factors


def _merge(atoms: list[Atom], weights: list[float]) -> Iterator[Run]:
    parts: list[str] = []
    origin: list[tuple[int, int]] = []
    length, current = 0, 1.0
    for atom, weight in zip(atoms, weights, strict=True):
        if parts and (atom.is_break or weight != current):
            yield Run("".join(parts), current, origin=tuple(origin))
            parts, origin, length = [], [], 0
        if atom.is_break:
            yield Run("BREAK", -1.0, is_break=True, origin=((0, atom.start),))
            continue
        current = weight
        parts.append(atom.text)
        origin.append((length, atom.start))
        length += len(atom.text)
    if parts:
        yield Run("".join(parts), current, origin=tuple(origin))
