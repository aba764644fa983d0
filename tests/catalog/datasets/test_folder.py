"""Reading a folder: which files are pictures, what is known of them, what is kept between readings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from modules.catalog.cache import FileCache
from modules.catalog.datasets.facts import facts_of, read_facts
from modules.catalog.datasets.folder import DataPicture, count_pictures, read_folder
from modules.catalog.datasets.notes import FILE, Notes, PictureNote, Undo, read_notes, write_notes
from modules.schema.errors import BadRequest
from tests.catalog.datasets.pictures import noise, save, turned


def read(folder: Path, cache: FileCache | None = None) -> dict[str, DataPicture]:
    pictures = read_folder(folder, cache or FileCache(folder.parent / "cache.sqlite"), Notes())
    return {picture.file: picture for picture in pictures}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "set"


def test_what_is_a_picture(folder: Path) -> None:
    for name in ("2.png", "10.PNG", "fox.jpg", ".hidden.png", "below/x.png", "fox-mask.png", "lone-mask.png"):
        save((folder / name).parent, Path(name).name, noise(1))
    (folder / "fox.txt").write_text("a fox")
    (folder / "readme.md").write_text("no picture")
    pictures = read(folder)
    assert list(pictures) == ["2.png", "10.PNG", "fox.jpg", "lone-mask.png"]
    assert pictures["fox.jpg"].mask == folder / "fox-mask.png"
    assert (pictures["fox.jpg"].caption, pictures["fox.jpg"].source) == ("a fox", "txt")
    assert count_pictures(folder) == (4, 1)


def test_facts(folder: Path) -> None:
    save(folder, "turned.jpg", noise(1, (60, 40)), exif=turned(noise(1)))
    see_through = noise(2).convert("RGBA")
    see_through.putalpha(Image.linear_gradient("L").resize((96, 96)))
    save(folder, "alpha.png", see_through)
    save(folder, "opaque.png", noise(2).convert("RGBA"))
    pictures = read(folder)
    assert (pictures["turned.jpg"].size, pictures["turned.jpg"].facts.turned) == ((40, 60), True)
    assert pictures["alpha.png"].facts.alpha
    assert not pictures["opaque.png"].facts.alpha
    assert not any(picture.facts.problem for picture in pictures.values())


@pytest.mark.parametrize("keep", [0, 1, 20, 500, -100])
def test_damaged_files_have_a_problem(folder: Path, keep: int) -> None:
    path = save(folder, "broken.png", noise(3))
    path.write_bytes(path.read_bytes()[:keep])
    assert read(folder)["broken.png"].facts.problem


@pytest.mark.parametrize("data", [b"<svg/>", b"%PDF-1.4", b"PK\x03\x04", b"\x89PNG\r\n\x1a\n" + b"\x00" * 100])
def test_what_is_no_picture(data: bytes) -> None:
    assert facts_of(data).problem


def test_a_file_that_goes_meanwhile(tmp_path: Path) -> None:
    assert "cannot be read" in read_facts(tmp_path / "gone.png").problem


def test_facts_are_kept_until_the_file_changes(folder: Path, tmp_path: Path) -> None:
    path = save(folder, "a.png", noise(1))
    first = read(folder)["a.png"].facts
    status = path.stat()
    path.write_bytes(b"x" * status.st_size)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert read(folder, FileCache(tmp_path / "cache.sqlite"))["a.png"].facts == first
    os.utime(path)
    assert read(folder)["a.png"].facts.problem


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="cannot be read"):
        read(tmp_path / "no" / "where")
    assert count_pictures(tmp_path / "nowhere") == (0, 0)


NOTES = Notes(
    {"a.png": PictureNote(True, (1, 2, 30, 40), (0.25, 0.75), True), "b.png": PictureNote(excluded=True)},
    (Undo("Caption", {"a.png": "a fox", "b.png": None}, {"b.png": PictureNote()}),),
)


def test_notes_come_back(tmp_path: Path) -> None:
    write_notes(tmp_path / FILE, NOTES)
    assert read_notes(tmp_path / FILE) == NOTES


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        "null",
        '{"pictures": 3}',
        '{"pictures": {"a": 3}}',
        '{"undo": [3, {}], "pictures": null}',
        "\xff",
    ],
)
def test_notes_that_are_not_ours(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text, encoding="latin-1")
    notes = read_notes(tmp_path / FILE)
    assert (notes.undo, notes.of("a")) == ((), PictureNote())


@pytest.mark.parametrize("crop", [[1, 2, 3], "abcd", [1, 2, 3, "4"], [True, 0, 1, 1], [0, 0, 1e300, 2], {}])
def test_crops_that_are_none(tmp_path: Path, crop: object) -> None:
    (tmp_path / FILE).write_text(f'{{"pictures": {{"a": {{"crop": {str(crop).replace(chr(39), chr(34))}}}}}}}')
    assert read_notes(tmp_path / FILE).of("a").crop is None


def test_plain_notes_are_not_kept() -> None:
    assert NOTES.changed({"b.png": PictureNote()}).pictures == {"a.png": NOTES.pictures["a.png"]}


def test_the_way_back_is_not_endless() -> None:
    notes = Notes()
    for number in range(100):
        notes = notes.with_undo(Undo(str(number)))
    assert [undo.sentence for undo in notes.undo][-1] == "99"
    assert len(notes.undo) == 20
