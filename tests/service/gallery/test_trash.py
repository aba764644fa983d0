"""Deleting with a way back, thumbnails, zips, and who may do what."""

from __future__ import annotations

import io
import os
import time
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from modules.catalog.cache import Stamp
from modules.schema.errors import BadRequest, NotFound, UserError
from modules.service.gallery.gallery import NOBODY
from modules.service.gallery.media import media_type
from modules.service.gallery.thumbnails import GalleryThumbnails
from modules.service.gallery.zips import zipped
from tests.service.gallery.conftest import Begin
from tests.service.gallery.pictures import ANN, BOB, Opened, draw_own

MINE = (ANN,)
NAME = "txt2img-images/2024-05-06/00001-5.png"


def test_into_the_trash_and_back(opened: Opened) -> None:
    picture = opened.save(NAME, prompt="a boat")
    path = opened.outputs / NAME
    path.with_suffix(".txt").write_text("its text")
    before = path.read_bytes()
    assert opened.gallery.trash([picture], MINE).done == [picture]
    assert not path.exists()
    assert not path.with_suffix(".txt").exists()
    assert opened.ids() == []
    (trashed,) = opened.pictures(trash=True, search="boat")
    assert opened.gallery.path(trashed).read_bytes() == before
    assert opened.gallery.restore([picture], MINE).done == [picture]
    assert path.read_bytes() == before
    assert path.with_suffix(".txt").read_text() == "its text"
    assert opened.ids(search="boat") == [picture]
    assert not list((opened.outputs / ".trash").iterdir())


def test_a_name_that_is_taken_meanwhile(opened: Opened) -> None:
    first = opened.save(NAME, prompt="the first")
    opened.gallery.trash([first], MINE)
    second = opened.save(NAME, prompt="the second")
    assert first != second
    opened.gallery.restore([first], MINE)
    found = {picture.prompt: picture.file for picture in opened.pictures()}
    assert found == {"the first": "00001-5-2.png", "the second": "00001-5.png"}


def test_the_trash_is_emptied_in_time(begin: Begin) -> None:
    opened = begin(trash_days=7)
    old, new = opened.save("1.png", seed=1), opened.save("2.png", seed=2)
    opened.gallery.trash([old, new], MINE)
    row = opened.index.find(old, MINE)
    opened.index.move(row, row.place, time.time() - 8 * 86400)
    opened.gallery.tidy()
    assert opened.ids(trash=True) == [new]
    assert [path.name for path in (opened.outputs / ".trash").iterdir()] == [new]


def test_the_trash_outlives_the_index(begin: Begin) -> None:
    opened = begin()
    picture = opened.save(NAME, prompt="a boat")
    opened.gallery.trash([picture], MINE)
    opened.gallery.close()
    (opened.places.state / "gallery.sqlite").unlink()
    again = begin()
    again.gallery.scan_now()
    again.gallery.scan_now()
    (found,) = again.pictures(None, trash=True)
    assert (found.id, found.kind, found.prompt) == (picture, "txt2img", "a boat")
    again.gallery.restore([picture], None)
    assert (again.outputs / NAME).is_file()
    assert again.ids(None) == [picture]


def test_a_picture_that_is_gone_is_forgotten_with_a_sentence(opened: Opened) -> None:
    picture = opened.save(NAME)
    (opened.outputs / NAME).unlink()
    ((refused, sentence),) = opened.gallery.trash([picture], MINE).refused
    assert refused == picture
    assert "not there any more" in sentence
    assert opened.ids() == []


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(opened: Opened) -> None:
    picture = opened.save(NAME)
    folder = (opened.outputs / NAME).parent
    folder.chmod(0o500)
    try:
        ((_, sentence),) = opened.gallery.trash([picture], MINE).refused
    finally:
        folder.chmod(0o700)
    assert "could not be moved" in sentence
    assert opened.ids() == [picture]


@pytest.mark.parametrize("change", ["trash", "restore", "delete"])
def test_nobody_changes_what_is_anothers(opened: Opened, change: str) -> None:
    picture = opened.save(NAME, BOB)
    if change != "trash":
        opened.gallery.trash([picture], (BOB,))
    assert getattr(opened.gallery, change)([picture], MINE).done == []
    assert len(opened.ids((BOB,), trash=change != "trash")) == 1


