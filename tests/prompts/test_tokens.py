"""The tokenizer against transformers' own over the same vocabulary."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers import CLIPTokenizer

from modules.prompts.tokens import BOS, COMMA, EOS, ClipTokenizer, load_tokenizer, read_merges, vocabulary

TEXTS = [
    "",
    " ",
    "a photo of a cat",
    "A Photo OF a CAT",
    "masterpiece, best quality, 1girl, (solo:1.2), 8k uhd",
    "it's we're they've I'm you'll he'd can't 'S 'LL",
    "don’t “curly” quotes… – — dashes",
    "  leading\tand\n\nodd \r\n whitespace \u00a0\u2003\u3000\u200b end  ",
    "1234567890 3.14 ½ ² ١٢٣ Ⅷ",
    "Ünïcödé ÀÉÎÕÜ ß ſ İstanbul ΣΊΣΥΦΟΣ ǅ",
    "e\u0301 vs é, A\u030a vs Å vs Å, \ufb01ne",
    "日本語のテキスト、漢字 한국어 텍스트 中文标点。，！",
    "עברית العربية हिन्दी ไทย",
    "🎨🐱‍👤 👩🏽‍🚀 flag 🇩🇪 ❤️ ☺",
    "<|startoftext|> hello <|endoftext|> <|ENDOFTEXT|>",
    "under_score hy-phen a.b.c http://x.y/z?q=1&r=2 #tag @name $5 100% a/b\\c ~^`|{}<>",
    "C++ C# .net \x00 \x1f \x7f \x80 control",
    "pneumonoultramicroscopicsilicovolcanoconiosis" * 3,
    "!!!???...,,,;;;",
]


@pytest.fixture(scope="module")
def ours() -> ClipTokenizer:
    return load_tokenizer()


@pytest.fixture(scope="module")
def reference() -> CLIPTokenizer:
    merges = read_merges()
    return CLIPTokenizer(vocab=vocabulary(merges), merges=merges)


def test_published_ids(ours: ClipTokenizer) -> None:
    merges = read_merges()
    words = vocabulary(merges)
    assert len(words) == 49408
    assert (words["<|startoftext|>"], words["<|endoftext|>"], words[",</w>"]) == (BOS, EOS, COMMA)
    assert ours.encode("a photo of a cat") == [320, 1125, 539, 320, 2368]


@pytest.mark.parametrize("text", TEXTS)
def test_equals_transformers(ours: ClipTokenizer, reference: CLIPTokenizer, text: str) -> None:
    assert ours.encode(text) == reference(text, add_special_tokens=False, truncation=False)["input_ids"]


@given(st.text(max_size=80))
@example("\u0130\u0131 \u1e9e")
@settings(max_examples=500, deadline=None)
def test_equals_transformers_on_any_text(ours: ClipTokenizer, reference: CLIPTokenizer, text: str) -> None:
    assert ours.encode(text) == reference(text, add_special_tokens=False, truncation=False)["input_ids"]


def test_offsets_point_at_the_words(ours: ClipTokenizer) -> None:
    text = "Ein  RED fox, \n日本 it's"
    tokens, offsets = ours.encode_with_offsets(text)
    assert tokens == ours.encode(text)
    starts = {text[offset:].split()[0] for offset in offsets}
    assert {"RED", "fox,", "it's"} <= starts
    assert offsets == sorted(offsets)


def test_long_texts_are_not_cut(ours: ClipTokenizer) -> None:
    assert len(ours.encode("cat " * 3000)) == 3000


def test_loads_without_torch() -> None:
    code = (
        "import sys\n"
        "from modules.prompts import chunks, tokens\n"
        "chunks.chunk_prompt('a cat', tokens.load_tokenizer())\n"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
