"""A1111's generation text: its grammar, apart from what the keys mean.

prompt, any number of lines
Negative prompt: likewise
Steps: 20, Sampler: Euler a, ...            (one line; values with a comma, colon or newline as JSON strings)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

NEGATIVE = "Negative prompt:"

_KEY = re.compile(r"\s*(\w[\w \-/]+):\s*")
_QUOTED = re.compile(r'("(?:\\.|[^\\"])*")\s*(?=,|$)')
_END = re.compile(r"\s*(?=,|$)")
_SIZE = re.compile(r"(\d+)x(\d+)")
_FEWEST_PAIRS = 3
_JSON = json.JSONDecoder()
# Longer objects are cut like any value; the limit keeps the time for a hostile line linear.
_LONGEST_JSON = 32_768


@dataclass(frozen=True)
class Infotext:
    """The three parts of a text. A value `123x456` of `Key` is kept as `Key-1` and `Key-2`."""

    prompt: str = ""
    negative_prompt: str = ""
    params: dict[str, str] = field(default_factory=dict[str, str])


def parse_lines(text: str, known_keys: Iterable[str]) -> Infotext:
    """Split a text into its parts; never fails.

    The last line holds parameters when it begins with one, has at least three, and at least one of `known_keys`: so a
    poem with colons in its last line stays a prompt. One-letter keys and keys with dots or brackets are not read.
    """
    lines = [line.strip() for line in text.strip().split("\n")]
    pairs = list(scan_pairs(lines[-1]))
    has_params = len(pairs) >= _FEWEST_PAIRS and bool(_KEY.match(lines[-1]))
    if has_params and not {key for key, _ in pairs}.isdisjoint(known_keys):
        lines.pop()
    else:
        pairs = []
    prompt, negative = _split_prompts(lines)
    return Infotext(prompt, negative, _params(pairs))


def _split_prompts(lines: Iterable[str]) -> tuple[str, str]:
    parts: tuple[list[str], list[str]] = ([], [])
    part = 0
    for line in lines:
        if line.startswith(NEGATIVE):
            part, line = 1, line.removeprefix(NEGATIVE).strip()
        if line or parts[part]:
            parts[part].append(line)
    return "\n".join(parts[0]).strip(), "\n".join(parts[1]).strip()


def _params(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    params: dict[str, str] = {}
    for key, value in pairs:
        size = _SIZE.fullmatch(value)
        if size:
            params[f"{key}-1"], params[f"{key}-2"] = size.groups()
        elif value:
            params[key] = value
    return params


def scan_pairs(line: str) -> Iterator[tuple[str, str]]:
    """The `key: value` pairs of a parameter line, in order; fields without a readable key are passed over."""
    position = 0
    while position < len(line):
        match = _KEY.match(line, position)
        end = match.end() if match else position
        if match:
            value, end = _value(line, match.end())
            yield match[1].strip(), value
        comma = line.find(",", end)
        position = len(line) if comma < 0 else comma + 1


def _value(line: str, start: int) -> tuple[str, int]:
    """(value, where it ends): a JSON string decoded, a JSON list or object whole, else all up to the next comma."""
    quoted = _QUOTED.match(line, start)
    if quoted:
        try:
            return str(json.loads(quoted[1])), quoted.end()
        except ValueError:
            return quoted[1], quoted.end()
    if line[start : start + 1] in ("{", "["):
        try:
            end = start + _JSON.raw_decode(line[start : start + _LONGEST_JSON])[1]
        except (ValueError, RecursionError):
            end = start
        if end > start and _END.match(line, end):
            return line[start:end], end
    comma = line.find(",", start)
    end = len(line) if comma < 0 else comma
    return line[start:end], end


def quote(value: Any) -> str:
    """A value as it is written: as it is, or as a JSON string where it would not be read back otherwise."""
    text = str(value)
    plain = not any(c in text for c in ",\n:") and not text.startswith('"') and text == text.strip()
    return text if plain else json.dumps(text, ensure_ascii=False)


def join(prompt: str, negative_prompt: str, params: Mapping[str, Any]) -> str:
    """The whole text. A parameter of None is left out; one that equals its key is written as the key alone."""
    line = ", ".join(
        key if key == value else f"{key}: {quote(value)}" for key, value in params.items() if value is not None
    )
    negative = f"\n{NEGATIVE} {negative_prompt}" if negative_prompt else ""
    return f"{prompt}{negative}\n{line}".strip()
