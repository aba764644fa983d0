"""Faces are found and looked at; without the program that finds them everything goes on."""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

from modules.catalog.datasets.focus import focal_point
from modules.service.face_finder import find_faces
from tests.catalog.datasets.pictures import save

SIDE = 240


def face() -> Image.Image:
    """A drawn face, as simple as the cascade still knows one."""
    image = Image.new("RGB", (SIDE, SIDE), (90, 100, 120))
    draw = ImageDraw.Draw(image)

    def ellipse(x: float, y: float, width: float, height: float, colour: tuple[int, int, int]) -> None:
        draw.ellipse([part * SIDE / 100 for part in (x - width, y - height, x + width, y + height)], fill=colour)

    ellipse(50, 50, 36, 46, (222, 184, 160))
    ellipse(50, 10, 36, 12, (60, 40, 30))
    for x in (34, 66):
        ellipse(x, 40, 11, 5, (120, 80, 70))
        ellipse(x, 34, 11, 2, (50, 35, 30))
        ellipse(x, 43, 8, 4, (245, 245, 245))
        ellipse(x, 43, 4, 4, (20, 20, 20))
    nose = [(50, 42), (43, 64), (57, 64)]
    draw.polygon([(x * SIDE / 100, y * SIDE / 100) for x, y in nose], fill=(240, 205, 180))
    ellipse(50, 78, 14, 4, (150, 60, 60))
    return image.filter(ImageFilter.GaussianBlur(SIDE / 100))


def test_a_face_is_found_and_looked_at(tmp_path: Path) -> None:
    image = Image.new("RGB", (640, 400), (90, 100, 120))
    image.paste(face(), (380, 0))
    path = save(tmp_path, "face.png", image)
    plain = save(tmp_path, "plain.png", Image.new("RGB", (64, 64), "white"))
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"x")
    found = find_faces([path, plain, broken])
    assert (found[plain], found[broken]) == ([], [])
    ((x, y),) = found[path]
    assert 0.7 < x < 0.87 and 0.1 < y < 0.4
    assert focal_point(image, found[path])[0] > 0.7


def test_faces_outweigh_the_rest() -> None:
    image = Image.new("RGB", (256, 256), "grey")
    image.paste(Image.effect_noise((40, 40), 120).convert("RGB"), (20, 100))
    without, with_face = focal_point(image), focal_point(image, [(0.9, 0.5), (0.8, 0.5)])
    assert without[0] < 0.25
    assert with_face[0] > 0.5


def test_without_the_program_there_are_no_faces(tmp_path: Path) -> None:
    path = save(tmp_path, "a.png", Image.new("RGB", (8, 8)))
    assert find_faces([]) == {}
    for code in ("raise SystemExit(3)", "print('no json')", "print('[]')", "print('{\"a\": 3}')"):
        assert find_faces([path], (sys.executable, "-c", code)) == {}
    assert find_faces([path], ("no such program",)) == {}
