"""Prompt to chunks of 75 tokens, each with start and end tokens: what a CLIP text encoder is given.

A prompt of any length becomes as many chunks as it needs. A full chunk prefers to end at a comma, BREAK ends it at
once, and the rest is padded with the end token.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from modules.prompts.grammar import Run, parse_emphasis
from modules.prompts.tokens import BOS, COMMA, EOS

CHUNK_ROOM = 75
CHUNK_LENGTH = CHUNK_ROOM + 2
_PLACEHOLDER = 0


class Tokenizer(Protocol):
    """What is needed of a tokenizer here."""

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[int]]: ...


class EmbeddingMatch(NamedTuple):
    """An embedding's name found in a token stream: its `vectors` stand in for the next `consumed` tokens."""

    name: str
    vectors: int
    consumed: int


class EmbeddingMatcher(Protocol):
    """Knows which token sequences are names of embeddings."""

    def match(self, tokens: Sequence[int], position: int) -> EmbeddingMatch | None:
        """The longest name that begins at `position` of `tokens` (one run of equal weight), at least one token and
        one vector long, or None."""
        ...


class EmbeddingPlace(NamedTuple):
    """Vectors `first_vector` up to `first_vector + count` of an embedding stand at `position` of a chunk's 77 tokens
    and after it; the token ids there are 0."""

    position: int
    name: str
    first_vector: int
    count: int


@dataclass(frozen=True)
class Chunk:
    """77 token ids (start, up to 75, end, padding by end) and a weight for each (1 for all but the prompt's own).

    `embeddings` says where vectors of embeddings take the place of the tokens' own, by rising position.
    """

    tokens: tuple[int, ...]
    weights: tuple[float, ...]
    embeddings: tuple[EmbeddingPlace, ...] = ()


@dataclass(frozen=True)
class TokenCount:
    """`used` tokens of `limit`; `borders` are the offsets in the text at which a further chunk starts; `fills` is the
    count of tokens in each chunk."""

    used: int
    limit: int
    borders: tuple[int, ...]
    fills: tuple[int, ...]


class _Unit(NamedTuple):
    """What a chunk is filled with and never divides: one token, or the vectors of an embedding (up to 75)."""

    token: int
    weight: float
    offset: int
    length: int = 1
    name: str = ""
    first_vector: int = 0


@dataclass
class _Filling:
    """A chunk being filled: `start` is where it begins in the text, `used` counts tokens and vectors, `comma` is the
    index of its last comma among the units and `comma_end` the count of tokens up to it."""

    start: int = 0
    units: list[_Unit] = field(default_factory=list[_Unit])
    used: int = 0
    comma: int | None = None
    comma_end: int = 0
    finished: bool = False

    def split_at_comma(self, reach: int) -> list[_Unit]:
        """Cut off and return the units after the last comma, if it is at most `reach` back; else nothing."""
        if self.comma is None or self.used - self.comma_end + 1 > reach:
            return []
        moved = self.units[self.comma + 1 :]
        del self.units[self.comma + 1 :]
        self.used = self.comma_end
        return moved

    def add(self, unit: _Unit) -> None:
        self.used += unit.length
        if unit.token == COMMA:
            self.comma, self.comma_end = len(self.units), self.used
        self.units.append(unit)


def chunk_prompt(
    text: str,
    tokenizer: Tokenizer,
    *,
    emphasis: str = "Original",
    comma_backtrack: int = 20,
    embeddings: EmbeddingMatcher | None = None,
) -> list[Chunk]:
    """The chunks of `text`, at least one.

    When a chunk is full and a comma stands at most `comma_backtrack` tokens back, what follows the comma moves to the
    next chunk (0 = never). An embedding that does not fit moves to the next chunk whole; one of more than 75 vectors
    is divided.
    """
    return [_padded(filling.units) for filling in _fill(text, tokenizer, emphasis, comma_backtrack, embeddings)]


def count_tokens(
    text: str,
    tokenizer: Tokenizer,
    *,
    emphasis: str = "Original",
    comma_backtrack: int = 20,
    embeddings: EmbeddingMatcher | None = None,
) -> TokenCount:
    """How many tokens `text` takes, finished chunks counting in full, and where its further chunks start."""
    fillings = _fill(text, tokenizer, emphasis, comma_backtrack, embeddings)
    used = sum(CHUNK_ROOM if filling.finished else filling.used for filling in fillings)
    limit = CHUNK_ROOM * math.ceil(max(used, 1) / CHUNK_ROOM)
    borders = tuple(filling.start for filling in fillings[1:])
    return TokenCount(used, limit, borders, tuple(filling.used for filling in fillings))


def _fill(
    text: str, tokenizer: Tokenizer, emphasis: str, comma_backtrack: int, embeddings: EmbeddingMatcher | None
) -> list[_Filling]:
    fillings = [_Filling()]
    for run in parse_emphasis(text, emphasis):
        if run.is_break:
            fillings[-1].finished = True
            fillings.append(_Filling(start=run.source_offset(0)))
            continue
        for unit in _units(run, tokenizer, embeddings):
            _place(fillings, unit, comma_backtrack)
    # A break at the very end starts nothing.
    if len(fillings) > 1 and not fillings[-1].units:
        fillings.pop()
    return fillings


def _units(run: Run, tokenizer: Tokenizer, embeddings: EmbeddingMatcher | None) -> Iterator[_Unit]:
    """The tokens of a run, with the names of embeddings among them replaced."""
    tokens, offsets = tokenizer.encode_with_offsets(run.text)
    position = 0
    while position < len(tokens):
        offset = run.source_offset(offsets[position])
        found = embeddings.match(tokens, position) if embeddings else None
        if found is None:
            yield _Unit(tokens[position], run.weight, offset)
            position += 1
            continue
        for first in range(0, found.vectors, CHUNK_ROOM):
            length = min(CHUNK_ROOM, found.vectors - first)
            yield _Unit(_PLACEHOLDER, run.weight, offset, length, found.name, first)
        position += found.consumed


def _place(fillings: list[_Filling], unit: _Unit, comma_backtrack: int) -> None:
    filling = fillings[-1]
    if filling.used + unit.length > CHUNK_ROOM:
        moved = _moved(filling, unit, comma_backtrack)
        filling.finished = True
        fillings.append(_Filling())
        for one in (*moved, unit):
            _place(fillings, one, 0)
        return
    if not filling.units:
        filling.start = unit.offset
    filling.add(unit)


def _moved(filling: _Filling, unit: _Unit, comma_backtrack: int) -> list[_Unit]:
    """What leaves the chunk `filling` together with `unit`, which has no room in it."""
    # As in A1111 nothing goes with a comma, nor with an embedding that is too long for the room that is left.
    if unit.token == COMMA or filling.used < CHUNK_ROOM:
        return []
    return filling.split_at_comma(comma_backtrack)


def _padded(units: list[_Unit]) -> Chunk:
    tokens, weights, places = [BOS], [1.0], list[EmbeddingPlace]()
    for unit in units:
        if unit.name:
            places.append(EmbeddingPlace(len(tokens), unit.name, unit.first_vector, unit.length))
        tokens += [unit.token] * unit.length
        weights += [unit.weight] * unit.length
    padding = CHUNK_LENGTH - len(tokens)
    return Chunk((*tokens, *(EOS,) * padding), (*weights, *(1.0,) * padding), tuple(places))
