"""Templates of prompts: their grammar, and what is made of them. No text in them can be wrong: what does not close is
taken as it stands.

    {red|green|blue}            one of them
    {3::red|blue}               red three times as often
    {2$$red|green|blue}         two of them, with ", " between
    {1-3$$ and $$red|green}     one to three, with " and " between
    __animals__                 a line of the file animals.txt; * stands for anything in its name
    \\{ \\} \\| \\_               the characters themselves
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations, islice, product

Lines = Callable[[str], list[str]]
"""A wildcard's name to its lines; raises what the user is to read."""

MOST = 10_000
_DEEPEST = 12
_ESCAPED = tuple("{}|_")
_COUNT = re.compile(r"\s*(\d+)?(-)?(\d+)?\s*\$\$")
_WEIGHT = re.compile(r"\s*(\d+(?:\.\d+)?)::")
_WILD = re.compile(r"__([\w./*-]+?)__")


@dataclass(frozen=True)
class Text:
    text: str


@dataclass(frozen=True)
class Wild:
    name: str


@dataclass(frozen=True)
class Choice:
    """`least` to `most` of the options, each a sequence with its weight."""

    options: tuple[tuple[float, Sequence], ...]
    least: int = 1
    most: int = 1
    between: str = ", "


@dataclass(frozen=True)
class Sequence:
    parts: tuple[Text | Wild | Choice, ...]


def parse(text: str) -> Sequence:
    """The template of a prompt."""
    return _Parser(text, _closing(text)).sequence("")


def chosen(template: Sequence, chance: random.Random, lines: Lines, depth: int = 0) -> str:
    """One text of a template, drawn by chance."""
    return "".join(_drawn(part, chance, lines, depth) for part in template.parts)


def nth(template: Sequence, index: int, lines: Lines) -> tuple[str, int]:
    """(text number `index` of all there are, in order and over again; how many those are, up to MOST)."""
    texts = list(islice(_all(template, lines, 0), MOST))
    return texts[index % len(texts)], len(texts)


def _drawn(part: Text | Wild | Choice, chance: random.Random, lines: Lines, depth: int) -> str:
    if isinstance(part, Text):
        return part.text
    if depth > _DEEPEST:
        return ""
    if isinstance(part, Wild):
        return chosen(parse(chance.choice(lines(part.name))), chance, lines, depth + 1)
    wanted = chance.randint(part.least, part.most)
    left, taken = list(part.options), []
    while left and len(taken) < wanted:
        weights = [weight for weight, _ in left]
        place = chance.choices(range(len(left)), weights)[0] if sum(weights) > 0 else chance.randrange(len(left))
        taken.append(chosen(left.pop(place)[1], chance, lines, depth + 1))
    return part.between.join(taken)


def _all(template: Sequence, lines: Lines, depth: int) -> Iterator[str]:
    """Every text, the last part changing fastest."""
    lists = [list(islice(_each(part, lines, depth), MOST)) for part in template.parts]
    return ("".join(texts) for texts in product(*lists))


def _each(part: Text | Wild | Choice, lines: Lines, depth: int) -> Iterator[str]:
    if isinstance(part, Text):
        yield part.text
    elif depth > _DEEPEST:
        yield ""
    elif isinstance(part, Wild):
        for line in lines(part.name):
            yield from _all(parse(line), lines, depth + 1)
    else:
        options = [option for _, option in part.options]
        for count in range(part.least, min(part.most, len(options)) + 1):
            for group in combinations(options, count):
                for texts in product(*(list(islice(_all(one, lines, depth + 1), MOST)) for one in group)):
                    yield part.between.join(texts)


def _closing(text: str) -> dict[int, int]:
    """Where each brace that opens closes; those that do not close, or lie too deep, are not in it."""
    found: dict[int, int] = {}
    opened: list[int] = []
    escaped = -1
    for at, character in enumerate(text):
        if at == escaped:
            continue
        if character == "\\" and text[at + 1 : at + 2] in _ESCAPED:
            escaped = at + 1
        elif character == "{":
            opened.append(at)
        elif character == "}" and opened:
            start = opened.pop()
            if len(opened) < _DEEPEST:
                found[start] = at
    return found


class _Parser:
    """Reads a template from left to right."""

    def __init__(self, text: str, closing: dict[int, int], start: int = 0) -> None:
        self._text = text
        self._closing = closing
        self._at = start

    def sequence(self, ends: str) -> Sequence:
        """Up to one of the characters `ends`, or the end of the text."""
        parts: list[Text | Wild | Choice] = []
        plain = ""
        while self._at < len(self._text) and self._text[self._at] not in (ends or "\0"):
            special = self._special()
            if special is None:
                plain += self._character()
                continue
            parts += [Text(plain)] if plain else []
            plain = ""
            parts.append(special)
        return Sequence((*parts, Text(plain)) if plain else tuple(parts))

    def _character(self) -> str:
        if self._text[self._at] == "\\" and self._text[self._at + 1 : self._at + 2] in _ESCAPED:
            self._at += 1
        self._at += 1
        return self._text[self._at - 1]

    def _special(self) -> Wild | Choice | None:
        wild = _WILD.match(self._text, self._at)
        if wild is not None:
            self._at = wild.end()
            return Wild(wild[1])
        return self._choice() if self._text[self._at] == "{" else None

    def _choice(self) -> Choice | None:
        """What is in braces; None (and nothing read) where they do not close."""
        if self._at not in self._closing:
            return None
        inside = _Parser(self._text, self._closing, self._at + 1)
        count = _COUNT.match(self._text, inside._at)
        least, most, between = 1, 1, ", "
        if count is not None and (count[1] or count[3]):
            inside._at = count.end()
            least = int(count[1] or 1)
            most = int(count[3]) if count[3] else (least if count[2] is None else math.inf)
            between = inside._between()
        options: list[tuple[float, Sequence]] = []
        while True:
            weight = _WEIGHT.match(self._text, inside._at)
            if weight is not None:
                inside._at = weight.end()
            options.append((float(weight[1]) if weight else 1.0, inside.sequence("|}")))
            inside._at += 1
            if self._text[inside._at - 1] == "}":
                self._at = inside._at
                least = min(least, len(options))
                return Choice(tuple(options), least, max(int(min(most, len(options))), least), between)

    def _between(self) -> str:
        """` and ` of `2$$ and $$a|b`."""
        end = self._text.find("$$", self._at)
        if end < 0 or any(c in self._text[self._at : end] for c in "{}|"):
            return ", "
        found = self._text[self._at : end]
        self._at = end + 2
        return found
