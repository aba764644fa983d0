"""File and folder names from patterns such as `[date]` or `[seed]-[prompt_spaces]`: A1111's tokens.

A token is `[name]` or `[name<argument>...]`, in capitals or not. A token without a value here vanishes together with
the literal text before it; an unknown one stays as written. Whatever comes from a prompt or a model's name is data:
it never makes a folder.
"""

from __future__ import annotations

import hashlib
import re
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from modules.schema.infotext import split_title
from modules.schema.request import GenerationRequest
from modules.schema.samplers import AUTOMATIC, SAMPLERS, SCHEDULES

LONGEST = 128
# File systems count bytes: 255 of them. Number, ending and a margin must fit beside the name.
_MOST_BYTES = 200
_PROMPT_WORDS = 8
_TOKEN = re.compile(r"\[([^\[\]]+)\]")
_ARGUMENT = re.compile(r"(.*)<([^>]*)>$", re.DOTALL)
_FORBIDDEN = str.maketrans({c: "_" for c in '#<>:"/\\|?*' + "".join(map(chr, range(32))) + "\x7f"})
_BETWEEN_WORDS = re.compile(r"[\s" + re.escape(string.punctuation) + r"]+")
_DEVICES = re.compile(r"^(con|prn|aux|nul|com\d|lpt\d)(\..*)?$", re.IGNORECASE)


def sanitize(text: str, *, spaces: bool = True, longest: int = LONGEST) -> str:
    """`text` as a part of a file name; with `spaces` they become "_" too. May be empty."""
    text = text.replace(" ", "_") if spaces else text
    text = text.translate(_FORBIDDEN).lstrip(" ")[:longest]
    return _cut_bytes(text).rstrip(" .")


def _cut_bytes(text: str) -> str:
    return text.encode("utf-8", "replace")[:_MOST_BYTES].decode("utf-8", "ignore")


def folder_parts(expanded: str) -> list[str]:
    """The folders that an expanded pattern names; none of them leads upwards or to a device."""
    parts = [sanitize(part, spaces=False) for part in re.split(r"[/\\]", expanded)]
    return [f"{part}_" if _DEVICES.match(part) else part for part in parts if part.strip(".")]


@dataclass(frozen=True)
class Place:
    """Where a picture stands in its job: `number` of `count` (1-based), in its batch, and the batch's end seeds."""

    number: int = 1
    count: int = 1
    batch_number: int = 1
    batch_size: int = 1
    seed_first: int | None = None
    seed_last: int | None = None
    started: datetime | None = None


@dataclass(frozen=True)
class Naming:
    """What the tokens draw from."""

    request: GenerationRequest
    facts: Mapping[str, Any]
    pixels: bytes
    now: datetime
    place: Place = field(default_factory=Place)
    longest: int = LONGEST

    def expand(self, pattern: str) -> str:
        """The pattern with its tokens replaced; only literal text of the pattern may hold slashes."""
        result = ""
        for before, token in _tokens(pattern):
            if token is None:
                result += before
                continue
            name, arguments = _arguments(token)
            make = TOKENS.get(name.lower())
            if make is None:
                result += f"{before}[{token}]"
                continue
            value = make(self, arguments)
            if value is not None:
                result += before + sanitize(value, spaces=False, longest=self.longest)
        return result

    def file_stem(self, pattern: str) -> str:
        """The expanded pattern as one file name part."""
        return sanitize(self.expand(pattern), spaces=False, longest=self.longest)


def _tokens(pattern: str) -> list[tuple[str, str | None]]:
    """(literal text, the token after it or None at the end) all through the pattern."""
    found: list[tuple[str, str | None]] = []
    position = 0
    for match in _TOKEN.finditer(pattern):
        found.append((pattern[position : match.start()], match[1]))
        position = match.end()
    return [*found, (pattern[position:], None)]


def _arguments(token: str) -> tuple[str, list[str]]:
    arguments: list[str] = []
    while match := _ARGUMENT.match(token):
        token = match[1]
        arguments.insert(0, match[2])
    return token, arguments


def _words(naming: Naming) -> str:
    words = [word for word in _BETWEEN_WORDS.split(naming.request.prompt) if word]
    return " ".join((words or ["empty"])[:_PROMPT_WORDS])


def _hash(text: str, arguments: Sequence[str]) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[: _count(arguments, 8)]


def _count(arguments: Sequence[str], default: int) -> int:
    """The first argument as a number of digits, 1 to 64."""
    try:
        return min(max(int(arguments[0]), 1), 64) if arguments else default
    except ValueError:
        return default


