"""Whatever anybody writes: readers answer or refuse in a sentence, and a longer text takes no more than its length.

(How work grows is measured against itself, see tests/growth.py; vectors of each grammar are beside its own tests.)
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modules.catalog.headers import read_header
from modules.prompts.grammar import parse_emphasis
from modules.schema import infotext
from modules.schema.errors import UserError
from modules.schema.learning_rate import parse_rates
from modules.schema.request import GenerationRequest
from modules.service.inputs import read_picture
from modules.service.picture_text import read_picture_text
from modules.service.prompts import prompt_problems
from modules.web import strict_json
from tests.growth import grows_in_proportion

SIGNS = "()[]{}<>|:\\,.\"'\n\r\t\0 #%/@-_=+01aZ\u00e9\U0001f600\u202e\ufeff"
PIECES = st.sampled_from([
    "(", ")", "[", "]", ":", "|", "\\(", "BREAK", " AND ", "AND", ":1.2", ":-1e9", ":0.5]", "<lora:", "<lora:x:1>",
    "<hypernet:a:", ">", "__", "{a|b}", "Negative prompt: ", "\nSteps: ", "Steps: 20, ", "Seed: 1", ", Size: 8x8",
    'Lora hashes: "', "a", " ", ",", "\n", "{", '"', ":nan", ":inf", "1e999", "\0", "\ufeff",
])  # fmt: skip
TEXT = st.one_of(st.text(alphabet=SIGNS, max_size=120), st.lists(PIECES, max_size=40).map("".join))
CALM = settings(
    derandomize=True, database=None, deadline=None, max_examples=100, suppress_health_check=list(HealthCheck)
)


@CALM
@given(TEXT)
def test_any_prompt_is_read(text: str) -> None:
    for emphasis in ("Original", "No norm", "Ignore", "None"):
        parse_emphasis(text, emphasis)
    for sentence in prompt_problems(text):
        assert isinstance(sentence, str)


@CALM
@given(TEXT)
def test_any_parameters_are_read_and_written_again(text: str) -> None:
    base = GenerationRequest()
    for whole in (
        text,
        f"a\nSteps: 20, Sampler: Euler, {text}",
        f"a\nNegative prompt: {text}\nSteps: 3, Size: 64x64",
    ):
        try:
            request, notices = infotext.to_request(infotext.parse(whole), base)
        except UserError:
            continue
        assert all(isinstance(notice, str) for notice in notices)
        json.dumps(request.model_dump(mode="json"), allow_nan=False)


@CALM
@given(st.binary(max_size=300))
def test_any_bytes_are_no_picture_and_no_failure(data: bytes) -> None:
    for start in (
        b"",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0",
        b"RIFF\x20\0\0\0WEBPVP8 ",
        b"GIF89a",
        b"BM",
        b"II*\0",
    ):
        for read in (read_picture, read_picture_text):
            try:
                read(start + data)
            except UserError as error:
                assert len(str(error)) < 300


@CALM
@given(st.binary(max_size=400))
def test_any_bytes_are_read_as_a_model_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = Path(tmp_path_factory.getbasetemp())
    sized = (len(data) + 2).to_bytes(8, "little") + b"{}"
    for start in (b"", b"\x80\x02}q\0", b"PK\x03\x04", b"\x10\0\0\0\0\0\0\0{", sized):
        path = folder / "any.safetensors"
        path.write_bytes(start + data)
        try:
            read_header(path)
        except UserError as error:
            assert "\n" not in str(error)


@CALM
@given(st.binary(max_size=200))
def test_any_body_is_json_or_a_sentence(data: bytes) -> None:
    for body in (data, b'{"a": ' + data + b"}", b'["' + data + b'"]'):
        try:
            json.dumps(strict_json.loads(body), allow_nan=False, ensure_ascii=False).encode()
        except UserError as error:
            assert len(str(error)) < 200


@CALM
@given(TEXT)
def test_any_learning_rate_is_read_or_refused(text: str) -> None:
    try:
        parse_rates(text, 100)
    except UserError as error:
        assert "\n" not in str(error)


LONG: dict[str, Callable[[int], str]] = {
    "brackets": lambda n: "(" * n,
    "closed brackets": lambda n: "(" * n + "a" + ")" * n,
    "choices": lambda n: "[" + "a|" * n + "b]",
    "schedules": lambda n: "[a:b:0.5]" * n,
    "tags that do not end": lambda n: "<lora:" * n,
    "pairs": lambda n: "a\nSteps: 20, " + "Key: 1, " * n,
    "quotes": lambda n: 'a\nSteps: 20, A: "' + '\\"' * n,
    "lines": lambda n: "a\n" * n + "Steps: 20, Seed: 1",
    "colons": lambda n: ":" * n,
    "negative prompts": lambda n: "Negative prompt: " * n + "\nSteps: 20, Seed: 1",
}
READERS: dict[str, Callable[[str], object]] = {
    "attention": lambda text: parse_emphasis(text, "Original"),
    "problems": prompt_problems,
    "infotext": lambda text: infotext.parse(text),
}


@pytest.mark.parametrize("reader", list(READERS))
@pytest.mark.parametrize("text", list(LONG))
def test_a_longer_text_takes_no_more_than_its_length(reader: str, text: str) -> None:
    assert grows_in_proportion(READERS[reader], LONG[text], 400)
