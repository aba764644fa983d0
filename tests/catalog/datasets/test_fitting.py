"""Sizes and boxes; the vectors of splitting and of the auto-sized crop are A1111's."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.catalog.datasets.fitting import auto_size, bucket, cover, parts, shape_error, split_offsets

SIDES = st.integers(8, 5000)


@pytest.mark.parametrize(
    ("size", "chosen"),
    [((1024, 1024), (640, 640)), ((1600, 900), (768, 448)), ((900, 1600), (448, 768)), ((4000, 500), None)],
)
def test_auto_size(size: tuple[int, int], chosen: tuple[int, int] | None) -> None:
    assert auto_size(size) == chosen


def test_auto_size_by_error() -> None:
    assert auto_size((1500, 1000), objective="Minimize error") == (768, 512)


@pytest.mark.parametrize(
    ("size", "offsets"),
    [
        ((512, 1024), [0, 256, 512]),
        ((512, 1536), [0, 341, 682, 1024]),
        ((2048, 512), [0, 384, 768, 1152, 1536]),
        ((600, 800), []),
    ],
)
def test_parts(size: tuple[int, int], offsets: list[int]) -> None:
    boxes = parts(size, (512, 512))
    along = 0 if size[0] > size[1] else 1
    assert [box[along] for box in boxes] == offsets
    assert all(box[2] - box[0] == 512 and box[3] - box[1] == 512 for box in boxes)


@given(SIDES, SIDES)
def test_parts_lie_inside_and_cover_the_whole_length(width: int, height: int) -> None:
    boxes = parts((width, height), (512, 512))
    if not boxes:
        return
    assert min(box[0] for box in boxes) == min(box[1] for box in boxes) == 0
    # A1111 rounds where parts begin down, by up to a pixel of the scaled picture.
    lost = min(width, height) / 512 + 1
    assert width - max(box[2] for box in boxes) <= lost
    assert height - max(box[3] for box in boxes) <= lost
    for box, after in zip(boxes, boxes[1:], strict=False):
        assert after[0] <= box[2] and after[1] <= box[3]


def test_one_part_needs_no_spacing() -> None:
    assert split_offsets(512, 512) == [0]


@pytest.mark.parametrize(
    ("size", "wanted", "chosen"),
    [
        ((1000, 1000), (512, 512), (512, 512)),
        ((3000, 2000), (512, 512), (576, 384)),
        ((2000, 3000), (512, 512), (384, 576)),
        ((128, 128), (128, 128), (128, 128)),
        ((200, 100), (128, 128), (160, 80)),
        ((1920, 1080), (1024, 1024), (1280, 704)),
    ],
)
def test_buckets(size: tuple[int, int], wanted: tuple[int, int], chosen: tuple[int, int]) -> None:
    found = bucket(size, wanted)
    assert shape_error(size, found) <= shape_error(size, chosen) + 1e-9


@given(SIDES, SIDES, st.sampled_from([64, 128, 256, 512, 768, 1024]))
def test_a_bucket_is_of_the_area_asked_for(width: int, height: int, side: int) -> None:
    wide, high = bucket((width, height), (side, side))
    assert 0.75 * side * side <= wide * high <= side * side
    assert wide % 8 == high % 8 == 0
    if 0.3 < width / height < 3:
        assert shape_error((width, height), (wide, high)) < 0.13


@given(SIDES, SIDES, SIDES, SIDES, st.floats(-1, 2), st.floats(-1, 2))
def test_a_cover_is_the_largest_of_its_shape(w: int, h: int, sw: int, sh: int, x: float, y: float) -> None:
    left, upper, right, lower = cover((w, h), (sw, sh), (x, y))
    assert 0 <= left < right <= w
    assert 0 <= upper < lower <= h
    assert right - left == w or lower - upper == h
    wide, high = right - left, lower - upper
    assert math.isclose(wide * sh, high * sw, abs_tol=max(sw, sh)) or min(wide, high) == 1


def test_a_cover_keeps_the_focus() -> None:
    assert cover((200, 100), (1, 1), (0.5, 0.5)) == (50, 0, 150, 100)
    assert cover((200, 100), (1, 1), (0.9, 0.5)) == (100, 0, 200, 100)
    assert cover((100, 200), (1, 1), (0.5, 0.0)) == (0, 0, 100, 100)
