"""Scripts that begin with a picture: loopback and SD upscale, whose cells build on each other."""

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
from modules.schema.parts import ImageInput, Inpaint
from modules.schema.request import GenerationRequest
from modules.schema.scripts import ScriptRequest
from modules.service.app import App
from modules.service.inputs import InputPictures
from modules.service.scripts.loopback import Loopback, LoopbackOptions, strength
from modules.service.scripts.sd_upscale import SdUpscale, SdUpscaleOptions
from modules.service.scripts.tiles import positions
from tests.service.helpers import ANN, make_app, request, to_end


class Drawn:
    """Results: a picture a cell, of the grey given by `grey(cell)`."""

    def __init__(self, pictures: dict[int, Image.Image]) -> None:
        self._pictures = pictures

    def pictures(self, part: int) -> list[Image.Image]:
        return [self._pictures[part]] if part in self._pictures else []

    def infotext(self, part: int) -> str:
        return ""


@pytest.fixture
def inputs(tmp_path: Path) -> InputPictures:
    return InputPictures(tmp_path)


def _base(inputs: InputPictures, size: tuple[int, int] = (64, 64), **values: Any) -> GenerationRequest:
    picture = inputs.add_picture(Image.new("RGB", size, "red"))
    return request("a", image=ImageInput(picture=picture, denoising_strength=0.75), **values)


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        ("Linear", [0.75, 0.6167, 0.4833, 0.35]),
        ("Aggressive", [0.75, 0.55, 0.4036, 0.35]),
        ("Lazy", [0.75, 0.6964, 0.55, 0.35]),
    ],
)
def test_curves(curve: str, expected: list[float]) -> None:
    assert [strength(0.75, 0.35, loop, 4, curve) for loop in range(4)] == pytest.approx(expected, abs=5e-5)
    assert strength(0.75, 0.35, 0, 1, curve) == 0.75


def test_each_loop_begins_with_the_one_before(inputs: InputPictures) -> None:
    base = _base(inputs, batch_count=2, inpaint=Inpaint(mask="0" * 64, masked_content="fill"))
    program = Loopback(base, LoopbackOptions(loops=2, final_denoising_strength=0.25), inputs)
    drawn = Drawn({n: Image.new("RGB", (16, 16), (n + 1,) * 3) for n in range(4)})
    cells = [program.cell(n, drawn) for n in range(program.cells)]
    pictures = [inputs.open(cell.image.picture).getpixel((0, 0)) for cell in cells if cell.image]
    assert pictures == [(255, 0, 0), (1, 1, 1), (255, 0, 0), (3, 3, 3)]
    assert [cell.image.denoising_strength for cell in cells if cell.image] == [0.75, 0.25, 0.75, 0.25]
    assert [cell.seed for cell in cells] == [5, 6, 7, 8]
    assert [cell.inpaint.masked_content for cell in cells if cell.inpaint] == ["fill", "original"] * 2
    assert program.sheets(drawn)[0].picture.size == (32, 32)


@pytest.mark.parametrize(
    ("length", "expected"),
    [(1024, [0, 256, 512]), (768, [0, 256]), (1200, [0, 344, 688]), (900, [0, 388]), (300, [0])],
)
def test_tiles_are_a1111s(length: int, expected: list[int]) -> None:
    assert positions(length, 512, 64) == expected


def test_tiles_are_cut_out_and_put_together(inputs: InputPictures) -> None:
    base = _base(inputs, (60, 40), width=64, height=64, batch_count=2)
    program = SdUpscale(base, SdUpscaleOptions(overlap=16), inputs)
    assert program.cells == 1 + 2 * (3 * 2)
    large = Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 120, 3), dtype=np.uint8))
    cells = [program.cell(n, Drawn({0: large})) for n in range(1, program.cells)]
    tiles = {0: large}
    for n, cell in enumerate(cells, 1):
        assert isinstance(cell, GenerationRequest)
        assert cell.image is not None
        tiles[n] = inputs.open(cell.image.picture)
        assert tiles[n].size == (64, 64)
    assert [cell.seed for cell in cells[:7]] == [5, 6, 7, 8, 9, 10, 6]
    whole = program.sheets(Drawn(tiles))
    assert len(whole) == 2
    assert np.array_equal(np.array(whole[0].picture), np.array(large))
    del tiles[3]
    assert len(program.sheets(Drawn(tiles))) == 1


def test_they_need_a_picture(inputs: InputPictures) -> None:
    for make, options in ((Loopback, LoopbackOptions()), (SdUpscale, SdUpscaleOptions())):
        with pytest.raises(BadRequest, match="picture to begin with"):
            make(request("a"), options, inputs)  # type: ignore[arg-type]
    with pytest.raises(BadRequest, match="choose one first"):
        SdUpscale(request("a", image=ImageInput()), SdUpscaleOptions(), inputs)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    app = make_app(tmp_path_factory.mktemp("data"))
    yield app
    app.close()


def _run(app: App, script: str, **options: Any) -> list[ImageSaved]:
    file = io.BytesIO()
    Image.new("RGB", (16, 16), "blue").save(file, "PNG")
    base = request("a", image=ImageInput(picture=app.inputs.add(file.getvalue())))
    job = app.submit(ScriptRequest(script=script, base=base, options=options), ANN)
    events = to_end(app, job.id)
    assert app.job(job.id, ANN).state == "done", events[-1]
    return [event for event in events if isinstance(event, ImageSaved)]


def test_loopback_as_a_job(app: App) -> None:
    images = _run(app, "loopback", loops=3)
    assert [image.sheet for image in images] == [False, False, False, True]


def test_sd_upscale_as_a_job(app: App) -> None:
    """Only the whole picture goes to the outputs folder."""
    images = _run(app, "sd upscale", overlap=0, upscaler="Nearest")
    assert [(image.width, image.sheet) for image in images] == [(32, False), *[(16, False)] * 4, (32, True)]
    assert images[-1].name.startswith("img2img-images/")
    assert "SD upscale overlap: 0, SD upscale upscaler: Nearest" in images[-1].infotext
    assert all(image.name.startswith("temporary/") for image in images[:-1])


def test_a_script_goes_on_with_pictures_that_lost_nothing(tmp_path: Path) -> None:
    """Whatever the format of saved pictures is: it must not change what is drawn."""
    app = make_app(tmp_path, samples_format="jpeg")
    try:
        assert {image.name.rpartition(".")[2] for image in _run(app, "loopback", loops=2)} == {"png"}
        job = app.submit(request("a"), ANN)
        (saved,) = [event for event in to_end(app, job.id) if isinstance(event, ImageSaved)]
        assert saved.name.endswith(".jpg")
        assert app.image_bytes(job.id, 0, ANN).startswith(b"\xff\xd8")
    finally:
        app.close()
