"""Extra-network tags: `<kind:arg:arg>` in a prompt asks for a LoRA or a hypernetwork and is no text of the picture."""

from __future__ import annotations

import re
from dataclasses import dataclass

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
    return [
        (NetworkTag(match[1], tuple(match[2].split(":"))), slice(match.start(), match.end()))
        for match in _TAG.finditer(text)
    ]


def split_tags(text: str) -> tuple[str, tuple[NetworkTag, ...]]:
    """The text without its tags (spaces around them stay), and the tags."""
    return _TAG.sub("", text), tuple(tag for tag, _ in find_tags(text))
