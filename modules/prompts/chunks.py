"""Prompt to chunks of 75 tokens, each with start and end tokens: what a CLIP text encoder is given.

A prompt of any length becomes as many chunks as it needs. A full chunk prefers to end at a comma, BREAK ends it at
once, and the rest is padded with the end token.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from modules.prompts.grammar import Run, parse_emphasis
from modules.prompts.tokens import BOS, COMMA, EOS

CHUNK_ROOM = 75
CHUNK_LENGTH = CHUNK_ROOM + 2


class Tokenizer(Protocol):
    """What is needed of a tokenizer here."""

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[int]]: ...


@dataclass(frozen=True)
class Chunk:
    """77 token ids (start, up to 75, end, padding by end) and a weight for each (1 for all but the prompt's own)."""

    tokens: tuple[int, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True)
class TokenCount:
    """`used` tokens of `limit`; `borders` are the offsets in the text at which a further chunk starts."""

    used: int
    limit: int
    borders: tuple[int, ...]


class _Unit(NamedTuple):
    """What a chunk is filled with: one token, later also an embedding of several vectors that stays together."""

    token: int
    weight: float
    offset: int


@dataclass
class _Filling:
    """A chunk being filled: `start` is where it begins in the text, `comma` the index of its last comma."""

    start: int = 0
    units: list[_Unit] = field(default_factory=list[_Unit])
    comma: int | None = None
    finished: bool = False

    @property
    def full(self) -> bool:
        return len(self.units) == CHUNK_ROOM

    def split_at_comma(self, reach: int) -> list[_Unit]:
        """Cut off and return the units after the last comma, if it is at most `reach` back; else nothing."""
        if self.comma is None or CHUNK_ROOM - self.comma > reach:
            return []
        moved = self.units[self.comma + 1 :]
        del self.units[self.comma + 1 :]
        return moved

    def add(self, unit: _Unit) -> None:
        if unit.token == COMMA:
            self.comma = len(self.units)
        self.units.append(unit)


def chunk_prompt(
    text: str, tokenizer: Tokenizer, *, emphasis: str = "Original", comma_backtrack: int = 20
) -> list[Chunk]:
    """The chunks of `text`, at least one.

    When a chunk is full and a comma stands at most `comma_backtrack` tokens back, what follows the comma moves to the
    next chunk (0 = never).
    """
    return [_padded(filling.units) for filling in _fill(text, tokenizer, emphasis, comma_backtrack)]


def count_tokens(
    text: str, tokenizer: Tokenizer, *, emphasis: str = "Original", comma_backtrack: int = 20
) -> TokenCount:
    """How many tokens `text` takes, finished chunks counting in full, and where its further chunks start."""
    fillings = _fill(text, tokenizer, emphasis, comma_backtrack)
    used = sum(CHUNK_ROOM if filling.finished else len(filling.units) for filling in fillings)
    limit = CHUNK_ROOM * math.ceil(max(used, 1) / CHUNK_ROOM)
    return TokenCount(used, limit, tuple(filling.start for filling in fillings[1:]))


def _fill(text: str, tokenizer: Tokenizer, emphasis: str, comma_backtrack: int) -> list[_Filling]:
    fillings = [_Filling()]
    for run in parse_emphasis(text, emphasis):
        if run.is_break:
            fillings[-1].finished = True
            fillings.append(_Filling(start=run.source_offset(0)))
            continue
        for unit in _units(run, tokenizer):
            _place(fillings, unit, comma_backtrack)
    # A break at the very end starts nothing.
    if len(fillings) > 1 and not fillings[-1].units:
        fillings.pop()
    return fillings


def _units(run: Run, tokenizer: Tokenizer) -> Iterator[_Unit]:
    """The tokens of a run; the place where embeddings' names are found among them."""
    tokens, offsets = tokenizer.encode_with_offsets(run.text)
    for token, offset in zip(tokens, offsets, strict=True):
        yield _Unit(token, run.weight, run.source_offset(offset))


def _place(fillings: list[_Filling], unit: _Unit, comma_backtrack: int) -> None:
    filling = fillings[-1]
    if filling.full:
        moved = filling.split_at_comma(comma_backtrack) if unit.token != COMMA else []
        filling.finished = True
        filling = _Filling(start=(moved or [unit])[0].offset, units=moved)
        fillings.append(filling)
    elif not filling.units:
        filling.start = unit.offset
    filling.add(unit)


def _padded(units: list[_Unit]) -> Chunk:
    padding = CHUNK_LENGTH - 1 - len(units)
    return Chunk(
        tokens=(BOS, *(unit.token for unit in units), *(EOS,) * padding),
        weights=(1.0, *(unit.weight for unit in units), *(1.0,) * padding),
    )
