"""What hires fix enlarges to: A1111's numbers."""

from __future__ import annotations

import pytest

from modules.schema.parts import Hires
from modules.schema.sizes import hires_size


@pytest.mark.parametrize(
    ("first", "hires", "upscaled", "crop", "size"),
    [
        ((512, 512), {"scale": 2}, (1024, 1024), (0, 0), (1024, 1024)),
        ((512, 768), {"scale": 1.5}, (768, 1152), (0, 0), (768, 1152)),
        ((512, 768), {"width": 1024}, (1024, 1536), (0, 0), (1024, 1536)),
        ((512, 768), {"height": 1024}, (680, 1024), (0, 0), (680, 1024)),
        ((512, 768), {"width": 1024, "height": 1024}, (1024, 1536), (0, 64), (1024, 1024)),
        ((640, 384), {"width": 1280, "height": 1024}, (1704, 1024), (53, 0), (1280, 1024)),
        ((64, 64), {"scale": 1.05}, (64, 64), (0, 0), (64, 64)),
    ],
)
def test_sizes(
    first: tuple[int, int],
    hires: dict[str, float],
    upscaled: tuple[int, int],
    crop: tuple[int, int],
    size: tuple[int, int],
) -> None:
    found = hires_size(*first, Hires(**hires))
    assert (found.upscaled, found.crop, (found.width, found.height)) == (upscaled, crop, size)
