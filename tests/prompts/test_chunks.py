"""Chunks of 75 tokens: A1111's vectors, padding, borders and speed (in CPU time: the machine may be busy)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from modules.prompts.chunks import CHUNK_LENGTH, Chunk, EmbeddingMatch, EmbeddingPlace, chunk_prompt, count_tokens
from modules.prompts.tokens import BOS, COMMA, EOS, ClipTokenizer, load_tokenizer
from tests.growth import grows_in_proportion

CAT = 2368

VECTORS = [
    (56, [75], [75], (75, 75)),
    (57, [76], [75, 1], (76, 150)),
    (58, [70, ",", 10], [71, 10], (85, 150)),
    (59, [55, ",", 30], [56, 30], (105, 150)),
    (60, [54, ",", 30], [75, 10], (85, 150)),
    (61, [75, ",", 3], [75, 4], (79, 150)),
    (62, [3, "BREAK", 4], [3, 4], (79, 150)),
    (63, [75, "BREAK", 2], [75, 2], (77, 150)),
    (64, [], [0], (0, 75)),
]


@pytest.fixture(scope="module")
def tokenizer() -> ClipTokenizer:
    return load_tokenizer()


def prompt(parts: list[int | str]) -> str:
    return " ".join(part if isinstance(part, str) else " ".join(["cat"] * part) for part in parts)


def fill(chunk: Chunk) -> int:
    """Tokens between start and padding."""
    return chunk.tokens.index(EOS) - 1


@pytest.mark.parametrize(("number", "parts", "fills", "counter"), VECTORS, ids=[str(v[0]) for v in VECTORS])
def test_vectors(
    tokenizer: ClipTokenizer, number: int, parts: list[int | str], fills: list[int], counter: tuple[int, int]
) -> None:
    text = prompt(parts)
    chunks = chunk_prompt(text, tokenizer)
    assert [fill(chunk) for chunk in chunks] == fills
    count = count_tokens(text, tokenizer)
    assert (count.used, count.limit) == counter
    assert len(count.borders) == len(chunks) - 1


def test_a_chunk_is_start_words_and_end_tokens(tokenizer: ClipTokenizer) -> None:
    (chunk,) = chunk_prompt("cat, (cat:1.5)", tokenizer)
    assert chunk.tokens == (BOS, CAT, COMMA, CAT, *[EOS] * 73)
    assert chunk.weights == (1.0, 1.0, 1.0, 1.5, *[1.0] * 73)


@pytest.mark.parametrize(
    ("text", "fills", "used"),
    [
        ("BREAK", [0], 75),
        ("cat BREAK", [1], 75),
        ("cat BREAK BREAK cat", [1, 0, 1], 151),
        ("BREAK cat", [0, 1], 76),
        ("(cat BREAK cat:1.3)", [1, 1], 76),
    ],
)
def test_breaks(tokenizer: ClipTokenizer, text: str, fills: list[int], used: int) -> None:
    chunks = chunk_prompt(text, tokenizer)
    assert [fill(chunk) for chunk in chunks] == fills
    assert count_tokens(text, tokenizer).used == used
    for chunk in chunks:
        assert len(chunk.tokens) == len(chunk.weights) == CHUNK_LENGTH


@pytest.mark.parametrize(("backtrack", "fills"), [(0, [75, 6]), (4, [75, 6]), (5, [71, 10]), (74, [71, 10])])
def test_comma_backtrack(tokenizer: ClipTokenizer, backtrack: int, fills: list[int]) -> None:
    chunks = chunk_prompt(prompt([70, ",", 10]), tokenizer, comma_backtrack=backtrack)
    assert [fill(chunk) for chunk in chunks] == fills


def test_a_comma_of_an_earlier_chunk_is_not_gone_back_to(tokenizer: ClipTokenizer) -> None:
    assert [fill(c) for c in chunk_prompt(prompt([70, ",", 100]), tokenizer)] == [71, 75, 25]


def test_a_comma_that_does_not_fit_starts_the_next_chunk(tokenizer: ClipTokenizer) -> None:
    chunks = chunk_prompt(prompt([70, ",", 4, ",", 3]), tokenizer)
    assert [fill(chunk) for chunk in chunks] == [75, 4]
    assert chunks[1].tokens[1] == COMMA


def test_emphasis_none_keeps_brackets_and_break_as_text(tokenizer: ClipTokenizer) -> None:
    (chunk,) = chunk_prompt("(cat:1.5) BREAK", tokenizer, emphasis="None")
    assert list(chunk.tokens[1 : fill(chunk) + 1]) == tokenizer.encode("(cat:1.5) BREAK")
    assert set(chunk.weights) == {1.0}


def test_borders_are_offsets_of_the_text(tokenizer: ClipTokenizer) -> None:
    text = "a (" + "cat " * 74 + r"DOG:1.2) \(x\) bird BREAK  Fish"
    borders = count_tokens(text, tokenizer).borders
    assert [text[border:][:4] for border in borders] == ["DOG:", "Fish"]


def test_borders_after_a_moved_comma(tokenizer: ClipTokenizer) -> None:
    text = prompt([70, ",", "bird", 10])
    assert text[count_tokens(text, tokenizer).borders[0] :].startswith("bird")


def test_a_thousand_words_chunk(tokenizer: ClipTokenizer) -> None:
    def words(count: int) -> str:
        return ", ".join(
            f"(a shiny {word}:1.{i % 9}) [in the] style" for i, word in enumerate(["fox", "sea"] * count)
        )

    assert len(words(100).split()) == 1200
    assert len(chunk_prompt(words(100), tokenizer)) > 15
    assert grows_in_proportion(lambda text: chunk_prompt(text, tokenizer), words, 20)


class Fish:
    """A matcher that knows "fish" followed by "cat" as an embedding of so many vectors."""

    def __init__(self, tokenizer: ClipTokenizer, vectors: int) -> None:
        self.tokens = tokenizer.encode("fish cat")
        self.vectors = vectors

    def match(self, tokens: Sequence[int], position: int) -> EmbeddingMatch | None:
        found = list(tokens[position : position + 2]) == self.tokens
        return EmbeddingMatch("fish", self.vectors, 2) if found else None


def test_an_embedding_takes_the_place_of_its_name(tokenizer: ClipTokenizer) -> None:
    (chunk,) = chunk_prompt("cat (fish cat:1.5) cat", tokenizer, embeddings=Fish(tokenizer, 3))
    assert chunk.tokens == (BOS, CAT, 0, 0, 0, CAT, *[EOS] * 71)
    assert chunk.weights == (1.0, 1.0, 1.5, 1.5, 1.5, 1.0, *[1.0] * 71)
    assert chunk.embeddings == (EmbeddingPlace(2, "fish", 0, 3),)
    assert chunk_prompt("cat", tokenizer, embeddings=Fish(tokenizer, 3)) == chunk_prompt("cat", tokenizer)


def test_an_embedding_is_found_within_one_run_only(tokenizer: ClipTokenizer) -> None:
    (chunk,) = chunk_prompt("fish (cat:1.5)", tokenizer, embeddings=Fish(tokenizer, 3))
    assert chunk.embeddings == ()


@pytest.mark.parametrize(
    ("before", "vectors", "fills", "places"),
    [
        ([70], 5, [75, 1], [(71, 0, 5)]),
        ([71], 5, [71, 6], [(1, 0, 5)]),
        ([60, ",", 10], 5, [71, 6], [(1, 0, 5)]),
        ([60, ",", 14], 5, [61, 20], [(15, 0, 5)]),
        ([60, ",", 14], 70, [61, 14, 71], [(1, 0, 70)]),
        ([1], 160, [1, 75, 75, 11], [(1, 0, 75), (1, 75, 75), (1, 150, 10)]),
    ],
)
def test_embeddings_move_whole_to_where_they_fit(
    tokenizer: ClipTokenizer,
    before: list[int | str],
    vectors: int,
    fills: list[int],
    places: list[tuple[int, int, int]],
) -> None:
    text = prompt([*before, "fish", "cat", "dog"])
    chunks = chunk_prompt(text, tokenizer, embeddings=Fish(tokenizer, vectors))
    assert [fill(chunk) for chunk in chunks] == fills
    found = [(at.position, at.first_vector, at.count) for chunk in chunks for at in chunk.embeddings]
    assert found == places
    used = count_tokens(text, tokenizer, embeddings=Fish(tokenizer, vectors)).used
    assert used == 75 * (len(fills) - 1) + fills[-1]
