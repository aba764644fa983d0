"""The files in locales/, and what can be wrong with them."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from modules.catalog.writing import write_whole

LOCALES = Path(__file__).resolve().parents[2] / "locales"
ENGLISH = LOCALES / "en.json"

Translation = str | dict[str, str]

PLACEHOLDER = re.compile(r"\{(\w+)\}")
# The categories of cardinal numbers that Unicode's plural rules have for a language; others need only "other" said.
PLURALS = {"en": {"one", "other"}, "pt-BR": {"one", "many", "other"}, "ru": {"one", "few", "many", "other"}}
_RARE = {"pt-BR": {"many"}}
"""Categories that may be left out: Portuguese has "many" for whole millions alone."""
_MORE_THAN_ONE = {"by"}
# Texts that may be the same in another language.
_SAME_ALLOWED = re.compile(r"[^A-Za-z]*(?:[A-Za-z0-9.+-]+[^A-Za-z]*){0,3}")


def read(path: Path) -> dict[str, Translation]:
    """A language's file; {} where there is none. Raises ValueError where it is broken."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def write(path: Path, words: Mapping[str, Translation]) -> None:
    path.parent.mkdir(exist_ok=True)
    write_whole(path, (json.dumps(words, ensure_ascii=False, indent=1) + "\n").encode())


def complaints(language: str, words: Mapping[str, Translation], texts: Collection[str]) -> list[str]:
    """What a language's file lacks, has too much, or has wrong; a line each."""
    missing = [f"untranslated: {text}" for text in texts if text not in words]
    stale = [f"stale (no source has it any more): {text}" for text in words if text not in texts]
    wrong = [line for text in words if text in texts for line in _wrong(language, text, words[text])]
    return [*missing, *stale, *wrong]


def _wrong(language: str, text: str, value: Translation) -> Iterator[str]:
    if isinstance(value, str):
        yield from _mismatch(text, value, exactly=True)
        if language != "en" and value == text and not _SAME_ALLOWED.fullmatch(text):
            yield f"left in English: {text}"
        return
    if not isinstance(value, dict):
        yield f"neither a text nor plural forms: {text}"
        return
    categories = PLURALS.get(language, {"other"})
    forms = {name: form for name, form in value.items() if name not in _MORE_THAN_ONE}
    lacking = categories - set(forms) - _RARE.get(language, set())
    unknown = set(forms) - categories - {"zero", "one", "two", "few", "many", "other"}
    if lacking or unknown:
        yield f"plural forms {sorted(lacking or unknown)} are {'missing' if lacking else 'unknown'}: {text}"
    if not PLACEHOLDER.search(text):
        yield f"plural forms without a number in the sentence: {text}"
    if value.get("by", "n") not in ("n", *PLACEHOLDER.findall(text)):
        yield f"'by' names no placeholder: {text}"
    for form in forms.values():
        # "one" may say the number as a word.
        yield from _mismatch(text, form, exactly=False)


def _mismatch(text: str, value: str, *, exactly: bool) -> Iterator[str]:
    ours, theirs = PLACEHOLDER.findall(text), PLACEHOLDER.findall(value)
    if not value.strip():
        yield f"empty: {text}"
    elif set(theirs) - set(ours) or (exactly and set(ours) != set(theirs)):
        yield f"placeholders differ: {text} -> {value}"
