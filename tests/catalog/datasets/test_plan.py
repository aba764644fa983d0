"""What of which picture is trained, and how it looks then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from modules.catalog.cache import FileCache
from modules.catalog.datasets.focus import focal_point
from modules.catalog.datasets.folder import DataPicture, read_folder
from modules.catalog.datasets.notes import Notes, PictureNote
from modules.catalog.datasets.opening import fitted, open_upright, weights
from modules.catalog.datasets.plan import planned
from modules.schema.errors import BadRequest, UserError
from modules.schema.training import TrainingRequest
from tests.catalog.datasets.pictures import noise, save, turned


def request(**values: Any) -> TrainingRequest:
    return TrainingRequest(**{"training_width": 64, "training_height": 64, **values})


def read(folder: Path, **notes: PictureNote) -> list[DataPicture]:
    named = {f"{name}.png": note for name, note in notes.items()}
    return read_folder(folder, FileCache(folder.parent / "cache.sqlite"), Notes(named))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(tmp_path / "set", "wide.png", noise(1, (192, 64)))
    return tmp_path / "set"


@pytest.mark.parametrize(
    ("fit", "box", "size"),
    [
        ("Buckets", None, (96, 32)),
        ("Crop", (64, 0, 128, 64), (64, 64)),
        ("Stretch", None, (64, 64)),
        ("Original size", None, (192, 64)),
    ],
)
def test_fits(folder: Path, fit: str, box: tuple[int, ...] | None, size: tuple[int, int]) -> None:
    (one,) = planned(read(folder), request(fit=fit))
    assert (one.box, (one.width, one.height), one.caption) == (box, size, "wide")
    assert fitted(one).size == size


def test_focus_moves_what_is_cut(folder: Path) -> None:
    (one,) = planned(read(folder, wide=PictureNote(focus=(1.0, 0.5))), request(fit="Crop"))
    assert one.box == (128, 0, 192, 64)


def test_parts_and_flips(folder: Path) -> None:
    found = planned(read(folder, wide=PictureNote(split=True)), request(flip=True))
    assert [(one.box, one.flip) for one in found] == [
        ((offset, 0, offset + 64, 64), flip) for offset in (0, 42, 85, 128) for flip in (False, True)
    ]
    plain, mirrored = (np.asarray(fitted(one)) for one in found[:2])
    assert np.array_equal(plain[:, ::-1], mirrored)


def test_crop_then_bucket(folder: Path) -> None:
    (one,) = planned(read(folder, wide=PictureNote(crop=(10, 0, 74, 64))), request())
    assert (one.box, one.width, one.height) == ((10, 0, 74, 64), 64, 64)


def test_nothing_to_train(folder: Path) -> None:
    with pytest.raises(BadRequest, match="left out") as error:
        planned(read(folder, wide=PictureNote(excluded=True)), request())
    assert error.value.field == "data_root"
    with pytest.raises(BadRequest, match="no picture"):
        planned([], request())


def test_original_sizes_that_cannot_be(folder: Path) -> None:
    save(folder, "wide.png", noise(1, (7, 64)))
    with pytest.raises(BadRequest, match="wide.png"):
        planned(read(folder), request(fit="Original size"))


def test_a_turned_picture_is_cut_upright(tmp_path: Path) -> None:
    image = noise(1, (64, 32))
    save(tmp_path / "set", "t.jpg", image, exif=turned(image), quality=100)
    (one,) = planned(read(tmp_path / "set"), request(fit="Original size"))
    assert (one.width, one.height) == (32, 64)
    expected = np.asarray(image.transpose(Image.Transpose.ROTATE_270), np.int32)
    assert np.abs(np.asarray(fitted(one), np.int32) - expected).mean() < 8


def see_through(folder: Path) -> None:
    image = Image.new("RGBA", (64, 64), (255, 0, 0, 255))
    image.paste((0, 0, 0, 0), (0, 0, 32, 64))
    save(folder, "ghost.png", image)


def test_alpha_is_white_and_weighs_nothing(tmp_path: Path) -> None:
    see_through(tmp_path / "set")
    (plain,) = planned(read(tmp_path / "set"), request())
    assert plain.mask == "" and weights(plain) is None
    (weighed,) = planned(read(tmp_path / "set"), request(use_weight=True))
    assert weighed.mask == "alpha"
    pixels, mask = np.asarray(fitted(weighed)), weights(weighed)
    assert mask is not None
    assert (pixels[0, 0].tolist(), pixels[0, 63].tolist()) == ([255, 255, 255], [255, 0, 0])
    assert (np.asarray(mask)[0, 0], np.asarray(mask)[0, 63]) == (0, 255)


def test_a_mask_file_goes_before_alpha_and_along_with_the_crop(tmp_path: Path) -> None:
    see_through(tmp_path / "set")
    mask = Image.new("L", (32, 32), 0)
    mask.paste(255, (0, 0, 32, 16))
    save(tmp_path / "set", "ghost-mask.png", mask)
    pictures = read(tmp_path / "set", ghost=PictureNote(crop=(0, 0, 64, 32)))
    (one,) = planned(pictures, request(use_weight=True, fit="Original size"))
    assert one.mask == str(tmp_path / "set" / "ghost-mask.png")
    found = weights(one)
    assert found is not None and found.size == (64, 32)
    assert np.asarray(found).min() > 100 and np.asarray(found)[:28].min() == 255


def test_a_picture_that_is_gone(folder: Path) -> None:
    (one,) = planned(read(folder), request())
    (folder / "wide.png").unlink()
    with pytest.raises(UserError, match="not there any more"):
        fitted(one)
    (folder / "wide.png").write_bytes(b"x")
    with pytest.raises(UserError, match="cannot be read"):
        open_upright(folder / "wide.png")


@pytest.mark.parametrize(("left", "upper"), [(20, 20), (200, 30), (110, 150)])
def test_the_focal_point_is_where_something_is(left: int, upper: int) -> None:
    image = Image.new("RGB", (256, 256), "grey")
    image.paste(Image.effect_noise((40, 40), 120).convert("RGB"), (left, upper))
    x, y = focal_point(image)
    assert abs(x * 256 - left - 20) < 32
    assert abs(y * 256 - upper - 20) < 32


@pytest.mark.parametrize("size", [(1, 1), (300, 2), (64, 64), (2000, 10)])
def test_a_plain_picture_has_its_focus_in_the_middle(size: tuple[int, int]) -> None:
    assert focal_point(Image.new("RGB", size, "white")) == (0.5, 0.5)


DEEP = np.linspace(0, 65535, 64 * 64).reshape(64, 64)


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("grey.png", Image.fromarray(DEEP.astype(np.uint16))),
        ("grey.tif", Image.fromarray(DEEP.astype(np.int32))),
        ("float.tif", Image.fromarray((DEEP / 65535).astype(np.float32))),
        ("cmyk.jpg", Image.fromarray((DEEP / 257).astype(np.uint8)).convert("CMYK")),
        ("two.png", Image.fromarray((DEEP / 257).astype(np.uint8)).convert("1")),
        ("palette.gif", Image.fromarray((DEEP / 257).astype(np.uint8)).convert("P")),
        ("alpha.png", Image.fromarray((DEEP / 257).astype(np.uint8)).convert("LA")),
        ("new.avif", Image.fromarray((DEEP / 257).astype(np.uint8)).convert("RGB")),
    ],
)
def test_every_kind_of_pixel_is_read_as_it_looks(tmp_path: Path, name: str, image: Image.Image) -> None:
    save(tmp_path / "set", name, image)
    (one,) = planned(read(tmp_path / "set"), request())
    pixels = np.asarray(fitted(one), np.float32)
    assert pixels.shape == (64, 64, 3)
    assert np.abs(pixels[:8].mean() - 16) < 8
    assert np.abs(pixels[-8:].mean() - 239) < 8
