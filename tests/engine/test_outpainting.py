"""Both outpaintings on the embedded model: the picture stays, what is new goes on with it and is no noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modules.schema.parts import ImageInput
from modules.schema.request import GenerationRequest
from modules.service.inputs import InputPictures
from modules.service.plans import Program
from modules.service.scripts.outpainting import Outpainting, OutpaintingOptions
from modules.service.scripts.poor_man import PoorMan, PoorManOptions
from tests.engine.pictures import Drawer, far

pytestmark = pytest.mark.engine

BASE = GenerationRequest(
    prompt="a red circle on a blue background", steps=10, width=128, height=128, cfg_scale=4, seed=7, sampler="Euler"
)
SIDEWAYS = {"pixels": 32, "up": False, "down": False}


class _Results(dict[int, Image.Image]):
    def pictures(self, part: int) -> list[Image.Image]:
        return [self[part]] if part in self else []

    def infotext(self, part: int) -> str:
        return ""


@pytest.fixture(scope="module")
def inputs(folder: Path) -> InputPictures:
    return InputPictures(folder)


@pytest.fixture(scope="module")
def source(draw: Drawer) -> np.ndarray:
    return draw(BASE)


def _run(program: Program, draw: Drawer) -> np.ndarray:
    results = _Results()
    for n in range(program.cells):
        cell = program.cell(n, results)
        assert isinstance(cell, GenerationRequest)
        results[n] = Image.fromarray(draw(cell).astype(np.uint8))
    (sheet,) = program.sheets(results)
    return np.asarray(sheet.picture).astype(int)


@pytest.mark.parametrize("poor", [False, True], ids=["mk2", "poor man's"])
def test_what_is_new_goes_on_with_the_picture(
    draw: Drawer, inputs: InputPictures, source: np.ndarray, poor: bool
) -> None:
    picture = inputs.add_picture(Image.fromarray(source.astype(np.uint8)))
    base = BASE.replace(image=ImageInput(picture=picture, denoising_strength=0.9))
    if poor:
        program: Program = PoorMan(base, PoorManOptions(**SIDEWAYS), inputs)
    else:
        program = Outpainting(base, OutpaintingOptions(mask_blur=2, **SIDEWAYS), inputs)
    whole = _run(program, draw)
    assert whole.shape == (128, 192, 3)
    inside = np.s_[:, 32 + 40 : 160 - 40]
    assert far(whole[inside], source[:, 40:-40]) < 1, "the middle is as it was"
    border = np.concatenate([source[:, :8], source[:, -8:]], 1).mean((0, 1))
    for new in (whole[:, :24], whole[:, -24:]):
        assert np.abs(new.mean((0, 1)) - border).max() < 45, "the background goes on"
        assert np.abs(np.diff(new, axis=0)).mean() < 8, "and is not the noise that it began with"
