"""A whole prompt: from what was typed to pieces whose texts are known for every step.

typed text -> without comments -> without network tags -> pieces (AND) -> stages (schedule.py)
                                                     -> runs of equal weight (grammar.py) -> tokens -> chunks
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise

from modules.prompts.chunks import EmbeddingMatcher, TokenCount, Tokenizer, count_tokens
from modules.prompts.schedule import Editing, Stage, Timing, parse_editing
from modules.prompts.tags import KINDS, NetworkTag, find_tags

# A line that begins with #, or the rest of a line after one. In the middle of a line nothing begins right after a
# letter or digit (C#), at a colour (#ff8800) or after a backslash.
_COMMENT = re.compile(
    r"(?:\A|(?<=\n)|\n)#[^\n]*(?:\n|\Z)"
    r"|(?<![\w\\])#(?!(?:[0-9a-fA-F]{3}){1,2}\b)[^\n]*(?:\n|\Z)"
)
_AND = re.compile(r"\bAND\b")
_PIECE_WEIGHT = re.compile(r"\s*([-+]?(?:[0-9]{1,9}\.?|[0-9]{0,9}\.[0-9]{1,9}))\s*")
_USUAL_STEPS = 20


@dataclass(frozen=True, eq=False)
class Piece:
    """One of the texts that AND joins, and its weight; `start` is where it begins in the cleaned prompt."""

    editing: Editing
    weight: float
    start: int

    def texts(self, timing: Timing) -> list[tuple[int, str]]:
        """(last step, text) of every stage, by rising step."""
        return [(stage.end, self.editing.text(stage)) for stage in self.editing.stages(timing)]


@dataclass(frozen=True, eq=False)
class Prompt:
    """A parsed prompt; there is at least one piece.

    `tags`: the networks it asks for. `problems`: sentences on what could not be read and is used as text.
    `offsets`: where each character of the cleaned prompt stands in what was typed; one more for its end.
    """

    pieces: tuple[Piece, ...]
    tags: tuple[NetworkTag, ...]
    problems: tuple[str, ...]
    offsets: list[int]

    def source_offset(self, piece: Piece, stage: Stage, offset: int) -> int:
        """Where character `offset` of a stage's text stands in what was typed."""
        for start, end in stage.slices:
            if offset < end - start:
                return self.offsets[piece.start + start + offset]
            offset -= end - start
        return self.offsets[-1]


def parse_prompt(text: str) -> Prompt:
    """The pieces and networks of a positive prompt."""
    without_comments, offsets = _cut(text, list(range(len(text) + 1)), _comments(text))
    tags = find_tags(without_comments)
    clean, offsets = _cut(without_comments, offsets, ((place, "") for _, place in tags))
    borders = [(0, 0), *((match.start(), match.end()) for match in _AND.finditer(clean)), (len(clean), 0)]
    pieces = tuple(_piece(clean, start, end) for (_, start), (end, _) in pairwise(borders))
    problems = [
        f"{tag} is left out: its kind is none of {', '.join(KINDS)}." for tag, _ in tags if tag.kind not in KINDS
    ]
    problems += (problem for piece in pieces for problem in piece.editing.problems)
    return Prompt(pieces, tuple(tag for tag, _ in tags), tuple(problems), offsets)


def parse_negative(text: str) -> Prompt:
    """The one piece of a negative prompt, in which AND and network tags are text."""
    clean, offsets = _cut(text, list(range(len(text) + 1)), _comments(text))
    editing = parse_editing(clean)
    return Prompt((Piece(editing, 1.0, 0),), (), editing.problems, offsets)


def strip_comments(text: str) -> str:
    """The text without comments; each leaves the end of its line."""
    return _cut(text, [], _comments(text))[0]


def count_prompt(
    text: str,
    tokenizer: Tokenizer,
    *,
    negative: bool = False,
    steps: int = _USUAL_STEPS,
    emphasis: str = "Original",
    comma_backtrack: int = 20,
    embeddings: EmbeddingMatcher | None = None,
) -> TokenCount:
    """The count of a prompt's longest text, of all its pieces and their stages over so many steps."""
    prompt = parse_negative(text) if negative else parse_prompt(text)
    longest: TokenCount | None = None
    for piece in prompt.pieces:
        stages = {stage.slices: stage for stage in piece.editing.stages(Timing(steps))}
        for stage in stages.values():
            count = count_tokens(
                piece.editing.text(stage),
                tokenizer,
                emphasis=emphasis,
                comma_backtrack=comma_backtrack,
                embeddings=embeddings,
            )
            if longest is None or count.used > longest.used:
                borders = tuple(prompt.source_offset(piece, stage, border) for border in count.borders)
                longest = replace(count, borders=borders)
    assert longest is not None
    return longest


def _comments(text: str) -> Iterable[tuple[slice, str]]:
    return ((slice(match.start(), match.end()), "\n") for match in _COMMENT.finditer(text))


def _cut(text: str, offsets: list[int], places: Iterable[tuple[slice, str]]) -> tuple[str, list[int]]:
    """Text and offsets with `places` replaced by at most one character each."""
    kept: list[str] = []
    left: list[int] = []
    done = 0
    for place, instead in places:
        kept += (text[done : place.start], instead)
        left += offsets[done : place.start + len(instead)]
        done = place.stop
    return "".join((*kept, text[done:])), left + offsets[done:]


def _piece(clean: str, start: int, end: int) -> Piece:
    text = clean[start:end].rstrip()
    head, colon, tail = text.rpartition(":")
    weight = _PIECE_WEIGHT.fullmatch(tail) if colon else None
    if weight is None:
        return Piece(parse_editing(text), 1.0, start)
    return Piece(parse_editing(head.rstrip()), float(weight[1]), start)
