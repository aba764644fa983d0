"""What is put in: what a picture says of itself, when it was made, and what becomes of a broken or lost index."""

from __future__ import annotations

import sqlite3
from datetime import datetime
from pathlib import Path, PurePosixPath

import pytest
from PIL import Image

from modules.schema.infotext import write
from modules.schema.request import GenerationRequest
from modules.service.gallery.describe import describe, made_at
from tests.service.gallery.conftest import Begin
from tests.service.gallery.pictures import A1111, ANN, BOB, Opened, draw, draw_own

NOON = datetime(2024, 5, 6, 12).timestamp()


def test_an_old_picture_is_described_by_its_text(tmp_path: Path) -> None:
    found = describe(draw(tmp_path / "a.png", text=A1111), PurePosixPath("outputs/txt2img-images/a.png"))
    assert (found.kind, found.model, found.seed) == ("txt2img", "oldart", "77")
    assert (found.prompt, found.negative) == ("a red boat, calm sea", "people, blurry")
    assert "Sampler: Euler a" in found.parameters
    assert (found.width, found.height) == (8, 6)


def test_the_exact_request_goes_before_the_text(tmp_path: Path) -> None:
    """A prompt with a line "Negative prompt:" survives in our own chunk only."""
    path = draw_own(tmp_path / "a.png", prompt="one\nNegative prompt: two", seed=2**40, model="my art")
    found = describe(path, PurePosixPath("a.png"))
    assert (found.prompt, found.negative, found.seed, found.model) == (
        "one\nNegative prompt: two",
        "",
        str(2**40),
        "my art",
    )


def test_a_text_beside_the_picture(tmp_path: Path) -> None:
    path = draw(tmp_path / "a.png")
    path.with_suffix(".txt").write_text(A1111)
    assert describe(path, PurePosixPath("a.png")).model == "oldart"


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("outputs/txt2img-images/2024-05-06/1.png", "txt2img"),
        ("outputs/img2img-images/1.png", "img2img"),
        ("outputs/txt2img-grids/grid-0001.png", "grids"),
        ("img2img-grids/1.png", "grids"),
        ("outputs/extras-images/1.png", "extras"),
        ("somewhere/grid-0001.png", "grids"),
        ("somewhere/1.png", "txt2img"),  # it has parameters
    ],
)
def test_kinds_by_their_place(tmp_path: Path, place: str, kind: str) -> None:
    assert describe(draw(tmp_path / "a.png", text=A1111), PurePosixPath(place)).kind == kind


def test_kinds_by_what_they_say(tmp_path: Path) -> None:
    somewhere = PurePosixPath("1.png")
    plain = write(GenerationRequest(prompt="a", seed=1), {})
    assert describe(draw(tmp_path / "1.png", text=f"{plain}, Denoising strength: 0.5"), somewhere).kind == "img2img"
    hires = f"{plain}, Denoising strength: 0.5, Hires upscale: 2"
    assert describe(draw(tmp_path / "2.png", text=hires), somewhere).kind == "txt2img"
    assert describe(draw(tmp_path / "3.png"), somewhere).kind == "other"


@pytest.mark.parametrize("data", [b"", b"<svg/>", b"\x89PNG\r\n\x1a\n", b"\x89PNG\r\n\x1a\n" + bytes(64)])
def test_what_is_no_picture_is_not_shown(opened: Opened, data: bytes) -> None:
    path = opened.outputs / "a.png"
    path.write_bytes(data)
    opened.gallery.scan_now()
    assert opened.ids(None) == []


def test_texts_that_no_database_could_hold(opened: Opened) -> None:
    opened.save("1.png", prompt="a\0b", seed=1)
    draw(opened.outputs / "2.png", text="nul\0 byte\nSteps: 20, Sampler: Euler a, Seed: 3, Size: 8x6")
    opened.gallery.scan_now()
    assert len(opened.ids(None)) == 2


def test_the_day_of_a_copied_folder_is_in_its_name(tmp_path: Path) -> None:
    path = draw(tmp_path / "00012-5.png", at=NOON)
    status = path.stat()
    assert made_at(status, PurePosixPath("x/2024-05-06/00012-5.png")) == int(NOON * 1e6)
    old = datetime.fromtimestamp(made_at(status, PurePosixPath("x/2023-01-02/00012-5.png")) / 1e6)
    assert (old.date().isoformat(), old.hour) == ("2023-01-02", 12)
    assert made_at(status, PurePosixPath("x/2023-99-99/00012-5.png")) == int(NOON * 1e6)
    assert made_at(status, PurePosixPath("x/2999-01-01/00012-5.png")) == int(NOON * 1e6)


