"""Files that are sent to a data set: what they are called there, and what is refused."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path
from typing import BinaryIO

import pytest

from modules.service import dataset_uploads
from modules.service.dataset_uploads import take_in
from modules.service.datasets import Datasets
from tests.catalog.datasets.pictures import noise


def data(seed: int = 1, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    noise(seed, (32, 32)).save(file, kind)
    return file.getvalue()


def sent(*files: tuple[str, bytes]) -> list[tuple[str, BinaryIO]]:
    return [(name, io.BytesIO(content)) for name, content in files]


def zipped(*files: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return file.getvalue()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("fox.png", "fox.png"),
        ("../../fox.png", "fox.png"),
        ("C:\\art\\fox.png", "fox.png"),
        ("/etc/passwd", "passwd.png"),
        ("fox.jpg", "fox.png"),
        ("fox", "fox.png"),
        ("fox.tar.png", "fox.tar.png"),
        (".fox.png", "fox.png"),
        ("nul.png", "nul_.png"),
        ('a<b>:"|?*.png', "a_b______.png"),
        ("a\x00b\n\u202ec.png", "abc.png"),
        ("קיץ.png", "קיץ.png"),
        ("", "picture.png"),
        ("..png", "png.png"),
    ],
)
def test_names_are_only_words(tmp_path: Path, name: str, kept: str) -> None:
    assert take_in(tmp_path, sent((name, data()))).added == [kept]
    assert names(tmp_path) == {kept}


def test_very_long_names(tmp_path: Path) -> None:
    (name,) = take_in(tmp_path, sent(("ש" * 300 + ".png", data()))).added
    assert len(name.encode()) < 255


def test_names_that_are_taken(tmp_path: Path) -> None:
    first = take_in(tmp_path, sent(("fox.png", data(1)), ("fox.txt", b"one")))
    again = take_in(tmp_path, sent(("fox.png", data(1)), ("fox.txt", b"one, again")))
    other = take_in(tmp_path, sent(("Fox.txt", b"two"), ("Fox-mask.png", data(3)), ("Fox.png", data(2))))
    third = take_in(tmp_path, sent(("fox.jpg", data(2, "JPEG"))))
    assert (first.added, first.captions) == (["fox.png"], {"fox.png": "one"})
    assert (again.added, again.captions) == ([], {"fox.png": "one, again"})
    assert [one.sentence for one in again.refused] == ["it is there already"]
    assert (other.added, other.captions) == (["Fox (2).png", "Fox (2)-mask.png"], {"Fox (2).png": "two"})
    assert third.added == ["fox (3).jpg"]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.png", b"<svg onload=alert(1)>", "no picture"),
        ("a.png", b"", "no picture"),
        ("a.png", b"\x89PNG\r\n\x1a\n" + b"\x00" * 50, "kind|damaged"),
        ("a.png", data()[:200], "damaged"),
        ("a.txt", b"no picture of that name", "no picture of this name"),
        ("a.zip", b"PK\x03\x04 and no more", "damaged"),
    ],
)
def test_what_is_refused(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    arrived = take_in(tmp_path, sent((name, content)))
    assert (arrived.added, [one.file for one in arrived.refused]) == ([], [name])
    assert re.search(sentence, arrived.refused[0].sentence)
    assert names(tmp_path) == set()


def test_a_zip(tmp_path: Path) -> None:
    inside = zipped(
        ("a/b/fox.png", data(1)),
        ("a/fox.txt", b"a fox"),
        ("../../../up.png", data(2)),
        ("/abs.png", data(3)),
        ("__MACOSX/._fox.png", b"x"),
        (".DS_Store", b"x"),
        ("a/notes.pdf", b"%PDF"),
        ("inner.zip", zipped(("x.png", data(4)))),
        ("folder/", b""),
    )
    (tmp_path / "set").mkdir()
    arrived = take_in(tmp_path / "set", sent(("all.zip", inside)))
    assert set(arrived.added) == names(tmp_path / "set") == {"fox.png", "up.png", "abs.png"}
    assert arrived.captions == {"fox.png": "a fox"}
    assert {one.file for one in arrived.refused} == {"notes.pdf", "inner.zip"}
    assert names(tmp_path) == {"set"}


def test_a_zip_bomb(tmp_path: Path) -> None:
    bomb = zipped(("bomb.png", b"\x89PNG\r\n\x1a\n" + bytes(30 << 20)))
    assert len(bomb) < 100_000
    (refused,) = take_in(tmp_path, sent(("bomb.zip", bomb))).refused
    assert "so much more than its size" in refused.sentence


def test_a_zip_that_lies_about_sizes(tmp_path: Path) -> None:
    bomb = bytearray(zipped(("bomb.png", b"\x89PNG\r\n\x1a\n" + bytes(3 << 20))))
    at = bomb.rindex(b"PK\x01\x02")
    bomb[at + 24 : at + 28] = (100_000).to_bytes(4, "little")
    (refused,) = take_in(tmp_path, sent(("bomb.zip", bytes(bomb)))).refused
    assert refused.file == "bomb.png"
    assert names(tmp_path) == set()


def test_links_and_locks_in_a_zip(tmp_path: Path) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        link = zipfile.ZipInfo("link.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    locked = bytearray(zipped(("locked.png", data())))
    locked[locked.rindex(b"PK\x01\x02") + 8] |= 1
    refused = take_in(tmp_path, sent(("a.zip", file.getvalue()), ("b.zip", bytes(locked)))).refused
    assert [one.file for one in refused] == ["link.png", "locked.png"]
    assert "link" in refused[0].sentence and "password" in refused[1].sentence
    assert names(tmp_path) == set()


def test_a_zip_of_endless_names_is_not_read(tmp_path: Path) -> None:
    long = bytearray(zipped(("a.png", data())))
    at = long.rindex(b"PK\x05\x06")
    long[at + 12 : at + 16] = (1 << 30).to_bytes(4, "little")
    (refused,) = take_in(tmp_path, sent(("long.zip", bytes(long)))).refused
    assert refused.file == "long.zip" and "holds more than" in refused.sentence


def test_damage_inside_a_zip(tmp_path: Path) -> None:
    content = bytearray(zipped(("a.png", data(1)), ("b.png", data(2)), method=zipfile.ZIP_STORED))
    content[200] ^= 255
    arrived = take_in(tmp_path, sent(("all.zip", bytes(content))))
    assert (arrived.added, [one.file for one in arrived.refused]) == (["b.png"], ["a.png"])


def test_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset_uploads, "MOST_FILES", 2)
    arrived = take_in(tmp_path, sent(*((f"{n}.png", data(n)) for n in range(3))))
    assert (len(arrived.added), arrived.refused[-1].sentence[:16]) == (2, "Only the first 2")
    monkeypatch.setattr(dataset_uploads, "MOST_FILE_BYTES", 100)
    assert "MiB that a file may have" in take_in(tmp_path, sent(("x.png", data(9)))).refused[0].sentence


def test_all_together_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset_uploads, "MOST_BYTES", len(data(0)) + len(data(1)))
    arrived = take_in(tmp_path, sent(*((f"{n}.png", data(n)) for n in range(3))))
    assert len(arrived.added) == 2 and "all files together" in arrived.refused[0].sentence


def test_captions_of_an_upload_can_be_undone(tmp_path: Path) -> None:
    sets = Datasets(tmp_path, tmp_path / "cache", lambda: pytest.fail("no tokens are counted"))
    sets.folders.create("own")
    sets.add_pictures("own", sent(("fox.png", data()), ("fox.txt", b"one")))
    sets.add_pictures("own", sent(("fox.txt", b"two")))
    file = tmp_path / "datasets" / "own" / "fox.txt"
    assert file.read_text() == "two"
    assert sets.undo("own") == "Captions of an upload (1)"
    assert file.read_text() == "one"
