"""The emphasis grammar: the vectors of A1111's language, and what must hold for any text."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.prompts.grammar import Run, parse_emphasis
from tests.growth import grows_in_proportion

SQUARE = 0.9090909

VECTORS = [
    (1, "red fox", [("red fox", 1)]),
    (2, "red ((fox))", [("red ", 1), ("fox", 1.21)]),
    (3, "red [[fox]]", [("red ", 1), ("fox", 0.826446)]),
    (4, "(red:1.25) fox", [("red", 1.25), (" fox", 1)]),
    (5, "(red (fox:1.5):2)", [("red ", 2), ("fox", 3)]),
    (6, "(red fox:1.3", [("red fox:1.3", 1.1)]),
    (7, "red) fox", [("red) fox", 1)]),
    (8, "[red:1.5]", [("red:1.5", SQUARE)]),
    (9, "(red: 1.5 )", [("red", 1.5)]),
    (10, "(red:+.5)(fox:-1)", [("red", 0.5), ("fox", -1)]),
    (11, "(a:b)", [("a:b", 1.1)]),
    (12, r"\(x\) (y\):1.2)", [("(x) ", 1), ("y)", 1.2)]),
    (13, r"a\nb", [("anb", 1)]),
    (14, r"C:\\dir", [(r"C:\dir", 1)]),
    (15, "one BREAK two", [("one", 1), "BREAK", ("two", 1)]),
    (16, "(one BREAK two)", [("one", 1.1), "BREAK", ("two", 1.1)]),
    (17, "oneBREAK two", [("oneBREAK two", 1)]),
    (18, "", [("", 1)]),
    (18, "()", [("", 1)]),
    (18, "(:1.5)", [("", 1)]),
    (19, "((a)(b:0.5))", [("a", 1.21), ("b", 0.55)]),
    (20, "[(a)]", [("a", 1)]),
    (21, "(a, [b], c:1.4)", [("a, ", 1.4), ("b", 1.272727), (", c", 1.4)]),
    (22, "(a:1,5)", [("a:1,5", 1.1)]),
    (23, "x:1.3)", [("x:1.3)", 1)]),
    (24, r"(a\:1.2)", [("a", 1.2)]),
    (25, "((a:1.3)", [("a", 1.43)]),
    (26, "(a:1.2)(b:1.2)", [("ab", 1.2)]),
    (27, "(a:0)", [("a", 0)]),
]

OURS = [
    ("(a:1.2.3)", [("a:1.2.3", 1.1)]),
    ("(a:.)", [("a:.", 1.1)]),
    ("(a:-)", [("a:-", 1.1)]),
    ("(a:1.)", [("a", 1)]),
    ("(a:" + "9" * 400 + ")", [("a:" + "9" * 400, 1.1)]),
    ("(a [b) c] d", [("a ", 1.1), ("b", 1), (" c", SQUARE), (" d", 1)]),
    ("([a", [("a", 1)]),
    ("(:3)a", [("a", 1)]),
    ("(a (:3)b:2)", [("a b", 2)]),
    ("]a", [("]a", 1)]),
    ("a\\", [("a", 1)]),
    ("a BREAK BREAK b", [("a", 1), "BREAK", "BREAK", ("b", 1)]),
    ("BREAK", ["BREAK"]),
    ("(BREAK:1.5)", ["BREAK"]),
    ("[a BREAK (b:2)]", [("a", SQUARE), "BREAK", ("b", 2 * SQUARE)]),
    ("break BREAKS", [("break BREAKS", 1)]),
]


def check(runs: list[Run], expected: list[tuple[str, float] | str]) -> None:
    wanted = [("BREAK", -1.0) if item == "BREAK" else item for item in expected]
    assert [run.text for run in runs] == [text for text, _ in wanted]
    assert [run.weight for run in runs] == pytest.approx([weight for _, weight in wanted], abs=1e-6)
    assert [run.is_break for run in runs] == [item == "BREAK" for item in expected]


@pytest.mark.parametrize(("number", "text", "expected"), VECTORS, ids=[f"{v[0]}: {v[1]}" for v in VECTORS])
def test_vectors(number: int, text: str, expected: list[tuple[str, float] | str]) -> None:
    check(parse_emphasis(text), expected)


@pytest.mark.parametrize(("text", "expected"), OURS, ids=[case[0][:20] for case in OURS])
def test_further_cases(text: str, expected: list[tuple[str, float] | str]) -> None:
    check(parse_emphasis(text), expected)


@pytest.mark.parametrize("mode", ["No norm", "Ignore"])
def test_other_modes_parse_alike(mode: str) -> None:
    assert parse_emphasis("(a:1.5) [b] BREAK c", mode) == parse_emphasis("(a:1.5) [b] BREAK c")


@pytest.mark.parametrize("text", ["(a:1.5) BREAK b", r"\(x\)", ""])
def test_none_takes_all_literally(text: str) -> None:
    check(parse_emphasis(text, "None"), [(text, 1)])


@given(st.text(alphabet="ab ,()[]:\\.15-BREAK\n", max_size=60))
@settings(max_examples=400, deadline=None)
def test_any_text_parses_and_keeps_its_characters(text: str) -> None:
    runs = parse_emphasis(text)
    assert runs
    for left, right in zip(runs, runs[1:], strict=False):
        assert left.is_break or right.is_break or left.weight != right.weight
    for run in runs:
        if run.is_break:
            assert run.text == "BREAK"
            assert text[: run.source_offset(0)].rstrip().endswith("BREAK")
            continue
        for index, character in enumerate(run.text):
            assert text[run.source_offset(index)] == character


HOSTILE = {
    "open": lambda n: "(a" * n,
    "open and closed": lambda n: "[(b" * n + ")]" * n,
    "spaces": lambda n: " " * 100 * n + "BREAK",
    "colons": lambda n: ":  " * n,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_texts_cost_by_their_length(text: Callable[[int], str]) -> None:
    assert grows_in_proportion(parse_emphasis, text, 500)
