"""Finds the names of embeddings among a prompt's tokens, as A1111 does: the longest name that begins at a token.

A name is looked for as the tokens it consists of, so letter case does not matter, and a name also answers inside a
longer word whose tokens happen to contain its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from modules.prompts.chunks import EmbeddingMatch


class EmbeddingNames:
    """An `EmbeddingMatcher` over names and their numbers of vectors; of equal names the last counts."""

    def __init__(self, vectors: Mapping[str, int], encode: Callable[[str], list[int]]) -> None:
        by_tokens = {tuple(encode(name)): EmbeddingMatch(name, count, 0) for name, count in vectors.items() if count}
        self._by_first: dict[int, list[tuple[tuple[int, ...], EmbeddingMatch]]] = {}
        for tokens in sorted(filter(None, by_tokens), key=len, reverse=True):
            match = by_tokens[tokens]._replace(consumed=len(tokens))
            self._by_first.setdefault(tokens[0], []).append((tokens, match))

    def match(self, tokens: Sequence[int], position: int) -> EmbeddingMatch | None:
        """The longest name that begins at `position`, or None."""
        return next(self._at(tokens, position), None)

    def anywhere(self, tokens: Sequence[int]) -> set[str]:
        """All names that stand somewhere in `tokens`, also inside longer names."""
        return {match.name for position in range(len(tokens)) for match in self._at(tokens, position)}

    def _at(self, tokens: Sequence[int], position: int) -> Iterator[EmbeddingMatch]:
        return (
            match
            for name, match in self._by_first.get(tokens[position], ())
            if tuple(tokens[position : position + len(name)]) == name
        )