def test_only_what_is_in_the_trash_is_deleted_for_good(opened: Opened) -> None:
    picture = opened.save(NAME)
    assert opened.gallery.delete([picture], MINE).done == []
    opened.gallery.trash([picture], MINE)
    assert opened.gallery.delete([picture], MINE).done == [picture]
    assert not [path for path in opened.outputs.rglob("*") if path.is_file()]
    with pytest.raises(NotFound):
        opened.index.find(picture, None)


def test_whose_pictures_are_seen(opened: Opened) -> None:
    scope = opened.gallery.scope
    assert scope(ANN, is_owner=False) == (ANN,)
    assert scope(ANN, is_owner=False, everybody=True) == (ANN,)
    assert scope(ANN, is_owner=True) == (ANN, *NOBODY)
    assert scope(ANN, is_owner=True, everybody=True) is None


# --- thumbnails ---


@pytest.fixture
def picture(tmp_path: Path) -> tuple[Path, Stamp]:
    path = tmp_path / "a.png"
    Image.effect_noise((600, 300), 80).convert("RGB").save(path)
    return path, Stamp.of(path.stat())


def test_a_thumbnail_is_made_once(tmp_path: Path, picture: tuple[Path, Stamp]) -> None:
    thumbnails = GalleryThumbnails(tmp_path / "small", 1 << 20)
    data = thumbnails.get(*picture, 256)
    with Image.open(io.BytesIO(data)) as small:
        assert (small.format, small.size) == ("WEBP", (256, 128))
    picture[0].write_bytes(b"not read again")
    assert thumbnails.get(*picture, 256) == data
    with pytest.raises(UserError):
        thumbnails.get(*picture, 512)


def test_another_state_of_the_file_is_another_thumbnail(tmp_path: Path, picture: tuple[Path, Stamp]) -> None:
    thumbnails = GalleryThumbnails(tmp_path / "small", 1 << 20)
    before = thumbnails.get(*picture, 256)
    Image.new("RGB", (600, 300), "red").save(picture[0])
    assert thumbnails.get(picture[0], Stamp.of(picture[0].stat()), 256) != before


def test_thumbnails_take_no_more_than_their_room(tmp_path: Path, picture: tuple[Path, Stamp]) -> None:
    size = len(GalleryThumbnails(tmp_path / "one", 1 << 20).get(*picture, 256))
    thumbnails = GalleryThumbnails(tmp_path / "small", 5 * size)
    for number in range(12):
        thumbnails.get(picture[0], Stamp(number, number), 256)
        assert sum(path.stat().st_size for path in (tmp_path / "small").rglob("*.webp")) <= 5 * size


# --- zips and types ---


def test_a_zip_is_made_while_it_is_sent(tmp_path: Path) -> None:
    files = []
    for number in range(3):
        path = draw_own(tmp_path / str(number) / "same.png", seed=number)
        files.append(("same.png", path))
    files.insert(1, ("gone.png", tmp_path / "gone.png"))
    parts = zipped(files)
    first = next(parts)
    assert first.startswith(b"PK")
    with zipfile.ZipFile(io.BytesIO(first + b"".join(parts))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["same.png", "same-2.png", "same-3.png"]
        assert archive.read("same-2.png") == files[2][1].read_bytes()


def test_orders_of_zips_grow_old(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    name, pictures, size = opened.gallery.order_zip([opened.save(NAME)], MINE)
    assert pictures == 1
    assert size == (opened.outputs / NAME).stat().st_size
    assert opened.gallery.zips.get(name)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 3600)
    with pytest.raises(NotFound, match="too old"):
        opened.gallery.zips.get(name)


@pytest.mark.parametrize(
    "head", [b"<svg xmlns=", b"<!DOCTYPE html>", b"%PDF-1.7", b"PK\3\4", b"", b"RIFF    WAVE", b"BM"]
)
def test_types_that_are_never_served(tmp_path: Path, head: bytes) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(head + bytes(64))
    with pytest.raises(BadRequest, match="is not a picture"):
        media_type(path)