def test_pictures_of_one_moment_keep_their_order(opened: Opened) -> None:
    for number in range(30):
        draw_own(opened.outputs / f"{number:02}.png", seed=number, at=NOON)
    opened.gallery.scan_now()
    assert [picture.seed for picture in opened.pictures(None)] == [str(number) for number in reversed(range(30))]


def test_a_picture_that_is_saved_again_is_one(opened: Opened) -> None:
    first = opened.save("a.png", prompt="before", at=NOON)
    opened.gallery.favourite([first], (ANN,), on=True)
    opened.gallery.saved(draw_own(opened.outputs / "a.png", prompt="after", at=NOON + 5), BOB)
    assert opened.ids((BOB,)) == []
    (picture,) = opened.pictures()
    assert (picture.id, picture.prompt, picture.favourite) == (first, "after", True)
    assert opened.ids(search="before") == []


# --- the file ---


def test_without_an_index_it_is_made_of_the_pictures(begin: Begin) -> None:
    opened = begin()
    opened.save("txt2img-images/1.png", prompt="a boat", at=NOON)
    opened.save("txt2img-images/2.png", BOB, prompt="a fox", at=NOON + 1)
    opened.gallery.close()
    (opened.places.state / "gallery.sqlite").unlink()
    again = begin(owner_of={"txt2img-images/1.png": ANN}.get)
    again.gallery.scan_now()
    assert [picture.prompt for picture in again.pictures()] == ["a boat"]
    assert [picture.prompt for picture in again.pictures(("",))] == ["a fox"]
    assert again.told == []


@pytest.mark.parametrize("damage", ["text", "version", "table"])
def test_a_broken_index_is_moved_aside_and_made_again(begin: Begin, damage: str) -> None:
    opened = begin()
    opened.save("1.png", prompt="a boat")
    opened.gallery.close()
    file = opened.places.state / "gallery.sqlite"
    if damage == "text":
        file.write_text("this is no database, and longer than its header would be" * 20)
    else:
        sql = "PRAGMA user_version = 99" if damage == "version" else "DROP TABLE words"
        with sqlite3.connect(file) as connection:
            connection.execute(sql)
        connection.close()
    again = begin()
    (sentence,) = again.told
    assert "moved to gallery.broken-" in sentence
    assert "No picture is lost" in sentence
    assert list(again.places.state.glob("gallery.broken-*"))
    again.gallery.scan_now()
    assert [picture.prompt for picture in again.pictures(None)] == ["a boat"]


def test_what_only_the_index_knew_is_saved_from_a_broken_one(begin: Begin) -> None:
    opened = begin()
    opened.gallery.favourite([opened.save("1.png", prompt="a boat")], (ANN,), on=True)
    opened.gallery.close()
    with sqlite3.connect(opened.places.state / "gallery.sqlite") as connection:
        connection.execute("DROP TABLE words")
    connection.close()
    again = begin()
    again.gallery.scan_now()
    (picture,) = again.pictures()
    assert picture.favourite


def test_an_index_that_breaks_while_it_is_used(begin: Begin) -> None:
    opened = begin()
    for number in range(200):
        opened.save(f"{number}.png", prompt=f"fox {number} " + "words " * 50, at=NOON + number)
    opened.gallery.close()
    file = opened.places.state / "gallery.sqlite"
    data = bytearray(file.read_bytes())
    data[len(data) // 3 : len(data) - 4096] = b"\xa5" * (len(data) - 4096 - len(data) // 3)
    file.write_bytes(data)
    again = begin()
    found = [again.ids(None), again.ids(None, search="fox"), again.ids(None)]
    assert found[-1] == [] or len(found[-1]) == 200
    assert again.told
    again.gallery.scan_now()
    assert len(again.ids(None, search="fox")) == 200


def test_where_no_file_can_be_written_the_index_is_in_memory(begin: Begin, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be")
    opened = begin()
    assert "in memory" in opened.told[0]
    opened.save("1.png", prompt="a boat")
    assert len(opened.ids(search="boat")) == 1


def test_two_programs_share_the_index(begin: Begin) -> None:
    one, other = begin(), begin()
    one.save("1.png", prompt="a boat", at=NOON)
    other.save("2.png", prompt="a fox", at=NOON + 1)
    assert len(one.ids()) == len(other.ids()) == 2


def test_small_pictures_of_other_formats(opened: Opened) -> None:
    for ending in ("jpg", "webp", "gif", "avif"):
        Image.new("RGB", (8, 6)).save(opened.outputs / f"a.{ending}")
    opened.gallery.scan_now()
    kinds = {opened.gallery.media_type(picture) for picture in opened.pictures(None)}
    assert kinds == {"image/jpeg", "image/webp", "image/gif", "image/avif"}
