"""Captions as tags between commas: counted, and changed in many captions at the same time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal

Action = Literal["replace", "add", "remove", "prepend"]


def split(caption: str) -> list[str]:
    """The tags of a caption, without the spaces around them and without empty ones."""
    return [tag for tag in (part.strip() for part in caption.split(",")) if tag]


def join(tags: Iterable[str]) -> str:
    return ", ".join(tags)


def count(captions: Iterable[str]) -> list[tuple[str, int]]:
    """(tag, captions that have it), the most frequent first, then by name."""
    counter = Counter(tag for caption in captions for tag in dict.fromkeys(split(caption)))
    return sorted(counter.items(), key=lambda item: (-item[1], item[0].casefold(), item[0]))


def edited(captions: Mapping[str, str], action: Action, find: str, text: str) -> dict[str, str]:
    """Those of `captions` that a change touches, changed.

    replace: `find` by `text` wherever it stands, in words too. add and prepend: `text` as the last or first tag of
    captions that do not have it. remove: the tag `find` (or `text`).
    """
    changed = {key: _changed(caption, action, find, text) for key, caption in captions.items()}
    return {key: caption for key, caption in changed.items() if caption != captions[key]}


def _changed(caption: str, action: Action, find: str, text: str) -> str:
    if action == "replace":
        return caption.replace(find, text).strip() if find and find in caption else caption
    tags = split(caption)
    if action == "remove":
        unwanted = (find or text).strip().casefold()
        kept = [tag for tag in tags if tag.casefold() != unwanted]
        return join(kept) if len(kept) < len(tags) else caption
    new = [tag for tag in split(text) if tag.casefold() not in {known.casefold() for known in tags}]
    if not new:
        return caption
    return join((*new, *tags) if action == "prepend" else (*tags, *new))
