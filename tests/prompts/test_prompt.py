"""Whole prompts: comments, network tags, AND with weights, counts; A1111's vectors."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from modules.prompts.prompt import count_prompt, parse_negative, parse_prompt, strip_comments
from modules.prompts.schedule import Timing
from modules.prompts.tags import NetworkTag, split_tags
from modules.prompts.tokens import ClipTokenizer, load_tokenizer
from tests.growth import grows_in_proportion


@pytest.fixture(scope="module")
def tokenizer() -> ClipTokenizer:
    return load_tokenizer()


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("a:0.6 AND b :1.4", [("a", 0.6), (" b", 1.4)]),
        ("(a:1.2) AND b:2", [("(a:1.2)", 1.0), (" b", 2.0)]),
        ("a : -1 AND b", [("a", -1.0), (" b", 1.0)]),
        ("a ANDb", [("a ANDb", 1.0)]),
        ("AND a", [("", 1.0), (" a", 1.0)]),
        ("a:1.2", [("a", 1.2)]),
        ("a:1e3 AND b", [("a:1e3", 1.0), (" b", 1.0)]),
        ("a:1. AND b:.5", [("a", 1.0), (" b", 0.5)]),
        (
            "a:1.2.3 AND b:. AND c: AND d:" + "9" * 400,
            [("a:1.2.3", 1), (" b:.", 1), (" c:", 1), (" d:" + "9" * 400, 1)],
        ),
        ("", [("", 1.0)]),
    ],
)
def test_pieces(text: str, pieces: list[tuple[str, float]]) -> None:
    assert [(piece.editing.source, piece.weight) for piece in parse_prompt(text).pieces] == pieces


def test_a_negative_prompt_has_no_pieces_and_no_tags() -> None:
    prompt = parse_negative("a AND b:2 <lora:x:1>")
    assert [(piece.editing.source, piece.weight) for piece in prompt.pieces] == [("a AND b:2 <lora:x:1>", 1.0)]
    assert prompt.tags == ()


def tag(*words: str) -> NetworkTag:
    return NetworkTag(words[0], words[1:])


@pytest.mark.parametrize(
    ("text", "left", "tags"),
    [
        ("fox <lora:a:0.8>", "fox ", [tag("lora", "a", "0.8")]),
        ("<lora:a><lora:b:1:0.5> x", " x", [tag("lora", "a"), tag("lora", "b", "1", "0.5")]),
        ("<lora:a:te=0.5:unet=0.7:dyn=4>", "", [tag("lora", "a", "te=0.5", "unet=0.7", "dyn=4")]),
        ("<lyco:z:0.3:0.1:8>", "", [tag("lyco", "z", "0.3", "0.1", "8")]),
        ("<lora:>", "<lora:>", []),
        ("< lora:a:1>", "< lora:a:1>", []),
        ("<lora:a:1", "<lora:a:1", []),
        ("a <b> c", "a <b> c", []),
        ("<lora:a b-c_d (1):.5>", "", [tag("lora", "a b-c_d (1)", ".5")]),
    ],
)
def test_tags(text: str, left: str, tags: list[NetworkTag]) -> None:
    assert split_tags(text) == (left, tuple(tags))
    assert list(parse_prompt(text).tags) == tags


def test_args_of_a_tag() -> None:
    found = tag("lora", "a", "0.5", "unet=0.7", "a=b=c")
    assert found.positional == ("a", "0.5", "a=b=c")
    assert found.named == {"unet": "0.7"}
    assert str(found) == "<lora:a:0.5:unet=0.7:a=b=c>"


def test_an_unknown_kind_is_left_out_and_said() -> None:
    prompt = parse_prompt("fox <magic:a:1> tail")
    assert prompt.pieces[0].editing.source == "fox  tail"
    assert prompt.problems == ("<magic:a:1> is left out: its kind is none of lora, lyco, hypernet.",)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a # b", "a \n"),
        ("# x\na", "\na"),
        ("a\n# x\nb", "a\nb"),
        ("(a:1.2)#y\nd", "(a:1.2)\nd"),
        ("# a\n# b\n#c", "\n\n\n"),
        ("a C# player, #ff8800 hair, #FFF sky", "a C# player, #ff8800 hair, #FFF sky"),
        ("#fff\na", "\na"),
        ("x \\# y # z", "x \\# y \n"),
        ("a #ffff", "a \n"),
    ],
)
def test_comments(text: str, left: str) -> None:
    assert strip_comments(text) == left
    assert strip_comments(left) == left


def test_stages_of_pieces() -> None:
    prompt = parse_prompt("<lora:x:1>[a:b:0.5] AND c # d")
    assert [piece.texts(Timing(10)) for piece in prompt.pieces] == [[(5, "a"), (10, "b")], [(10, " c")]]


def test_problems_of_all_pieces() -> None:
    assert len(parse_prompt("[a:b AND (c").problems) == 2


@pytest.mark.parametrize(
    ("text", "used", "limit"),
    [
        ("cat AND cat cat", 2, 75),
        ("cat <lora:cat cat cat:1>", 1, 75),
        ("cat # cat cat", 1, 75),
        ("[cat:cat cat cat:5] dog", 4, 75),
        ("[cat:cat cat cat:50] dog", 2, 75),
        ("[cat|cat cat|] dog", 3, 75),
        ("(cat:1.2)", 1, 75),
        ("[[[cat]]] " * 80, 80, 150),
    ],
)
def test_the_longest_text_counts(tokenizer: ClipTokenizer, text: str, used: int, limit: int) -> None:
    count = count_prompt(text, tokenizer)
    assert (count.used, count.limit) == (used, limit)
    assert sum(count.fills) == used


def test_a_negative_prompt_is_counted_as_it_is_used(tokenizer: ClipTokenizer) -> None:
    assert count_prompt("cat AND cat", tokenizer, negative=True).used == 3


def test_borders_are_offsets_of_what_was_typed(tokenizer: ClipTokenizer) -> None:
    words = "cat " * 74
    text = f"# a comment\nbird AND <lora:x:1>[{words}:{words}(DOG fish:1.2):3] BREAK Fish"
    count = count_prompt(text, tokenizer)
    assert [text[border:][:4] for border in count.borders] == ["fish", "Fish"]
    assert count.fills == (75, 1, 1)


HUGE = {
    "words": lambda n: "a shiny (red:1.2) fox, [sea|snow] " * n,
    "tags": lambda n: "<a:" * 10 * n,
    "hashes": lambda n: "a#" * 20 * n + "#\n" * 10 * n,
    "and": lambda n: "a AND " * n,
    "spaces": lambda n: " " * 500 * n + ":",
    "angles": lambda n: "<" * 50 * n + ">" * 50 * n,
}


@pytest.mark.parametrize("text", HUGE.values(), ids=HUGE)
def test_long_prompts_cost_by_their_length(text: Callable[[int], str]) -> None:
    assert parse_prompt(text(2000)).pieces
    assert grows_in_proportion(parse_prompt, text, 100)