def _datetime(naming: Naming, arguments: Sequence[str]) -> str:
    form, zone = [*arguments, "", ""][:2]
    try:
        now = naming.now.astimezone(ZoneInfo(zone)) if zone else naming.now
        return now.strftime(form or "%Y%m%d%H%M%S")
    except (ValueError, OSError, KeyError):
        # A format or time zone that does not exist; zoneinfo raises all three.
        return naming.now.strftime("%Y%m%d%H%M%S")


def _has_prompt(naming: Naming, choices: Sequence[str]) -> str | None:
    """`<text|else>`: the text where the prompt has it, else the alternative."""
    prompt, result = naming.request.prompt.lower(), ""
    for choice in choices:
        text, _, otherwise = choice.partition("|")
        result += text if text.lower() in prompt else otherwise.partition("|")[0]
    return result if choices else None


def _scheduler(naming: Naming) -> str:
    request = naming.request
    schedule = request.scheduler
    if schedule == AUTOMATIC and request.sampler in SAMPLERS:
        schedule = SAMPLERS.get(request.sampler).schedule
    return SCHEDULES.get(schedule).label if schedule in SCHEDULES else schedule


def _model_name(naming: Naming) -> str:
    return str(naming.facts.get("Model") or split_title(naming.request.checkpoint)[0])


def _model_hash(naming: Naming) -> str:
    return str(naming.facts.get("Model hash") or split_title(naming.request.checkpoint)[1] or "")


def _vae(naming: Naming) -> str:
    vae = naming.facts.get("VAE")
    return str(vae).partition(".")[0] if vae else "NoneType"


def _seed_last(naming: Naming) -> str | None:
    place = naming.place
    return None if place.batch_size == 1 or place.seed_last is None else str(place.seed_last)


def _seed_first(naming: Naming) -> str:
    first = naming.place.seed_first
    return str(naming.request.seed if first is None else first)


def _denoising(naming: Naming) -> str | None:
    part = naming.request.image or naming.request.hires
    return None if part is None else str(part.denoising_strength)


Token = Callable[[Naming, Sequence[str]], str | None]
TOKENS: dict[str, Token] = {
    "seed": lambda n, _: str(n.request.seed),
    "seed_first": lambda n, _: _seed_first(n),
    "seed_last": lambda n, _: _seed_last(n),
    "steps": lambda n, _: str(n.request.steps),
    "cfg": lambda n, _: str(n.request.cfg_scale),
    "width": lambda n, _: str(n.request.width),
    "height": lambda n, _: str(n.request.height),
    "clip_skip": lambda n, _: str(n.request.clip_skip),
    "batch_size": lambda n, _: str(n.place.batch_size),
    "user": lambda n, _: str(n.facts.get("User") or ""),
    "denoising": lambda n, _: _denoising(n),
    "sampler": lambda n, _: n.request.sampler,
    "scheduler": lambda n, _: _scheduler(n),
    "sampler_scheduler": lambda n, _: f"{n.request.sampler} {_scheduler(n)}",
    "styles": lambda n, _: "None",
    "model_hash": lambda n, _: _model_hash(n),
    "model_name": lambda n, _: _model_name(n),
    "vae_filename": lambda n, _: _vae(n),
    "date": lambda n, _: n.now.strftime("%Y-%m-%d"),
    "datetime": _datetime,
    "job_timestamp": lambda n, _: (n.place.started or n.now).strftime("%Y%m%d%H%M%S"),
    "prompt": lambda n, _: sanitize(n.request.prompt, longest=n.longest),
    "prompt_spaces": lambda n, _: n.request.prompt,
    "prompt_no_styles": lambda n, _: sanitize(n.request.prompt, longest=n.longest),
    "prompt_words": lambda n, _: _words(n),
    "prompt_hash": lambda n, a: _hash(n.request.prompt, a),
    "negative_prompt_hash": lambda n, a: _hash(n.request.negative_prompt, a),
    "full_prompt_hash": lambda n, a: _hash(f"{n.request.prompt} {n.request.negative_prompt}", a),
    "image_hash": lambda n, a: hashlib.sha256(n.pixels).hexdigest()[: _count(a, 64)],
    "hasprompt": _has_prompt,
    "batch_number": lambda n, _: None if n.place.count == 1 else str(n.place.batch_number),
    "generation_number": lambda n, _: None if n.place.count == 1 else str(n.place.number),
    "basename": lambda n, _: "img",
    "none": lambda n, _: "",
}
