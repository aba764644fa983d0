"""Folders of others: read in place, piece by piece, never written to, never left."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest

from modules.schema.errors import BadRequest, NotFound
from modules.service.gallery import scans
from modules.service.gallery.describe import Described, describe
from modules.service.gallery.walk import walk
from tests.service.gallery.conftest import Begin
from tests.service.gallery.pictures import A1111, ANN, Opened, draw
from tests.service.helpers import until

NOBODY = ("",)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """An outputs folder of A1111, of three pictures."""
    folder = tmp_path / "elsewhere" / "old outputs"
    draw(folder / "txt2img-images" / "2023-01-02" / "00001-77.png", text=A1111)
    draw(folder / "txt2img-grids" / "2023-01-02" / "grid-0001.png", text=A1111)
    draw(folder / "loose.png", text=A1111)
    (folder / "notes.txt").write_text("not a picture")
    return folder


def _state(folder: Path) -> dict[str, tuple[int, int, int]]:
    files = [folder, *folder.rglob("*")]
    return {str(path): (path.lstat().st_mtime_ns, path.lstat().st_size, path.lstat().st_mode) for path in files}


def _read(opened: Opened, folder: Path) -> int:
    number = opened.gallery.add_folder(str(folder)).number
    until(lambda: opened.gallery.folders()[-1].progress.state == "done")
    return number


def test_a_folder_is_shown_in_place(opened: Opened, old: Path) -> None:
    before = _state(old)
    _read(opened, old)
    found = opened.pictures(NOBODY)
    assert {(picture.kind, picture.file) for picture in found} == {
        ("txt2img", "00001-77.png"), ("grids", "grid-0001.png"), ("txt2img", "loose.png"),
    }  # fmt: skip
    assert opened.ids((ANN,)) == []
    state = opened.gallery.folders()[0]
    assert (state.path, state.pictures, state.progress.total) == (old, 3, 3)
    for picture in found:
        opened.gallery.thumbnail(picture, 256)
        assert opened.gallery.text(picture) == A1111
    ids = [picture.id for picture in found]
    opened.gallery.favourite(ids, NOBODY, on=True)
    changed = opened.gallery.trash(ids, NOBODY)
    assert changed.done == []
    assert all("only read: delete it there yourself" in sentence for _, sentence in changed.refused)
    opened.gallery.tidy()
    assert _state(old) == before


def test_what_is_read_once_is_not_read_again(opened: Opened, old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def counting(path: Path, place: object) -> Described:
        read.append(path.name)
        return describe(path, place)  # type: ignore[arg-type]

    monkeypatch.setattr(scans, "describe", counting)
    number = _read(opened, old)
    assert len(read) == 3
    read.clear()
    draw(old / "new.png", text=A1111)
    changed = draw(old / "loose.png", text=A1111.replace("boat", "castle"), colour="blue")
    os.utime(changed, ns=(1, changed.stat().st_mtime_ns + 10**9))
    (old / "txt2img-grids" / "2023-01-02" / "grid-0001.png").unlink()
    opened.gallery.scan(number)
    until(lambda: opened.gallery.folders()[0].progress.state == "done" and len(read) == 2)
    assert sorted(read) == ["loose.png", "new.png"]
    assert len(opened.ids(NOBODY)) == 3
    assert [picture.file for picture in opened.pictures(NOBODY, search="castle")] == ["loose.png"]
    assert opened.pictures(NOBODY, kind="grids") == []


def test_a_reading_that_was_broken_off_goes_on(begin: Begin, old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(40):
        draw(old / "many" / f"{number}.png", text=A1111)
    monkeypatch.setattr(scans, "_BATCH", 5)
    first = begin()
    reached, go_on = threading.Event(), threading.Event()

    def slow(path: Path, place: object) -> Described:
        if path.name == "20.png":
            reached.set()
            go_on.wait(10)
        return describe(path, place)  # type: ignore[arg-type]

    monkeypatch.setattr(scans, "describe", slow)
    first.gallery.add_folder(str(old))
    assert reached.wait(10)
    closing = threading.Thread(target=first.gallery.close)
    closing.start()
    until(lambda: first.gallery._scans._stop.is_set())
    go_on.set()
    closing.join()
    read: list[str] = []

    def counting(path: Path, place: object) -> Described:
        read.append(path.name)
        return describe(path, place)  # type: ignore[arg-type]

    monkeypatch.setattr(scans, "describe", counting)
    second = begin()
    before = len(second.ids(NOBODY))
    assert 15 <= before < 43
    second.gallery.scan_now()
    assert len(second.ids(NOBODY)) == 43
    assert len(read) == 43 - before


def test_links_do_not_lead_out(opened: Opened, old: Path, tmp_path: Path) -> None:
    secret = draw(tmp_path / "elsewhere" / "secret" / "secret.png", text="secret\n" + A1111)
    (old / "way out").symlink_to(secret.parent, target_is_directory=True)
    (old / "out.png").symlink_to(secret)
    (old / "circle").symlink_to(old, target_is_directory=True)
    (old / "inside.png").symlink_to(old / "loose.png")
    (old / "nowhere.png").symlink_to(old / "nothing.png")
    _read(opened, old)
    assert {picture.file for picture in opened.pictures(NOBODY)} == {
        "00001-77.png", "grid-0001.png", "loose.png", "inside.png",
    }  # fmt: skip


def test_a_picture_that_becomes_a_link_outwards_is_not_served(opened: Opened, old: Path, tmp_path: Path) -> None:
    secret = draw(tmp_path / "elsewhere" / "secret.png")
    _read(opened, old)
    (picture,) = [picture for picture in opened.pictures(NOBODY) if picture.file == "loose.png"]
    (old / "loose.png").unlink()
    (old / "loose.png").symlink_to(secret)
    for ask in (opened.gallery.path, opened.gallery.media_type, opened.gallery.text):
        with pytest.raises(NotFound):
            ask(picture)


def test_the_own_outputs_may_lie_on_another_disk(opened: Opened, tmp_path: Path) -> None:
    draw(tmp_path / "disk" / "2024-05-06" / "1.png", text=A1111)
    (opened.outputs / "txt2img-images").symlink_to(tmp_path / "disk", target_is_directory=True)
    opened.gallery.scan_now()
    (picture,) = opened.pictures(NOBODY)
    assert opened.gallery.media_type(picture) == "image/png"


def test_a_disk_that_is_away_loses_nothing(opened: Opened, old: Path) -> None:
    number = _read(opened, old)
    opened.gallery.favourite(opened.ids(NOBODY), NOBODY, on=True)
    away = old.with_name("away")
    old.rename(away)
    for _ in range(2):
        opened.gallery.scan(number)
        until(lambda: opened.gallery.folders()[0].progress.state == "missing")
        assert "disk" in opened.gallery.folders()[0].progress.sentence
        assert len(opened.ids(NOBODY)) == 3
        old.mkdir(exist_ok=True)  # what an unmounted disk leaves
    old.rmdir()
    away.rename(old)
    opened.gallery.scan(number)
    until(lambda: opened.gallery.folders()[0].progress.state == "done")
    assert len(opened.ids(NOBODY, favourite=True)) == 3


def test_folders_are_kept_and_taken_out(begin: Begin, old: Path) -> None:
    first = begin()
    number = _read(first, old)
    first.gallery.close()
    second = begin()
    assert [state.path for state in second.gallery.folders()] == [old]
    second.gallery.remove_folder(number)
    assert second.gallery.folders() == []
    assert second.ids(NOBODY) == []
    assert (old / "loose.png").is_file()
    with pytest.raises(NotFound):
        second.gallery.remove_folder(number)


def test_folders_in_each_other_are_refused(opened: Opened, old: Path) -> None:
    _read(opened, old)
    for path in (old, old / "txt2img-images", opened.outputs, opened.outputs.parent, old.parent):
        with pytest.raises(BadRequest, match="already"):
            opened.gallery.add_folder(str(path))
    opened.gallery.add_folder(str(_sibling(old)))


def _sibling(old: Path) -> Path:
    folder = old.with_name(f"{old.name} 2")
    shutil.copytree(old, folder)
    return folder


@pytest.mark.parametrize("path", ["", " ", "relative/folder", "a\0b", "/no/such/folder/here", "~nobody-at-all/x"])
def test_paths_that_are_no_folder(opened: Opened, path: str) -> None:
    with pytest.raises(BadRequest):
        opened.gallery.add_folder(path)


def test_hidden_folders_and_odd_names(tmp_path: Path) -> None:
    draw(tmp_path / ".hidden" / "1.png")
    draw(tmp_path / "a" / ".2.png")
    draw(tmp_path / "a" / "3.PNG")
    (tmp_path / "a" / "4.svg").write_text("<svg/>")
    (tmp_path / "a" / "folder.png").mkdir()
    if os.name == "posix":
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/a/\xff.png")).write_bytes(b"x")
    assert {folder.name: list(folder.files) for folder in walk(tmp_path, trusted=True)} == {
        ".": [], "a": ["3.PNG"], "a/folder.png": [],
    }  # fmt: skip
