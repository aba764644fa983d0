"""Chunks of 75 tokens: A1111's vectors, padding, borders and speed (in CPU time: the machine may be busy)."""

from __future__ import annotations

import time

import pytest

from modules.prompts.chunks import CHUNK_LENGTH, Chunk, chunk_prompt, count_tokens
from modules.prompts.tokens import BOS, COMMA, EOS, ClipTokenizer, load_tokenizer

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


def test_a_thousand_words_chunk_fast(tokenizer: ClipTokenizer) -> None:
    text = ", ".join(f"(a shiny {word}:1.{i % 9}) [in the] style" for i, word in enumerate(["fox", "sea"] * 100))
    assert len(text.split()) == 1200

    def timed() -> float:
        started = time.thread_time()
        chunk_prompt(text, tokenizer)
        return time.thread_time() - started

    assert len(chunk_prompt(text, tokenizer)) > 15
    assert min(timed() for _ in range(5)) < 0.05
