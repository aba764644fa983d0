"""What lies beside a model file and belongs to it: a preview picture, and what the user noted about it."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from modules.catalog.cache import Facts, FileCache, Stamp
from modules.catalog.diffusers_folder import read_json_object
from modules.catalog.listing import Found
from modules.catalog.writing import replacing, write_whole

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif")
_TEXTS = (".description.txt", ".txt")
ENDINGS = (*PICTURES, ".json", ".txt")
_PREVIEWS = tuple(middle + ending for ending in PICTURES for middle in ("", ".preview"))
_DOUBLE = frozenset((".description.txt", *(f".preview{ending}" for ending in PICTURES)))
_CACHE_KIND = "beside-1"
_LONGEST = 4000
# What goes along with a model that is renamed or deleted; `.civitai.info` is what a widespread helper writes.
_ALONG = (*_PREVIEWS, ".json", *_TEXTS, ".yaml", ".yml", ".civitai.info")


@dataclass(frozen=True)
class Note:
    """What a `STEM.json` (A1111's) and `STEM.txt` beside a model say; empty where they say nothing.

    `preferred_weight` is None without one. `activation_text` and `negative_text` go into the prompts with the model.
    `vae`: the one that a checkpoint is used with.
    """

    description: str = ""
    notes: str = ""
    activation_text: str = ""
    negative_text: str = ""
    preferred_weight: float | None = None
    family: str = ""
    vae: str = ""


_NOTHING = Note()


class Beside:
    """The further files of some folders, asked for by a model's path."""

    def __init__(self, found: Iterable[Found], cache: FileCache) -> None:
        # By the path up to the ending; plain strings, because this is asked thousands of times.
        self._files: dict[str, dict[str, Found]] = {}
        for item in found:
            stem, ending = _split(os.fspath(item.path))
            if ending:
                self._files.setdefault(stem, {})[ending] = item
        self._cache = cache
        self._read: list[tuple[Path, Stamp, Facts]] = []

    def preview(self, path: Path) -> Path | None:
        """`STEM.png`, `STEM.preview.png` or another kind of picture; never the model's own file."""
        files = self._of(path)
        found = (files[ending].path for ending in _PREVIEWS if ending in files) if files else iter(())
        return next((picture for picture in found if picture != path), None)

    def note(self, path: Path) -> Note:
        """What is noted about the model."""
        files = self._of(path)
        noted = [self._facts(files[ending]) for ending in (".json", *_TEXTS) if ending in files]
        if not noted:
            return _NOTHING
        return _note({key: value for facts in reversed(noted) for key, value in facts.items()})

    def store(self) -> None:
        """Keep what was read for the next time."""
        self._cache.put(_CACHE_KIND, self._read)
        self._read = []

    def _of(self, path: Path) -> dict[str, Found]:
        return self._files.get(os.path.splitext(path)[0], {})

    def _facts(self, item: Found) -> Facts:
        known = self._cache.get(_CACHE_KIND, item.path, item.stamp)
        if known is None:
            known = read_json_object(item.path) if item.path.suffix == ".json" else {"text": _beginning(item.path)}
            self._read.append((item.path, item.stamp, known))
        return known


def preview_of(path: Path) -> Path | None:
    """The preview picture beside one model, looked for now."""
    stem = os.path.splitext(path)[0]
    return next((Path(stem + ending) for ending in _PREVIEWS if os.path.isfile(stem + ending)), None)


def files_beside(path: Path, models: Collection[Path]) -> list[Path]:
    """All files that belong to one model alone: notes, previews (also those that were replaced), configuration.

    None of them is one of `models`; none where another model has the same stem, since they are that one's as well.
    """
    stem = path if path.is_dir() else path.with_suffix("")
    if any(other != path and other.parent == path.parent and other.with_suffix("") == stem for other in models):
        return []
    named = (stem.with_name(stem.name + ending) for ending in (*_ALONG, *(f"{e}.bak" for e in _PREVIEWS)))
    return [file for file in named if file != path and file not in models and file.is_file()]


def note_of(path: Path) -> Note:
    """What is noted about one model, read now."""
    stem = os.path.splitext(path)[0]
    described = next(filter(None, (_beginning(Path(stem + ending)) for ending in _TEXTS)), "")
    return _note({"text": described, **read_json_object(Path(stem + ".json"))})


def write_note(path: Path, note: Note) -> None:
    """Write `STEM.json` beside the model, keeping what else is in it; atomic. Raises OSError."""
    file = path.with_suffix(".json")
    table = read_json_object(file) | {
        "description": note.description,
        "notes": note.notes,
        "activation text": note.activation_text,
        "negative text": note.negative_text,
        "preferred weight": note.preferred_weight or 0,
    }
    if note.family:
        table["sd version"] = note.family
    if note.vae or "vae" in table:
        table["vae"] = note.vae
    write_whole(file, json.dumps(table, indent=4, ensure_ascii=False).encode())


def write_preview(path: Path, picture: Image.Image, avoiding: Collection[Path] = ()) -> Path:
    """Make `picture` the preview beside a model and return its file; atomic, what was there becomes a `.bak`.

    A picture that is itself a model (`avoiding`) is not touched. Raises OSError.
    """
    target = path.with_suffix(".png")
    if target == path or target in avoiding:
        target = path.with_suffix(".preview.png")
    with replacing(target) as draft:
        picture.save(draft, "PNG")
        if target.exists():
            os.replace(target, target.with_name(target.name + ".bak"))
    return target


def _note(table: dict[str, Any]) -> Note:
    return Note(
        description=_text(table, "description") or _text(table, "text"),
        notes=_text(table, "notes"),
        activation_text=_text(table, "activation text"),
        negative_text=_text(table, "negative text"),
        preferred_weight=_weight(table.get("preferred weight")),
        family=_text(table, "sd version"),
        vae=_text(table, "vae"),
    )


def _split(path: str) -> tuple[str, str]:
    """("DIR/STEM", ".preview.png") of a file that may lie beside a model; no ending where it cannot."""
    stem, ending = os.path.splitext(path)
    inner, middle = os.path.splitext(stem)
    if middle + ending in _DOUBLE:
        return inner, middle + ending
    return (stem, ending) if ending in ENDINGS else (path, "")


def _beginning(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(_LONGEST).strip()
    except OSError:
        return ""


def _text(table: dict[str, Any], key: str) -> str:
    value = table.get(key)
    return value.strip()[:_LONGEST] if isinstance(value, str) else ""


def _weight(value: object) -> float | None:
    """A1111 writes 0 where nothing was chosen."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or not value:
        return None
    return float(value)
