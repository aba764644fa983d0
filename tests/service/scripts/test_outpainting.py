"""Outpainting: what is added where, what is drawn of it, and how it is put together."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from modules.schema.errors import BadRequest
from modules.schema.events import ImageSaved
from modules.schema.parts import ImageInput
from modules.schema.request import GenerationRequest
from modules.schema.scripts import ScriptRequest
from modules.service.app import App
from modules.service.inputs import InputPictures
from modules.service.scripts.borders import Borders, Sides, borders, matched_noise
from modules.service.scripts.outpainting import Outpainting, OutpaintingOptions
from modules.service.scripts.poor_man import PoorMan, PoorManOptions
from tests.service.helpers import ANN, make_app, request, to_end
from tests.service.scripts.test_from_pictures import Drawn

NOWHERE = {"left": False, "right": False, "up": False, "down": False}


@pytest.fixture
def inputs(tmp_path: Path) -> InputPictures:
    return InputPictures(tmp_path)


def _noisy(width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def _base(inputs: InputPictures, picture: Image.Image, **values: Any) -> GenerationRequest:
    return request("a", image=ImageInput(picture=inputs.add_picture(picture)), **values)


@pytest.mark.parametrize(
    ("size", "on", "pixels", "expected"),
    [
        ((512, 512), ("left",), 128, (128, 0, 0, 0)),
        ((500, 500), ("left", "right"), 64, (70, 0, 70, 0)),
        ((500, 300), ("right", "up"), 128, (0, 148, 140, 0)),
        ((100, 100), ("left", "right", "down"), 8, (14, 0, 14, 28)),
    ],
)
def test_grown_sides_are_multiples_of_64(
    size: tuple[int, int], on: tuple[str, ...], pixels: int, expected: tuple[int, int, int, int]
) -> None:
    sides = Sides(pixels=pixels, **{**NOWHERE, **dict.fromkeys(on, True)})
    assert borders(size, sides) == Borders(**dict(zip(("left", "up", "right", "down"), expected, strict=True)))


def test_no_direction_is_a_sentence(inputs: InputPictures) -> None:
    with pytest.raises(BadRequest, match="no direction"):
        Outpainting(_base(inputs, _noisy(64, 64)), OutpaintingOptions(**NOWHERE), inputs)


def test_noise_has_the_colours_and_the_grain_of_the_picture() -> None:
    """Beside broad stripes of two colours there is noise of the same colours, and hardly finer than they are."""
    stripes = np.zeros((64, 128, 3), np.uint8)
    stripes[:] = (200, 40, 40)
    stripes[:, np.arange(128) % 32 < 16] = (40, 40, 200)
    mask = np.zeros((64, 128), np.uint8)
    mask[:, 96:] = 255
    begun = np.asarray(matched_noise(Image.fromarray(stripes), Image.fromarray(mask), 1.0, 0.05))
    assert np.array_equal(begun[:, :96], stripes[:, :96])
    assert set(np.unique(begun[:, 96:, 1])) == {40}
    assert np.abs(begun[:, 96:].mean((0, 1)) - stripes[:, :96].mean((0, 1))).max() < 8
    fine = np.asarray(matched_noise(Image.fromarray(stripes), Image.fromarray(mask), 0.0, 0.05))
    grain = [np.abs(np.diff(one[:, 96:, 0].astype(int), axis=0)).mean() for one in (begun, fine)]
    assert grain[0] < 0.5 * grain[1]


def test_each_side_begins_with_those_before(inputs: InputPictures) -> None:
    picture = _noisy(60, 64)
    base = _base(inputs, picture, width=64, height=64, batch_count=2)
    program = Outpainting(base, OutpaintingOptions(pixels=32, mask_blur=4, right=False, up=False), inputs)
    assert program.cells == 2 * 2
    drawn: dict[int, Image.Image] = {}
    for n in range(program.cells):
        cell = program.cell(n, Drawn(drawn))
        drawn[n] = Image.new("RGB", (cell.width, cell.height), (n + 1,) * 3)
        assert cell.image is not None
        assert cell.inpaint is not None
        assert inputs.open(cell.image.picture).size == (cell.width, cell.height)
        assert cell.seed == 5 + n
    first, second = program.cell(0, Drawn({})), program.cell(1, Drawn(drawn))
    assert (first.width, first.height, second.width, second.height) == (128, 64, 128, 128)
    assert first.inpaint is not None
    mask = np.asarray(inputs.open(first.inpaint.mask))
    assert (mask[:, :72] == 255).all()
    assert (mask[:, 72:] == 0).all()
    assert (first.inpaint.mask_blur, first.inpaint.mask_blur_y) == (16, 0)
    assert second.image is not None
    begun = np.asarray(inputs.open(second.image.picture))
    assert (begun[:60] == 1).all(), "the second side begins with what the first one drew"
    sheets = program.sheets(Drawn(drawn))
    assert [sheet.picture.size for sheet in sheets] == [(128, 128)] * 2
    assert np.asarray(sheets[0].picture)[-1, -1, 0] == 2
    del drawn[3]
    assert len(program.sheets(Drawn(drawn))) == 1


def test_a_side_that_does_not_grow_keeps_its_length(inputs: InputPictures) -> None:
    picture = _noisy(64, 61)
    program = Outpainting(_base(inputs, picture, width=64), OutpaintingOptions(**{**NOWHERE, "left": True}), inputs)
    cell = program.cell(0, Drawn({}))
    assert (cell.width, cell.height) == (192, 64)
    assert cell.image is not None
    sheet = program.sheets(Drawn({0: inputs.open(cell.image.picture)}))[0].picture
    assert sheet.size == (192, 61)
    assert np.array_equal(np.asarray(sheet)[:, 136:], np.asarray(picture)[:, 8:])


def test_poor_mans_tiles_are_those_of_the_border(inputs: InputPictures) -> None:
    picture = _noisy(192, 128)
    options = PoorManOptions(pixels=64, mask_blur=2, **{**NOWHERE, "right": True})
    program = PoorMan(_base(inputs, picture, width=128, height=128, batch_size=2), options, inputs)
    assert program.cells == 2 * 1, "two of three tiles have no border in them"
    cells = [program.cell(n) for n in range(2)]
    assert [cell.seed for cell in cells] == [5, 6]
    inpaint = cells[0].inpaint
    assert inpaint is not None
    masks = [np.asarray(inputs.open(name))[0].tolist() for name in (inpaint.mask, inpaint.latent_mask)]
    assert [mask.index(255) for mask in masks] == [60, 63]
    assert (inpaint.mask_blur, inpaint.masked_content) == (4, "fill")
    sheets = program.sheets(Drawn({n: Image.new("RGB", (128, 128), "lime") for n in range(2)}))
    whole = np.asarray(sheets[1].picture)
    assert whole.shape == (128, 256, 3)
    assert np.array_equal(whole[:, :128], np.asarray(picture)[:, :128])
    assert (whole[0, 128:192, 1].astype(int)[-8:] > 200).all(), "tiles fade into each other where they overlap"
    assert (whole[:, 200:] == (0, 255, 0)).all()


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    app = make_app(tmp_path_factory.mktemp("data"))
    yield app
    app.close()


@pytest.mark.parametrize("script", ["outpainting mk2", "poor man's outpainting"])
def test_outpainting_as_a_job(app: App, script: str) -> None:
    """Only the grown picture goes to the outputs folder."""
    file = io.BytesIO()
    Image.new("RGBA", (64, 64), (0, 0, 255, 99)).save(file, "PNG")
    base = request("a", image=ImageInput(picture=app.inputs.add(file.getvalue())), width=64, height=64)
    options = {"pixels": 64, "up": False, "down": False}
    job = app.submit(ScriptRequest(script=script, base=base, options=options), ANN)
    events = to_end(app, job.id)
    assert app.job(job.id, ANN).state == "done", events[-1]
    images = [event for event in events if isinstance(event, ImageSaved)]
    assert [image.sheet for image in images][-2:] == [False, True]
    assert (images[-1].width, images[-1].height) == (192, 64)
    assert images[-1].name.startswith("img2img-images/")
    assert "Outpainting: left right, Outpainted size: 192x64" in images[-1].infotext
