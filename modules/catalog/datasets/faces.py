"""Where faces are in pictures: a small program of its own, because OpenCV is large and needed for nothing else here.

`python -m modules.catalog.datasets.faces` reads a JSON list of paths and writes a JSON object: for each path the
points to look at, [x, y] in shares of width and height, a third below the upper edge of each face.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from modules.catalog.datasets.focus import Point
from modules.catalog.datasets.opening import flat, open_upright
from modules.schema.errors import UserError

_SIDE = 640
_NEIGHBOURS = 7
_SMALLEST = 0.06
_LOOK_AT = 1 / 3


class FaceFinder:
    """Upright faces seen from the front, by the cascade that comes with OpenCV."""

    def __init__(self) -> None:
        self._cascade = cv2.CascadeClassifier(f"{cv2.data.haarcascades}haarcascade_frontalface_default.xml")

    def find(self, picture: Image.Image) -> list[Point]:
        """The point to look at of each face, from left to right."""
        small = flat(picture)
        small.thumbnail((_SIDE, _SIDE))
        grey = cv2.equalizeHist(np.asarray(small.convert("L")))
        least = max(20, int(min(small.size) * _SMALLEST))
        found = self._cascade.detectMultiScale(grey, 1.1, _NEIGHBOURS, minSize=(least, least))
        boxes = sorted(tuple(int(side) for side in box) for box in found)
        return [
            ((left + width / 2) / small.width, (upper + height * _LOOK_AT) / small.height)
            for left, upper, width, height in boxes
        ]


def main() -> None:
    """Answer one question on the standard streams."""
    finder = FaceFinder()
    found: dict[str, list[Point]] = {}
    for path in json.load(sys.stdin):
        try:
            found[path] = finder.find(open_upright(Path(path), draft=_SIDE))
        except UserError:
            found[path] = []
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
