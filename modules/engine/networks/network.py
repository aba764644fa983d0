"""A network as a prompt asks for it: which file, and how strongly it acts on what."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from modules.prompts.tags import NetworkTag
from modules.schema.request import Frozen

Kind = Literal["lora", "hypernet"]
KINDS: Mapping[str, Kind] = {"lora": "lora", "lyco": "lora", "hypernet": "hypernet"}
"""Kinds by the word of the tag; lyco is A1111's old one for the relatives of LoRA."""


class NetworkRef(Frozen):
    """A LoRA or hypernetwork file and how strongly it acts: `text` on the text encoder, `unet` on the UNet (of a
    hypernetwork, which has one strength). `rank` cuts the ranks of a LoRA. `name` is what the prompt calls it."""

    kind: Kind
    name: str
    path: str
    text: float = 1.0
    unet: float = 1.0
    rank: int | None = None


def ref_of(tag: NetworkTag, path: str) -> tuple[NetworkRef, tuple[str, ...]]:
    """The network that a tag asks for, whose file is known, and sentences about what could not be read in the tag.

    `<lora:name:text:unet:rank>`, with te=, unet= and dyn= as names of the numbers; the UNet's strength is the text
    encoder's where it is not given. What is no number is taken for the usual value.
    """
    told: list[str] = []

    def number(place: int, name: str, usual: float) -> float:
        given = tag.named.get(name, tag.positional[place] if len(tag.positional) > place else "").strip()
        try:
            value = float(given) if given else usual
        except ValueError:
            value = math.nan
        if math.isfinite(value):
            return value
        told.append(f"{tag}: {given!r} is no number; {usual:g} is used.")
        return usual

    kind = KINDS[tag.kind]
    text = number(1, "te", 1.0)
    unet = number(2, "unet", text)
    rank = int(number(3, "dyn", 0.0))
    name = tag.positional[0].strip() if tag.positional else ""
    ref = NetworkRef(kind=kind, name=name, path=path, text=text, unet=unet, rank=rank if rank > 0 else None)
    return ref, tuple(told)
