"""A plot drawn by the real engine: each cell is the picture that its request gives alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from modules.schema.events import Event, ImageSaved
from modules.schema.request import GenerationRequest
from modules.schema.scripts import ScriptRequest
from modules.schema.settings import Settings
from modules.service.app import App

ROOT = Path(__file__).parents[3]
OWNER = "ann"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    app = App.start(Settings(data_dir=str(tmp_path_factory.mktemp("data")), threads=1), ROOT)
    yield app
    app.close()


def _pictures(app: App, order: ScriptRequest | GenerationRequest) -> list[tuple[ImageSaved, Image.Image]]:
    job = app.submit(order, OWNER)
    events: list[Event] = [event for _, event in app.follow(job.id, OWNER, timeout=200)]
    assert app.job(job.id, OWNER).state == "done", events[-1]
    saved = [event for event in events if isinstance(event, ImageSaved)]
    return [(image, Image.open(app.image_path(image.name, OWNER)).convert("RGB")) for image in saved]


@pytest.mark.live
def test_cells_are_ordinary_pictures(app: App) -> None:
    base = GenerationRequest(prompt="a red circle", seed=11, steps=2, width=128, height=128, sampler="Euler")
    options = {"x_type": "Prompt S/R", "x_values": "red, blue", "y_type": "CFG Scale", "y_values": "1,5"}
    plot = _pictures(app, ScriptRequest(script="X/Y/Z plot", base=base, options=options))
    cells = [picture for image, picture in plot if not image.sheet]
    assert len({cell.tobytes() for cell in cells}) == 4, "every value makes a difference"
    alone = _pictures(app, base.replace(prompt="a blue circle", cfg_scale=5))[0][1]
    assert cells[3].tobytes() == alone.tobytes()
    sheet = plot[-1][1]
    corner = (sheet.width - 128, sheet.height - 128, sheet.width, sheet.height)
    assert sheet.crop(corner).tobytes() == alone.tobytes(), "and stands in its place of the grid"
