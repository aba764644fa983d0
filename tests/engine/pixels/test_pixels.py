"""The arithmetic of pictures and masks: A1111's numbers, and what must hold for any picture."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from modules.engine.pixels import colour, masks
from modules.engine.pixels.difference import changed_mask
from modules.engine.pixels.fit import covering, fit, fitting
from modules.schema.parts import SoftInpaint


def gradient(width: int, height: int) -> Image.Image:
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], -1)
    return Image.fromarray(pixels.astype(np.uint8))


def spot(size: tuple[int, int], box: masks.Box) -> Image.Image:
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).rectangle((box[0], box[1], box[2] - 1, box[3] - 1), fill=255)
    return mask


def test_sizes_of_crop_and_fill() -> None:
    assert covering((800, 600), 512, 512) == (682, 512)
    assert covering((512, 512), 768, 512) == (768, 768)
    assert fitting((800, 600), 512, 512) == (512, 384)
    assert fitting((600, 800), 512, 512) == (384, 512)


@pytest.mark.parametrize("mode", ["Just resize", "Crop and resize", "Resize and fill"])
@pytest.mark.parametrize("kind", ["RGB", "L"])
def test_every_mode_gives_the_size(mode: str, kind: str) -> None:
    picture = gradient(80, 60).convert(kind)
    for size in ((64, 64), (33, 90), (200, 8)):
        result = fit(picture, *size, mode)
        assert (result.size, result.mode) == (size, kind)


def test_fill_repeats_the_outermost_row() -> None:
    picture = Image.new("RGB", (100, 50), "red")
    picture.paste("blue", (0, 25, 100, 50))
    pixels = np.asarray(fit(picture, 100, 100, "Resize and fill"))
    assert (pixels[:25] == (255, 0, 0)).all()
    assert (pixels[75:] == (0, 0, 255)).all()


@pytest.mark.parametrize(
    ("box", "shape", "size", "expected"),
    [
        ((100, 200, 228, 232), (512, 512), (1024, 1024), (100, 152, 228, 280)),
        ((100, 200, 132, 328), (512, 512), (1024, 1024), (52, 200, 180, 328)),
        ((0, 0, 40, 10), (512, 512), (640, 480), (0, 0, 40, 40)),
        ((600, 400, 640, 480), (512, 512), (640, 480), (560, 400, 640, 480)),
        ((300, 10, 400, 30), (768, 512), (640, 480), (300, 0, 400, 66)),
        ((0, 0, 640, 480), (512, 512), (640, 480), (0, 0, 640, 480)),
    ],
)
def test_expanded_regions(box: masks.Box, shape: tuple[int, int], size: tuple[int, int], expected: masks.Box) -> None:
    assert masks.expanded(box, shape, size) == expected


def test_region_is_padded_within_the_picture() -> None:
    assert masks.region(spot((100, 80), (10, 20, 30, 40)), 16) == (0, 4, 46, 56)
    assert masks.region(Image.new("L", (100, 80)), 16) is None


@pytest.mark.parametrize(("sigma", "size"), [(1, 7), (2, 11), (4, 21), (8, 41), (16, 81), (64, 321)])
def test_blur_kernels(sigma: float, size: int) -> None:
    weights = masks.kernel(sigma)
    assert len(weights) == size
    assert weights.sum() == pytest.approx(1)


def test_blur_is_the_convolution_and_nothing_outside_its_reach() -> None:
    mask = spot((64, 64), (30, 30, 40, 40))
    blurred = np.asarray(masks.blur(mask, 2, 2), float)
    weights = masks.kernel(2)
    rows = np.apply_along_axis(lambda row: np.convolve(row, weights, "same"), 1, np.asarray(mask, float))
    both = np.apply_along_axis(lambda column: np.convolve(column, weights, "same"), 0, rows)
    assert np.abs(blurred - both).max() <= 0.5
    assert not blurred[:24].any()
    assert np.array_equal(np.asarray(masks.blur(mask, 0, 0)), np.asarray(mask))
    sideways = np.asarray(masks.blur(mask, 4, 0))
    assert sideways[:30].max() == 0
    assert sideways[35, 25] > 0


def test_masks_from_transparency_stay_soft_unless_hard() -> None:
    picture = Image.new("RGBA", (4, 1))
    for x, alpha in enumerate((0, 100, 128, 200)):
        picture.putpixel((x, 0), (255, 255, 255, alpha))
    assert list(np.asarray(masks.as_mask(picture, hard=False))[0]) == [0, 100, 128, 200]
    assert list(np.asarray(masks.as_mask(picture, hard=True))[0]) == [0, 0, 0, 255]
    opaque = Image.new("RGBA", (1, 1), (90, 90, 90, 255))
    assert masks.as_mask(opaque, hard=False).getpixel((0, 0)) == 90


def test_a_hole_is_filled_with_colours_from_around_it() -> None:
    picture = Image.new("RGB", (64, 64), (200, 40, 40))
    picture.paste((0, 255, 0), (24, 24, 40, 40))
    result = np.asarray(colour.filled(picture, spot((64, 64), (24, 24, 40, 40))), int)
    assert np.abs(result[32, 32] - (200, 40, 40)).max() <= 12
    assert np.array_equal(result[:20], np.asarray(picture, int)[:20])


def test_correction_gives_the_original_colours_and_keeps_brightness() -> None:
    original = gradient(64, 64)
    tinted = np.clip(np.asarray(original, int) + (60, 0, -40), 0, 255).astype(np.uint8)
    result = np.asarray(colour.corrected(Image.fromarray(tinted), original), float)
    before = np.abs(tinted.reshape(-1, 3).mean(0) - np.asarray(original).reshape(-1, 3).mean(0))
    after = np.abs(result.reshape(-1, 3).mean(0) - np.asarray(original).reshape(-1, 3).mean(0))
    assert after.sum() < 0.6 * before.sum()
    weights = (0.3, 0.59, 0.11)
    assert np.abs((result - tinted) @ weights).mean() < 1.5


def test_correction_by_itself_changes_nothing_visible() -> None:
    picture = gradient(64, 64)
    result = np.asarray(colour.corrected(picture, picture), int)
    assert np.abs(result - np.asarray(picture, int)).mean() < 2


def test_lab_and_back() -> None:
    rgb = np.asarray(gradient(32, 32))
    assert np.abs(colour._from_lab(colour._to_lab(rgb)) * 255 - rgb).mean() < 1.5


def test_only_what_has_changed_is_shown() -> None:
    distance = np.zeros((16, 16))
    distance[4:12, 4:12] = 5.0
    shown = np.asarray(changed_mask(distance, np.full((16, 16), 0.5), SoftInpaint(), (128, 128)), float)
    assert shown.shape == (128, 128)
    assert shown[64, 64] > 240
    assert shown[2, 2] < 5
