"""What is found wrong with data sets that were made wrong, and nothing with a good one."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, ImageEnhance

from modules.catalog.cache import FileCache
from modules.catalog.datasets.doctor import Finding, examine
from modules.catalog.datasets.folder import read_folder
from modules.catalog.datasets.notes import Notes, PictureNote
from tests.catalog.datasets.pictures import noise, save, turned
from tests.sources import ROOT

SAMPLES = ROOT / "docs" / "samples" / "uncle_hermann"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four good pictures with good captions."""
    for number, caption in enumerate(("a fox in snow", "two red houses", "the sea at night", "a boat near trees")):
        save(tmp_path / "set", f"{caption}.png", noise(number))
    return tmp_path / "set"


def find(folder: Path, notes: Notes | None = None, over: dict[str, int | None] | None = None) -> dict[str, Finding]:
    pictures = read_folder(folder, FileCache(folder.parent / "cache.sqlite"), notes or Notes())
    return {finding.kind: finding for finding in examine(pictures, over or {}, (96, 96))}


def ids(folder: Path, *names: str) -> set[str]:
    pictures = read_folder(folder, FileCache(folder.parent / "cache.sqlite"), Notes())
    return {picture.id for picture in pictures if picture.file in names}


def test_nothing_is_wrong_with_a_good_one(folder: Path) -> None:
    assert find(folder) == {}


def test_nothing_is_wrong_with_the_sample(tmp_path: Path) -> None:
    pictures = read_folder(SAMPLES, FileCache(tmp_path / "cache.sqlite"), Notes())
    assert examine(pictures, {}, (128, 128)) == []


@pytest.mark.parametrize("change", ["size", "jpeg", "light", "copy"])
def test_duplicates(folder: Path, change: str) -> None:
    original = noise(0)
    changed = {
        "size": original.resize((64, 64)),
        "jpeg": original,
        "light": ImageEnhance.Brightness(original).enhance(0.9),
        "copy": original,
    }[change]
    name = "a fox again." + ("jpg" if change == "jpeg" else "png")
    save(folder, name, changed)
    found = find(folder)["duplicate"]
    assert set(found.ids) == ids(folder, name, "a fox in snow.png")
    assert "2 times" in found.sentence and name in found.sentence


def test_another_shape_is_no_duplicate(folder: Path) -> None:
    save(folder, "a wide fox.png", noise(0).resize((144, 96)))
    assert "duplicate" not in find(folder)


def test_corrupt(folder: Path) -> None:
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    found = find(folder)["corrupt"]
    assert set(found.ids) == ids(folder, "broken.png")
    assert found.sentence.startswith("broken.png is not trained: ")


def test_tiny_extreme_alpha_turned(folder: Path) -> None:
    save(folder, "tiny dog.png", noise(5, (40, 40)))
    save(folder, "long dog.png", noise(6, (300, 100)))
    see_through = noise(7).convert("RGBA")
    see_through.putalpha(Image.linear_gradient("L").resize((96, 96)))
    save(folder, "ghost dog.png", see_through)
    save(folder, "turned dog.jpg", noise(8), exif=turned(noise(8)))
    found = find(folder)
    assert set(found) == {"tiny", "extreme", "alpha", "turned"}
    for kind, name in (("tiny", "tiny dog.png"), ("extreme", "long dog.png"), ("alpha", "ghost dog.png")):
        assert set(found[kind].ids) == ids(folder, name)
    assert set(found["turned"].ids) == ids(folder, "turned dog.jpg")
    assert "96x96" in found["tiny"].sentence


def test_what_is_decided_is_not_found_again(folder: Path) -> None:
    save(folder, "tiny dog.png", noise(5, (40, 40)))
    save(folder, "long dog.png", noise(6, (300, 100)))
    notes = Notes({"tiny dog.png": PictureNote(excluded=True), "long dog.png": PictureNote(split=True)})
    assert find(folder, notes) == {}
    assert (
        find(
            folder,
            Notes({"tiny dog.png": PictureNote(excluded=True), "long dog.png": PictureNote(crop=(0, 0, 100, 100))}),
        )
        == {}
    )


def test_captions(folder: Path) -> None:
    save(folder, "12.png", noise(9))
    long = ids(folder, "two red houses.png").pop()
    found = find(folder, over={long: 120})
    assert set(found) == {"empty", "long"}
    assert set(found["empty"].ids) == ids(folder, "12.png")
    assert found["long"].ids == (long,)


def test_a_caption_file_of_two_pictures(folder: Path) -> None:
    save(folder, "a fox in snow.jpg", noise(20))
    assert "a fox in snow.txt" in find(folder)["shared"].sentence


def test_few_words_and_few_pictures(tmp_path: Path) -> None:
    for number in range(6):
        path = save(tmp_path / "set", f"{number}.png", noise(number))
        path.with_suffix(".txt").write_text("dog")
    assert "only 1 word:" in find(tmp_path / "set")["vocabulary"].sentence
    for number in range(1, 6):
        (tmp_path / "set" / f"{number}.png").unlink()
    assert find(tmp_path / "set")["few"].sentence.startswith("1 picture ")
