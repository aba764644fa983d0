"""What is said of a picture: in the `.txt` beside it, else in its file name (A1111's rules)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from modules.catalog.writing import write_whole

Source = Literal["txt", "name", "none"]

LONGEST = 20_000
"""Characters of a caption that are read and kept."""

NameRule = Callable[[str], str]
"""Picture's file name to caption."""

_NUMBERS = re.compile(r"^[-\d]+\s*")


def caption_from_name(name: str, word_regex: str = "", join: str = " ") -> str:
    """The caption in a file name: without ending and without leading digits, dashes and the spaces after them.

    With `word_regex` only what it matches, joined by `join` (A1111's "filename word regex" and "join string").
    """
    text = _NUMBERS.sub("", os.path.splitext(name)[0])
    return join.join(match.group() for match in re.finditer(word_regex, text)) if word_regex else text


def caption_file(picture: Path) -> Path:
    """The caption's file of a picture."""
    return picture.with_suffix(".txt")


def read_caption(picture: Path, *, has_file: bool, name_rule: NameRule = caption_from_name) -> tuple[str, Source]:
    """(caption, where it is from). `has_file`: whether there is a caption's file; one that cannot be read is none."""
    if has_file:
        text = read_text(caption_file(picture))
        if text is not None:
            return text, "txt"
    named = name_rule(picture.name).strip()
    return named, "name" if named else "none"


def read_text(path: Path) -> str | None:
    """A text file's content without the white space around it; None when it cannot be read."""
    try:
        with path.open("rb") as file:
            data = file.read(4 * LONGEST)
    except OSError:
        return None
    return decode_text(data)


def decode_text(data: bytes) -> str:
    """UTF-8 with or without a mark, UTF-16 with one, else Windows' western letters; at most LONGEST characters."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = data.decode("utf-16", "replace")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("cp1252", "replace")
    return text.replace("\x00", "").strip()[:LONGEST]


def write_caption(picture: Path, caption: str | None) -> None:
    """Keep a caption beside its picture; None takes the file away. Raises OSError."""
    path = caption_file(picture)
    if caption is None:
        path.unlink(missing_ok=True)
    else:
        write_whole(path, caption.strip()[:LONGEST].encode("utf-8", "replace"), sync=False)
