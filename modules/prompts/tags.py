"""Extra-network tags: `<kind:arg:arg>` in a prompt asks for a LoRA or a hypernetwork, and is cut out of the text."""

from __future__ import annotations

import re
from dataclasses import dataclass

KINDS = ("lora", "lyco", "hypernet")
"""Kinds of networks; lyco is an old word for lora."""

_TAG = re.compile(r"<(\w+):([^>]+)>")


@dataclass(frozen=True)
class NetworkTag:
    """`<lora:name:0.8:te=0.5>`: kind "lora", args ("name", "0.8", "te=0.5"), as written."""

    kind: str
    args: tuple[str, ...]

    @property
    def positional(self) -> tuple[str, ...]:
        """The args that are not named."""
        return tuple(arg for arg in self.args if arg.count("=") != 1)

    @property
    def named(self) -> dict[str, str]:
        """The args with one equals sign; of equal names the last counts."""
        return dict(arg.split("=") for arg in self.args if arg.count("=") == 1)

    def __str__(self) -> str:
        return f"<{':'.join((self.kind, *self.args))}>"


def find_tags(text: str) -> list[tuple[NetworkTag, slice]]:
    """The tags of a text and where they stand, in order; what only resembles a tag is none."""
    # Up to the last closing bracket, so that many open ones do not each look for one through the whole text.
    return [
        (NetworkTag(match[1], tuple(match[2].split(":"))), slice(match.start(), match.end()))
        for match in _TAG.finditer(text, 0, text.rfind(">") + 1)
    ]


def split_tags(text: str) -> tuple[str, tuple[NetworkTag, ...]]:
    """The text without its tags (spaces around them stay), and the tags."""
    found = find_tags(text)
    kept, done = [], 0
    for _, place in found:
        kept.append(text[done : place.start])
        done = place.stop
    return "".join((*kept, text[done:])), tuple(tag for tag, _ in found)
