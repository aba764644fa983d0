"""Data sets as the service keeps them: found by name and path, changed and changed back, prepared, uploaded."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from modules.prompts.tokens import ClipTokenizer, load_tokenizer
from modules.schema.errors import BadRequest, NotFound, UnknownName, UserError
from modules.schema.training import TrainingRequest
from modules.service.dataset_fixes import fix, shortened
from modules.service.datasets import DatasetInfo, Datasets
from tests.catalog.datasets.pictures import noise, save
from tests.service.helpers import ROOT

SAMPLES = ROOT / "docs" / "samples" / "uncle_hermann"
LONG = ", ".join(f"tag number {number}" for number in range(40))


@pytest.fixture(scope="module")
def tokenizer() -> ClipTokenizer:
    return load_tokenizer()


@pytest.fixture
def sets(tmp_path: Path, tokenizer: ClipTokenizer) -> Datasets:
    return Datasets(tmp_path, tmp_path / "cache", lambda: tokenizer)


@pytest.fixture
def folder(sets: Datasets) -> Path:
    """The folder of a data set "own" with a fox and a house."""
    sets.folders.create("own")
    path = sets.folders.folder("own")
    save(path, "a fox.png", noise(1))
    save(path, "a house.png", noise(2, (300, 100)))
    return path


def ids(info: DatasetInfo) -> dict[str, str]:
    return {picture.file: picture.id for picture in info.pictures}


def captions(info: DatasetInfo) -> list[str]:
    return [picture.caption for picture in info.pictures]


# Finding


def test_by_name_and_by_path(sets: Datasets, folder: Path, tmp_path: Path) -> None:
    assert sets.open("own").name == sets.open(str(folder)).name == sets.open("datasets/own").name == "own"
    key = sets.folders.find(str(SAMPLES))
    assert sets.folders.find(key) == sets.folders.find(f"{SAMPLES}/") == key
    assert [(e.name, e.pictures, e.captioned) for e in sets.folders.entries()] == [("own", 2, 0), (key, 24, 0)]
    assert len(Datasets(tmp_path, tmp_path / "cache", sets._tokenizer).open(key).pictures) == 24


def test_what_is_not_there(sets: Datasets, folder: Path, tmp_path: Path) -> None:
    for wanted in ("", "  "):
        with pytest.raises(BadRequest, match="Choose the pictures"):
            sets.open(wanted)
    with pytest.raises(UnknownName, match="'own'") as error:
        sets.open("onw")
    assert error.value.field == "data_root"
    for name in ("", "..", "../own", "own/..", str(folder)):
        with pytest.raises(NotFound):
            sets.folders.folder(name)
    gone = tmp_path / "elsewhere"
    gone.mkdir()
    key = sets.folders.add_path(str(gone))
    gone.rmdir()
    assert len(sets.folders.entries()) == 1
    with pytest.raises(NotFound, match="not there any more"):
        sets.open(key)


def test_words_of_file_names(tmp_path: Path, tokenizer: ClipTokenizer) -> None:
    save(tmp_path / "datasets" / "own", "01-red_fox (2).png", noise(1))
    sets = Datasets(tmp_path, tmp_path / "cache", lambda: tokenizer, word_regex="[a-z]+", join=", ")
    assert captions(sets.open("own")) == ["red, fox"]
    with pytest.raises(BadRequest, match="no regular expression"):
        Datasets(tmp_path, tmp_path / "cache", lambda: tokenizer, word_regex="(").open("own")


# Preparing


def test_the_sample_is_prepared(sets: Datasets) -> None:
    request = TrainingRequest(data_root=str(SAMPLES), training_width=128, training_height=128)
    found = sets.prepare(request)
    assert len(found.pictures) == 24
    assert {(one.width, one.height, one.box, one.mask) for one in found.pictures} == {(128, 128, None, "")}
    assert all(Path(one.path).is_file() and len(one.sha256) == 64 for one in found.pictures)
    assert "two squares, green hills, night" in [one.caption for one in found.pictures]
    assert all("[filewords]" in line for line in found.template)
    assert sets.doctor(str(SAMPLES), wanted=(128, 128)) == []


def test_templates(sets: Datasets, folder: Path) -> None:
    assert "style_filewords.txt" in sets.templates()
    request = TrainingRequest(data_root="own", template_filename="subject")
    assert any(line == "a photo of [name]" for line in sets.prepare(request).template)
    with pytest.raises(UnknownName) as error:
        sets.prepare(request.replace(template_filename="../../etc/passwd"))
    assert error.value.field == "template_filename"
    (folder.parents[1] / "textual_inversion_templates" / "void.txt").write_text("\n\n")
    with pytest.raises(BadRequest, match="no line"):
        sets.prepare(request.replace(template_filename="void.txt"))


# Changing


def test_captions_are_counted(sets: Datasets, folder: Path) -> None:
    (folder / "a fox.txt").write_text(LONG)
    info = sets.open("own")
    tokens, over = info.tokens[ids(info)["a fox.png"]]
    assert tokens == 40 * 4 - 1 + 30  # numbers from 10 on are two tokens
    assert over is not None and len(sets._tokenizer().encode(LONG[:over])) == 75
    assert [one.fix for one in info.findings if one.kind == "long"] == ["Shorten to the last tag that fits"]
    assert fix(sets, "own", "long", list(ids(info).values())) == 1
    info = sets.open("own")
    assert LONG.startswith(captions(info)[0]) and captions(info)[0].endswith("number 16")
    assert info.tokens[ids(info)["a fox.png"]][1] is None
    sets.undo("own")
    assert captions(sets.open("own"))[0] == LONG


@pytest.mark.parametrize(
    ("caption", "border", "kept"),
    [("red fox, snow hill", 13, "red fox"), ("red fox", 6, "red"), ("redfox", 4, "redf"), ("red fox", 4, "red")],
)
def test_shortening(caption: str, border: int, kept: str) -> None:
    assert shortened(caption, border) == kept


def test_many_changes_and_all_the_way_back(sets: Datasets, folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    known = ids(sets.open("own"))
    fox, house = known["a fox.png"], known["a house.png"]
    assert sets.set_captions("own", {fox: "a fox", house: "a house, red"}) == 2
    assert sets.set_captions("own", {fox: " a fox "}) == 0
    assert sets.edit("own", "add", text="art") == 2
    assert sets.edit("own", "remove", find="nothing") == 0
    sets.set_crop("own", house, (0, 0, 100, 100))
    assert fix(sets, "own", "extreme", [house]) == 1
    assert sets.exclude("own", [fox], True) == 1
    assert sets.exclude("own", [fox], True) == 0
    info = sets.open("own")
    assert captions(info) == ["a fox, art", "a house, red, art"]
    assert info.tags == [("a house", 1), ("art", 1), ("red", 1)]
    house_note = info.pictures[1].note
    assert (house_note.crop, house_note.split, info.pictures[0].note.excluded) == ((0, 0, 100, 100), True, True)
    done = []
    while sets.open("own").undo:
        done.append(sets.undo("own"))
    assert done[::-1] == [
        "2 captions",
        "Adding 'art' (2)",
        "Crop of a house.png",
        "Training long pictures in parts (1)",
        "Leaving out 1 picture",
    ]
    after = {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}
    assert after == before


def test_the_artists_pictures_are_never_touched(sets: Datasets, folder: Path) -> None:
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.glob("*.png")}
    known = list(ids(sets.open("own")).values())
    for kind in ("tiny", "duplicate", "extreme", "focus", "plain", "corrupt"):
        fix(sets, "own", kind, known)
    sets.edit("own", "prepend", text="x")
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.glob("*.png")} == before


def test_duplicates_keep_the_largest(sets: Datasets, folder: Path) -> None:
    save(folder, "fox again.png", noise(1, (48, 48)))
    finding = next(one for one in sets.doctor("own") if one.kind == "duplicate")
    assert fix(sets, "own", "duplicate", list(finding.ids)) == 1
    left = {one.file: one.note.excluded for one in sets.open("own").pictures}
    assert left == {"a fox.png": False, "a house.png": False, "fox again.png": True}
    assert "duplicate" not in {one.kind for one in sets.doctor("own")}


def test_focus(sets: Datasets, folder: Path) -> None:
    assert fix(sets, "own", "focus", list(ids(sets.open("own")).values())) == 2
    focus = sets.open("own").pictures[1].note.focus
    assert focus is not None and 0 <= focus[0] <= 1
    assert fix(sets, "own", "plain", list(ids(sets.open("own")).values())) == 2
    assert sets.open("own").pictures[1].note.focus is None


def test_thumbnails_follow_their_pictures_and_go_after_a_month(sets: Datasets, folder: Path, tmp_path: Path) -> None:
    fox = ids(sets.open("own"))["a fox.png"]
    first = sets.thumbnail("own", fox, 32)
    assert first == sets.thumbnail("own", fox, 32)
    save(folder, "a fox.png", noise(7, (50, 50)))
    assert sets.thumbnail("own", fox, 32) != first
    kept = sorted((tmp_path / "cache" / "thumbnails").iterdir())
    assert len(kept) == 2
    os.utime(kept[0], (0, 0))
    Datasets(tmp_path, tmp_path / "cache", load_tokenizer).thumbnail("own", fox, 16)
    assert kept[0] not in (tmp_path / "cache" / "thumbnails").iterdir()


@pytest.mark.parametrize(
    ("action", "field"), [("add", "text"), ("prepend", "text"), ("remove", "find"), ("replace", "find")]
)
def test_edits_that_say_nothing(sets: Datasets, folder: Path, action: str, field: str) -> None:
    with pytest.raises(BadRequest) as error:
        sets.edit("own", action)  # type: ignore[arg-type]
    assert error.value.field == field


def test_a_folder_that_may_not_be_written_to(
    sets: Datasets, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != folder)
    info = sets.open("own")
    assert not info.writable
    sets.exclude("own", [info.pictures[0].id], True)
    assert sets.open("own").pictures[0].note.excluded
    assert not list(folder.glob(".*"))
    with pytest.raises(UserError, match="make it writable"):
        sets.set_captions("own", {info.pictures[0].id: "x"})
    assert not list(folder.glob("*.txt"))
    sets.undo("own")
    assert not sets.open("own").pictures[0].note.excluded


def test_a_full_disk(sets: Datasets, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fox = ids(sets.open("own"))["a fox.png"]
    sets.set_captions("own", {fox: "before"})

    def full(_path: Path, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(UserError, match="No space left on device"):
            sets.set_captions("own", {fox: "after"})
    assert (folder / "a fox.txt").read_text() == "before"
    assert not list(folder.glob("*.tmp"))
