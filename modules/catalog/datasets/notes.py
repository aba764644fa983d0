"""What is decided about the pictures of a data set: crops, pictures left out, and the way back from changes.

One JSON file, `.webui-dataset.json` in the folder itself, or in a folder of the program where that is not writable.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from modules.catalog.writing import write_whole
from modules.schema.json_object import parse_object

FILE = ".webui-dataset.json"
_VERSION = 1
_MOST_UNDO = 20
_MOST_UNDO_CHARACTERS = 1_000_000
_MOST_BYTES = 64 << 20

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class PictureNote:
    """`crop`: what of the upright picture is trained (left, upper, right, lower); `focus`: the point that stays in
    sight where something is cut off (shares of width and height); `split`: long ones are trained in parts."""

    excluded: bool = False
    crop: Box | None = None
    focus: tuple[float, float] | None = None
    split: bool = False


PLAIN = PictureNote()


@dataclass(frozen=True)
class Undo:
    """One change that can be taken back: captions (None: there was no file) and notes as they were, by file name."""

    sentence: str
    captions: dict[str, str | None] = field(default_factory=dict[str, "str | None"])
    notes: dict[str, PictureNote] = field(default_factory=dict[str, PictureNote])

    @property
    def length(self) -> int:
        """About how many characters it takes to keep."""
        return sum(len(file) + len(text or "") for file, text in self.captions.items()) + 100 * len(self.notes)


@dataclass(frozen=True)
class Notes:
    """All of a data set, by file name; plain ones are not kept. `undo`: the newest last."""

    pictures: dict[str, PictureNote] = field(default_factory=dict[str, PictureNote])
    undo: tuple[Undo, ...] = ()

    def of(self, file: str) -> PictureNote:
        return self.pictures.get(file, PLAIN)

    def changed(self, notes: dict[str, PictureNote]) -> Notes:
        """With other notes for some pictures."""
        merged = {**self.pictures, **notes}
        return replace(self, pictures={file: note for file, note in merged.items() if note != PLAIN})

    def with_undo(self, undo: Undo) -> Notes:
        """With one more change to take back; the oldest are forgotten, also when they are long."""
        kept, room = [undo], _MOST_UNDO_CHARACTERS - undo.length
        for older in self.undo[::-1][: _MOST_UNDO - 1]:
            room -= older.length
            if room < 0:
                break
            kept.append(older)
        return replace(self, undo=tuple(kept[::-1]))


def read_notes(path: Path) -> Notes:
    """The notes in a file; none where there is no file, or what it holds is not ours."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            return Notes()
        table = parse_object(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return Notes()
    if table is None:
        return Notes()
    undo = [_undo(item) for item in _list(table.get("undo"))]
    return Notes(_notes(table.get("pictures")), tuple(item for item in undo if item is not None))


def write_notes(path: Path, notes: Notes) -> None:
    """Keep the notes; raises OSError."""
    table = {
        "version": _VERSION,
        "pictures": {file: _note_json(note) for file, note in notes.pictures.items()},
        "undo": [
            {
                "sentence": undo.sentence,
                "captions": undo.captions,
                "notes": {file: _note_json(note) for file, note in undo.notes.items()},
            }
            for undo in notes.undo
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(table, ensure_ascii=False, indent=1).encode("utf-8", "replace"))


def _note_json(note: PictureNote) -> dict[str, Any]:
    pairs = {"excluded": note.excluded, "crop": note.crop, "focus": note.focus, "split": note.split}
    return {key: value for key, value in pairs.items() if value}


def _notes(value: object) -> dict[str, PictureNote]:
    return {file: _note(note) for file, note in _dict(value).items()}


def _note(value: object) -> PictureNote:
    table = _dict(value)
    crop, focus = _numbers(table.get("crop"), 4), _numbers(table.get("focus"), 2)
    return PictureNote(
        excluded=table.get("excluded") is True,
        crop=cast("Box", tuple(int(number) for number in crop)) if crop else None,
        focus=(min(max(focus[0], 0.0), 1.0), min(max(focus[1], 0.0), 1.0)) if focus else None,
        split=table.get("split") is True,
    )


def _undo(value: object) -> Undo | None:
    table = _dict(value)
    sentence = table.get("sentence")
    if not isinstance(sentence, str):
        return None
    captions = {file: text for file, text in _dict(table.get("captions")).items() if text is None or _is_text(text)}
    return Undo(sentence, captions, _notes(table.get("notes")))


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _dict(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _numbers(value: object, count: int) -> tuple[float, ...]:
    """`count` finite numbers of at most a million, or nothing."""
    found = [n for n in _list(value) if isinstance(n, int | float) and not isinstance(n, bool) and abs(n) <= 1e6]
    return tuple(found) if len(found) == count == len(_list(value)) else ()
