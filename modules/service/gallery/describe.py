"""What the gallery knows of a picture: read from the picture itself, never from the job that made it."""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from modules.schema.errors import BadRequest
from modules.schema.infotext import Infotext, parse, split_title
from modules.service.picture_text import PictureText, read_picture_text

KINDS = ("txt2img", "img2img", "grids", "extras", "other")
ENDINGS = frozenset((".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif"))

_LONGEST_WORDS = 20_000
_LONGEST_OTHERS = 8_000
_LONGEST_NAME = 200
_LONGEST_SIDECAR = 64 << 10
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_NUMBER = re.compile(r"\d{1,9}")
_NO_SURROGATES = re.compile("[\ud800-\udfff\0]")


@dataclass(frozen=True)
class Described:
    """`parameters` is the text's parameter line and whatever else the file says; `width` 0: no picture."""

    kind: str = "other"
    model: str = ""
    seed: str = ""
    width: int = 0
    height: int = 0
    prompt: str = ""
    negative: str = ""
    parameters: str = ""


def describe(path: Path, place: PurePosixPath) -> Described:
    """Read a picture's header and texts; its pixels are not decoded. `place`: its path, by which kinds are known."""
    try:
        found = read_picture_text(path)
    except BadRequest:
        return Described()
    text = parse(found.infotext or sidecar(path))
    return Described(
        kind=_kind(found, text, place),
        model=_clean(_model(found, text), _LONGEST_NAME),
        seed=_clean(str(found.request.seed) if found.request else text.params.get("Seed", ""), _LONGEST_NAME),
        width=found.width,
        height=found.height,
        prompt=_clean(found.request.prompt if found.request else text.prompt, _LONGEST_WORDS),
        negative=_clean(found.request.negative_prompt if found.request else text.negative_prompt, _LONGEST_WORDS),
        parameters=_parameters(found, text),
    )


def sidecar(path: Path) -> str:
    """A1111's text file beside a picture, for pictures that hold no text; else ""."""
    beside = path.with_suffix(".txt")
    with contextlib.suppress(OSError):
        if beside.is_file() and not beside.is_symlink() and beside.stat().st_size <= _LONGEST_SIDECAR:
            return beside.read_text(encoding="utf-8", errors="replace").strip()
    return ""


def made_at(status: os.stat_result, place: PurePosixPath) -> int:
    """When the picture was made, in microseconds since the epoch.

    That is the file's time; but a folder that was copied has new times, and then its name may still tell the day.
    """
    by_file = max(1, status.st_mtime_ns // 1000)
    day = next((part for part in reversed(place.parts[:-1]) if _DAY.fullmatch(part)), None)
    if day is None:
        return by_file
    with contextlib.suppress(ValueError, OSError, OverflowError):
        if day == datetime.fromtimestamp(status.st_mtime).date().isoformat():
            return by_file
        noon = int(datetime.fromisoformat(f"{day}T12:00:00").timestamp()) * 1_000_000
        number = _NUMBER.match(place.name)
        return max(1, min(by_file, noon + int(number[0]) if number else noon))
    return by_file


def _kind(found: PictureText, text: Infotext, place: PurePosixPath) -> str:
    by_place = _kind_of_place(place)
    if by_place is not None:
        return by_place
    if "postprocessing" in found.items or "extras" in found.items:
        return "extras"
    if found.request is not None:
        return "img2img" if found.request.image else "txt2img"
    if not text.params:
        return "other"
    drawn_over = "Denoising strength" in text.params and not any(key.startswith("Hires") for key in text.params)
    return "img2img" if drawn_over else "txt2img"


def _kind_of_place(place: PurePosixPath) -> str | None:
    """By A1111's names of folders, and of grids; the innermost counts."""
    if place.name.startswith(("grid-", "xyz_grid-", "prompt_matrix-")):
        return "grids"
    for part in reversed(place.parts[:-1]):
        name = part.casefold()
        if name.endswith("-grids"):
            return "grids"
        for kind in ("txt2img", "img2img", "extras"):
            if name in (kind, f"{kind}-images"):
                return kind
    return None


def _model(found: PictureText, text: Infotext) -> str:
    named = found.facts.get("Model") or text.params.get("Model")
    if not named and found.request is not None:
        named = split_title(found.request.checkpoint)[0]
    return str(named or text.params.get("Model hash", ""))


def _parameters(found: PictureText, text: Infotext) -> str:
    pairs = {**text.params, **{key: str(value) for key, value in found.facts.items() if value is not None}}
    line = ", ".join(f"{key}: {value}" for key, value in pairs.items())
    others = "\n".join(found.items.values())[:_LONGEST_OTHERS]
    return _clean(f"{line}\n{others}".strip(), _LONGEST_WORDS)


def _clean(text: str, longest: int) -> str:
    """What a database can hold."""
    return _NO_SURROGATES.sub(" ", text[:longest])
