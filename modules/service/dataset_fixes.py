"""What the buttons of the data set's doctor do. Pictures are never changed; every fix can be undone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from modules.catalog.datasets.doctor import duplicates
from modules.catalog.datasets.focus import focal_point
from modules.catalog.datasets.folder import DataPicture
from modules.catalog.datasets.notes import PictureNote
from modules.catalog.datasets.opening import open_upright
from modules.schema.errors import UnknownName
from modules.service.datasets import Datasets
from modules.service.face_finder import find_faces

_DRAFT = 512


def fix(datasets: Datasets, name: str, kind: str, ids: list[str]) -> int:
    """Do what helps against a finding of that kind for some pictures; returns how many changed.

    corrupt, tiny: leave out. duplicate: leave out all but the largest. extreme: train in overlapping parts. long:
    shorten captions. Of no finding: focus (keep what is most interesting in sight), plain (no crop, focus or parts).
    """
    if kind == "long":
        return _shorten(datasets, name, ids)
    change = _NOTES.get(kind)
    if change is None:
        raise UnknownName("fix", kind, (*_NOTES, "long"), "kind")
    sentence, notes = change
    chosen = datasets.pictures(name, ids)
    new = {picture.file: note for picture, note in zip(chosen, notes(chosen), strict=True) if note != picture.note}
    datasets.change(name, f"{sentence} ({len(new)})", notes=new)
    return len(new)


def _shorten(datasets: Datasets, name: str, ids: list[str]) -> int:
    info = datasets.open(name)
    wanted = set(ids)
    captions = {
        picture.file: shortened(picture.caption, border)
        for picture in info.pictures
        if picture.id in wanted and (border := info.tokens[picture.id][1]) is not None
    }
    datasets.change(name, f"Shortening captions ({len(captions)})", captions=dict(captions))
    return len(captions)


def shortened(caption: str, border: int) -> str:
    """The caption up to `border`, cut after a whole tag, else after a whole word."""
    kept = caption[:border]
    if "," in kept:
        return kept[: kept.rindex(",")].strip()
    return kept[: kept.rindex(" ")].strip() if " " in kept.strip() and not kept.endswith(" ") else kept.strip()


def _without(pictures: list[DataPicture]) -> list[PictureNote]:
    return [replace(picture.note, excluded=True) for picture in pictures]


def _largest_only(pictures: list[DataPicture]) -> list[PictureNote]:
    groups = duplicates([picture for picture in pictures if picture.is_trained])
    spare = {one.id for group in groups for one in group} - {max(group, key=_pixels).id for group in groups}
    return [replace(one.note, excluded=one.note.excluded or one.id in spare) for one in pictures]


def _in_parts(pictures: list[DataPicture]) -> list[PictureNote]:
    return [replace(picture.note, split=True) for picture in pictures]


def _focused(pictures: list[DataPicture]) -> list[PictureNote]:
    faces = find_faces([picture.path for picture in pictures if picture.is_trained])
    return [
        replace(
            picture.note, focus=focal_point(open_upright(picture.path, draft=_DRAFT), faces.get(picture.path, ()))
        )
        if picture.is_trained
        else picture.note
        for picture in pictures
    ]


def _plain(pictures: list[DataPicture]) -> list[PictureNote]:
    return [PictureNote(excluded=picture.note.excluded) for picture in pictures]


def _pixels(picture: DataPicture) -> int:
    return picture.size[0] * picture.size[1]


_NOTES: dict[str, tuple[str, Callable[[list[DataPicture]], list[PictureNote]]]] = {
    "corrupt": ("Leaving out what cannot be read", _without),
    "tiny": ("Leaving out small pictures", _without),
    "duplicate": ("Leaving out duplicates", _largest_only),
    "extreme": ("Training long pictures in parts", _in_parts),
    "focus": ("Looking for the focal point", _focused),
    "plain": ("No crop, focus or parts", _plain),
}
