"""Prompts that change with the steps: A1111's vectors, what cannot be read, and prompts of any size."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.prompts.schedule import Timing, parse_editing, schedule
from tests.growth import grows_in_proportion

VECTORS = [
    (28, "a [cat:dog:4] b", 10, [(4, "a cat b"), (10, "a dog b")]),
    (29, "a [cat:dog:0.45]", 10, [(4, "a cat"), (10, "a dog")]),
    (30, "[cat:dog:1]", 10, [(1, "cat"), (10, "dog")]),
    (31, "[cat:dog:1.0]", 10, [(10, "cat")]),
    (32, "[cat::3] x", 10, [(3, "cat x"), (10, " x")]),
    (33, "[cat:3] x", 10, [(3, " x"), (10, "cat x")]),
    (33, "[:cat:3] x", 10, [(3, " x"), (10, "cat x")]),
    (34, "[cat:dog:0]", 10, [(10, "dog")]),
    (34, "[cat:dog:-2]", 10, [(10, "dog")]),
    (34, "[cat:dog:0.05]", 10, [(10, "dog")]),
    (35, "[cat:dog:99]", 10, [(10, "cat")]),
    (36, "[cat: dog : 0.5 ]", 10, [(5, "cat"), (10, " dog ")]),
    (37, "[cat:dog:1e1]", 20, [(10, "cat"), (20, "dog")]),
    (38, "[[cat:dog:3]:fox:6]", 10, [(3, "cat"), (6, "dog"), (10, "fox")]),
    (39, "([a:b:3]:1.3)", 5, [(3, "(a:1.3)"), (5, "(b:1.3)")]),
    (40, r"x [a\:b:c:3]", 5, [(3, r"x a\:b"), (5, "x c")]),
    (41, "[a:b:c:3]", 10, [(10, "[a:b:c:3]")]),
    (41, "[a:b]", 10, [(10, "[a:b]")]),
    (41, "[cat:dog:half]", 10, [(10, "[cat:dog:half]")]),
    (41, "[a|b:3]", 10, [(10, "[a|b:3]")]),
    (41, "[a:b|c:3]", 10, [(10, "[a:b|c:3]")]),
    (42, "a:b [c:d:2]", 4, [(2, "a:b c"), (4, "a:b d")]),
    (43, "[x:y:0.5] [p:q:0.5]", 7, [(3, "x p"), (7, "y q")]),
    (44, "[a|b|c] x", 5, [(1, "a x"), (2, "b x"), (3, "c x"), (4, "a x"), (5, "b x")]),
    (45, "[a|b|] x", 4, [(1, "a x"), (2, "b x"), (3, " x"), (4, "a x")]),
    (46, "[a|[b|c]]", 4, [(1, "a"), (2, "c"), (3, "a"), (4, "c")]),
    (47, "[(red:1.2)|blue]", 3, [(1, "(red:1.2)"), (2, "blue"), (3, "(red:1.2)")]),
    (48, "[|a]", 3, [(1, ""), (2, "a"), (3, "")]),
]


@pytest.mark.parametrize(("number", "text", "steps", "stages"), VECTORS, ids=[f"{v[0]} {v[1]}" for v in VECTORS])
def test_vectors(number: int, text: str, steps: int, stages: list[tuple[int, str]]) -> None:
    assert schedule(text, steps) == stages


def stages(text: str, timing: Timing) -> list[tuple[int, str]]:
    editing = parse_editing(text)
    return [(stage.end, editing.text(stage)) for stage in editing.stages(timing)]


@pytest.mark.parametrize(
    ("text", "first", "second"),
    [
        ("[a:b:0.5]", [(10, "a"), (20, "b")], [(10, "b")]),
        ("[a:b:1.5]", [(20, "a")], [(5, "a"), (10, "b")]),
        ("[a:b:25]", [(20, "a")], [(5, "a"), (10, "b")]),
        ("[a:b:1.0]", [(20, "a")], [(10, "b")]),
    ],
)
def test_hires_pass(text: str, first: list[tuple[int, str]], second: list[tuple[int, str]]) -> None:
    assert stages(text, Timing(20)) == first
    assert stages(text, Timing(10, first_pass=20)) == second


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[a:b:0.5]", [(10, "a"), (20, "b")]),
        ("[a:b:1.5]", [(1, "a"), (20, "b")]),
        ("[a:b:1.0]", [(1, "a"), (20, "b")]),
        ("[a:b:5]", [(5, "a"), (20, "b")]),
    ],
)
def test_old_semantics(text: str, found: list[tuple[int, str]]) -> None:
    assert stages(text, Timing(20, old=True)) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a | b [c:d:5]", [(5, "a | b c"), (10, "a | b d")]),
        ("(a|b) [c:d:5]", [(5, "(a|b) c"), (10, "(a|b) d")]),
        ("[c:d:5] \\", [(5, "c \\"), (10, "d \\")]),
        ("[c:d:5]]", [(5, "c]"), (10, "d]")]),
        ("[[a:b:5]", [(5, "[a"), (10, "[b")]),
        ("((c:1.2) [c:d:5]", [(5, "((c:1.2) c"), (10, "((c:1.2) d")]),
        ("[x [a:b] y:z:5]", [(5, "x [a:b] y"), (10, "z")]),
        ("[a:b:1e400] [a:b:-1e400]", [(10, "a b")]),
        ("[a:b:" + "9" * 5000 + "]", [(10, "a")]),
        ("[:]", [(10, "[:]")]),
        ("", [(10, "")]),
    ],
)
def test_what_fits_nothing_is_text_and_the_rest_works(text: str, found: list[tuple[int, str]]) -> None:
    assert schedule(text, 10) == found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[cat:dog:half]", ["“[cat:dog:half]” is used as text", "“half” is not a number"]),
        ("[a:b:c:3]", ["“[a:b:c:3]” is used as text", "more than two colons"]),
        ("[a|b:3]", ["| and : do not go together"]),
        ("x (red fox", ["The ( in “(red fox” is never closed"]),
        ("red) fox", ["The ) at the end of “red)” has no ( before it"]),
        ("[c:d:5]]", ["The ] at the end of “[c:d:5]]”"]),
        ("(a [b) c]", ["The [ in “[b) c]” is not closed before the )"]),
        ("(a:1.2.3)", ["In “(a:1.2.3)” the weight is not a number"]),
        ("(a:1,5)", ["not a number"]),
        ("(" + "a long text " * 20, ["The ( in “(a long text a long text a long text a l…”"]),
    ],
)
def test_one_sentence_says_which_bracket(text: str, words: list[str]) -> None:
    (sentence,) = parse_editing(text).problems
    for word in words:
        assert word in sentence
    assert sentence.endswith(".")


@pytest.mark.parametrize("text", ["a [b] (c) (d:1.2) (re:zero) [a:b:3] [a|b] {x}", r"\( \[ \) \]", "a | b"])
def test_good_prompts_have_no_problems(text: str) -> None:
    assert parse_editing(text).problems == ()


def test_many_problems_are_counted() -> None:
    problems = parse_editing("]" * 10_000).problems
    assert len(problems) == 4
    assert "9997 more" in problems[-1]


HUGE = {
    "edits in edits": lambda n: "[" * n + "a:1]" + ":2]" * (n - 1),
    "never closed": lambda n: "(" * n,
    "never opened": lambda n: "]" * n,
    "alternations": lambda n: "[a|b]" * n,
    "edits": lambda n: "[a:b:0.5]" * n,
    "crossed": lambda n: "[(a]b)" * n,
    "open with colons": lambda n: "(a:" * n,
    "crossed in edits": lambda n: "([a:" * n + ")]" * n,
    "backslashes": lambda n: "\\" * n,
    "colons and bars": lambda n: ":|" * n,
    "words": lambda n: "a [red:blue:0.3] fox in the (snow:1.2), " * n,
}


@pytest.mark.parametrize("text", HUGE.values(), ids=HUGE)
def test_ten_thousand_brackets(text: Callable[[int], str]) -> None:
    assert schedule(text(10_000), 20)[-1][0] == 20


@pytest.mark.parametrize("text", HUGE.values(), ids=HUGE)
def test_brackets_cost_by_their_number(text: Callable[[int], str]) -> None:
    assert grows_in_proportion(lambda prompt: schedule(prompt, 20), text, 100)


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="ab[](): |\\.05", max_size=40), st.integers(1, 12))
def test_stages_cover_all_steps_with_pieces_of_the_text(text: str, steps: int) -> None:
    found = schedule(text, steps)
    ends = [end for end, _ in found]
    assert ends == sorted(set(ends))
    assert ends[-1] == steps
    assert ends[0] >= 1
    for _, words in found:
        left = iter(text)
        assert all(letter in left for letter in words)


def test_without_edits_a_text_is_one_stage_of_itself() -> None:
    text = r"a (red:1.2) fox \[b\] [[c]]] (("
    assert schedule(text, 7) == [(7, text)]
