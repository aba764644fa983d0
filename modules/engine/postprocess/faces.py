"""Face restoration: GFPGAN and CodeFormer models through `spandrel`, faces found by OpenCV's own cascade.

The models were trained on upright faces of 512x512 pixels with the eyes at fixed places (FFHQ's alignment). A face is
turned and scaled so that its eyes come there, restored, and put back under a soft mask.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from spandrel import ImageModelDescriptor

from modules.engine.postprocess.model_upscaler import load_model
from modules.schema.errors import ModelFileError

SIDE = 512
_EYES = ((192.98, 239.95), (318.90, 240.19))
"""Where FFHQ's alignment has the left and the right eye in a picture of 512x512."""

_BORDER = 24
Pixels = NDArray[np.uint8]
Point = tuple[float, float]
Model = ImageModelDescriptor[torch.nn.Module]


@dataclass(frozen=True)
class Face:
    """Where the eyes are, in pixels of the picture."""

    left_eye: Point
    right_eye: Point

    def to_square(self) -> NDArray[np.float64]:
        """The 2x3 matrix (turn, scale, shift) that brings the eyes to their places in a square of `SIDE`."""
        here = complex(*self.right_eye) - complex(*self.left_eye)
        there = complex(*_EYES[1]) - complex(*_EYES[0])
        turn = there / here
        shift = complex(*_EYES[0]) - turn * complex(*self.left_eye)
        return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


class FaceRestorers:
    """Keeps the models of one device."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._models: dict[str, Model] = {}
        self._finder = FaceFinder()

    def restore(self, kind: str, path: str, picture: Image.Image, weight: float) -> tuple[Image.Image, int]:
        """(the RGB picture with all faces restored, how many there were). `weight`: see CodeFormer. Raises
        ModelFileError."""
        pixels = np.array(picture)
        faces = self._finder.find(pixels)
        if not faces:
            return picture, 0
        model = self._model(kind, path)
        for face in faces:
            pixels = _put_back(pixels, _restored(model, face, pixels, weight), face)
        return Image.fromarray(pixels), len(faces)

    def clear(self) -> None:
        self._models.clear()

    def _model(self, kind: str, path: str) -> Model:
        if path not in self._models:
            model = load_model(Path(path), self._device)
            if model.scale * SIDE < SIDE or model.purpose != "FaceSR":
                raise ModelFileError(f"{Path(path).name} is no {kind} model: it does not restore faces.")
            self._models = {path: model}
        return self._models[path]


class FaceFinder:
    """Upright faces seen from the front, by the cascades that come with OpenCV."""

    def __init__(self) -> None:
        folder = cv2.data.haarcascades
        self._faces = cv2.CascadeClassifier(f"{folder}haarcascade_frontalface_default.xml")
        self._eyes = cv2.CascadeClassifier(f"{folder}haarcascade_eye.xml")

    def find(self, pixels: Pixels) -> list[Face]:
        """Faces in an RGB picture, from left to right."""
        grey = cv2.equalizeHist(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))
        least = max(24, min(grey.shape) // 24)
        boxes = self._faces.detectMultiScale(grey, 1.1, 6, minSize=(least, least))
        return [self._face(grey, *box) for box in sorted(tuple(map(int, box)) for box in boxes)]

    def _face(self, grey: Pixels, left: int, top: int, width: int, height: int) -> Face:
        """Eyes found in the upper half of the box; where there are not two, they are taken from its shape."""
        upper = grey[top : top + height * 6 // 10, left : left + width]
        found = self._eyes.detectMultiScale(upper, 1.05, 6, minSize=(width // 8, width // 8))
        centres = sorted((left + x + w / 2, top + y + h / 2) for x, y, w, h in found)
        if len(centres) == 2 and width * 0.25 < centres[1][0] - centres[0][0] < width * 0.6:
            return Face(centres[0], centres[1])
        return Face((left + width * 0.31, top + height * 0.39), (left + width * 0.69, top + height * 0.39))


def _restored(model: Model, face: Face, pixels: Pixels, weight: float) -> Pixels:
    """The face's square of SIDE pixels as the model would have it."""
    square = cv2.warpAffine(
        pixels, face.to_square(), (SIDE, SIDE), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT
    )
    tensor = torch.from_numpy(square).permute(2, 0, 1)[None].to(model.device, model.dtype) / 255
    with torch.inference_mode():
        result = _run(model, tensor, weight)
    data = (result[0].float().clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    return cv2.resize(data, (SIDE, SIDE), interpolation=cv2.INTER_AREA) if data.shape[0] != SIDE else data


def _run(model: Model, face: torch.Tensor, weight: float) -> torch.Tensor:
    """CodeFormer takes a weight (0: strongest); spandrel's own call leaves it at its default."""
    if model.architecture.id != "CodeFormer":
        return model(face)
    result = model.model(face * 2 - 1, weight)
    return ((result[0] if isinstance(result, tuple) else result) + 1) / 2


def _put_back(pixels: Pixels, square: Pixels, face: Face) -> Pixels:
    """The square where it came from, fading out towards its border."""
    height, width = pixels.shape[:2]
    mask = np.zeros((SIDE, SIDE), np.float32)
    mask[_BORDER:-_BORDER, _BORDER:-_BORDER] = 1
    mask = cv2.GaussianBlur(mask, (0, 0), _BORDER / 2)
    back = cv2.invertAffineTransform(face.to_square())
    there = cv2.warpAffine(square, back, (width, height), flags=cv2.INTER_CUBIC)
    weight = cv2.warpAffine(mask, back, (width, height))[..., None]
    return (pixels * (1 - weight) + there * weight).round().astype(np.uint8)
