"""docs/extensions.md is current, and the code in it runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from starlette.testclient import TestClient

from modules.docs import EXTENSIONS_PAGE, extensions_page
from modules.extensions.a1111.finder import provided
from modules.extensions.hooks import HOOKS
from modules.flags import data_folder, txt2img_flags
from modules.schema.infotext import parse, to_request, write
from modules.schema.request import GenerationRequest
from modules.schema.scripts import ScriptRequest
from modules.service.app import App
from modules.service.extensions import Extensions
from modules.service.scripts.axes import axis_labels
from modules.web.gate import Gate
from modules.web.server import create_server
from modules.web.ui.extension_parts import option_sections
from tests.service.helpers import ANN, ROOT, make_app, request, to_end, until

TEXT = EXTENSIONS_PAGE.read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n# ([\w-]+)/(\w+\.py)\n(.*?)```", TEXT, re.DOTALL)


def test_the_page_is_current_and_names_every_hook() -> None:
    assert extensions_page(TEXT) == TEXT, "run: python -m modules.docs"
    assert not [name for name in HOOKS if f"- `{name}(" not in TEXT]
    assert not [name for name in provided() if f"`{name}`" not in TEXT and f"modules.{name}" not in TEXT]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """A program with every example of the page in its folder."""
    data: Path = tmp_path_factory.mktemp("data")
    for name, file, code in EXAMPLES:
        (data / "extensions" / name).mkdir(parents=True)
        (data / "extensions" / name / file).write_text(code, encoding="utf-8")
    app = make_app(data)
    yield app
    app.close()


def test_every_example_loads(app: App) -> None:
    names = {name for name, _, _ in EXAMPLES}
    assert names == {"warm-light", "weather", "plain-euler", "brighter", "counter"}
    assert names <= {one.name for one in app.extensions.active}
    assert not [problem for name in names for problem in app.extensions.view(name).problems]


def test_the_first_example_is_everywhere_the_page_says(app: App) -> None:
    extensions = {"warm-light": {"amount": 0.3}}
    job = app.submit(request("a house", extensions=extensions), ANN)
    to_end(app, job.id)
    text = app.job(job.id, ANN).images[0].infotext
    assert "warm-light enabled: True, warm-light amount: 0.3" in text
    read, _ = to_request(parse(text), GenerationRequest())
    assert read.extensions["warm-light"]["amount"] == 0.3
    assert write(read, {}).endswith("warm-light amount: 0.3, Version: webui 0.1.0")
    assert {"warm-light: Amount", "warm-light: When"} <= set(axis_labels())
    assert 'data-knob="extensions.warm-light.when"' in option_sections("img2img")
    given = txt2img_flags().read(["a house", "--warm-light-amount", "0.3"])
    assert given["extensions.warm-light.amount"] == 0.3


def test_prompts_of_the_example_differ_from_picture_to_picture(app: App) -> None:
    job = app.submit(request("a house", batch_count=5, extensions={"weather": {}}), ANN)
    to_end(app, job.id)
    texts = [image.infotext for image in app.job(job.id, ANN).images]
    assert len({text.split("\n")[0] for text in texts}) > 1
    assert all("Weather: " in text for text in texts)


def test_the_script_over_draw_shows_one_of_its_pictures(app: App) -> None:
    order = ScriptRequest(script="Brightest of several", base=request("x"), options={"tries": 2})
    job = app.submit(order, ANN)
    to_end(app, job.id)
    *cells, sheet = app.job(job.id, ANN).images
    assert (len(cells), sheet.sheet) == (2, True)
    with Image.open(app.image_path(sheet.name)) as shown:
        assert shown.size == (16, 16)


def test_the_counter_counts_behind_the_same_gate(app: App) -> None:
    client = TestClient(create_server(app, Gate(app, "tests.web.small_page")), base_url="http://127.0.0.1:7860")
    job = app.submit(request("x"), ANN)
    to_end(app, job.id)
    until(lambda: client.get("/api/v1/extensions/counter/count").json()["count"] >= 1)
    assert client.get("/api/v1/extensions/counter/count", headers={"Host": "evil.example"}).status_code == 403
    assert [title for _, title, _ in app.extensions.tabs] == ["Counter"]


def test_the_command_line_finds_extensions_of_the_data_folder_it_names(app: App) -> None:
    extensions = Extensions.of(*data_folder(["x", "--data-dir", str(app.folders.data)], ROOT))
    assert "plain-euler" in [one.name for one in extensions.active]
    extensions.close()
