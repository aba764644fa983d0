"""Networks that old texts name beside the prompt: as tags in the prompt, where they belong since."""

from __future__ import annotations

import re

from modules.schema.infotext_reading import Reading

_HYPERNET, _STRENGTH = "Hypernet", "Hypernet strength"
_ADDNET = re.compile(r"AddNet (?:Enabled|Module \d+|Model \d+|Weight [AB] \d+)")
_MODEL = re.compile(r"AddNet Model (\d+)")
_HASH = re.compile(r"\s*\([0-9a-f]+\)\s*$")


def read_networks(reading: Reading) -> None:
    """Add the tags of A1111's `Hypernet` and of the Additional Networks extension's LoRA to the prompt.

    The extension's weights A (UNet) and B (text encoder) become the tag's two. A name that would break a tag is told.
    """
    tags: list[str] = []
    name, strength = reading.take(_HYPERNET), reading.take(_STRENGTH) or "1.0"
    if name and _fits(reading, _HYPERNET, name):
        tags.append(f"<hypernet:{name}:{strength}>")
    numbers = [match[1] for key in reading.params if (match := _MODEL.fullmatch(key))]
    taken = {key: reading.take(key) for key in list(reading.params) if _ADDNET.fullmatch(key)}
    for number in numbers:
        model = _HASH.sub("", taken[f"AddNet Model {number}"] or "")
        wanted = taken.get(f"AddNet Module {number}") == "LoRA" and model not in ("", "None")
        if not wanted or not _fits(reading, f"AddNet Model {number}", model):
            continue
        unet = taken.get(f"AddNet Weight A {number}") or "1.0"
        text = taken.get(f"AddNet Weight B {number}") or unet
        tags.append(f"<lora:{model}:{unet}>" if text == unet else f"<lora:{model}:{text}:{unet}>")
    if tags:
        reading.values["prompt"] = "\n".join(part for part in (reading.values["prompt"], "".join(tags)) if part)


def _fits(reading: Reading, key: str, name: str) -> bool:
    if set(name) & set(":<>"):
        reading.skip(key, name, "such a name cannot stand in a tag")
        return False
    return True
