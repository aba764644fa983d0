"""Three extensions in A1111's manner: one that is always on, one from the menu, one of the page alone."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from starlette.testclient import TestClient

from modules.extensions.a1111.finder import MODEL_PARTS, provided
from modules.schema.extension_options import EXTENSIONS
from modules.schema.infotext import parse, to_request
from modules.schema.request import GenerationRequest
from modules.schema.scripts import ScriptRequest
from modules.service.app import App
from modules.service.scripts.axes import find_axis
from modules.web.gate import Gate
from modules.web.server import create_server
from modules.web.ui.extension_parts import head, option_sections
from tests.extensions.helpers import SAMPLES
from tests.service.helpers import ANN, ROOT, make_app, request, to_end, until


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    data: Path = tmp_path_factory.mktemp("data")
    shutil.copytree(SAMPLES, data / "extensions")
    app = make_app(data)
    yield app
    app.close()


def test_the_form_of_an_always_on_script_is_parameters_like_any_other(app: App) -> None:
    knobs = EXTENSIONS.get("Signature").knobs
    assert {name: (knob.kind, knob.default) for name, knob in knobs.items()} == {
        "word": (str, "signed"),
        "more_steps": (int, 0),
        "negative_picture": (bool, False),
        "kind": (str, "first"),
    }
    assert (knobs["more_steps"].minimum, knobs["more_steps"].maximum) == (0, 10)
    assert 'data-knob="extensions.always.more_steps"' in option_sections("txt2img")
    axis = find_axis("Signature: More steps", "x_type")
    assert axis.set(request(), 4).extensions["always"]["more_steps"] == 4


def test_an_always_on_script_changes_requests_prompts_and_pictures(app: App) -> None:
    options = {"more_steps": 1, "negative_picture": True, "kind": "second"}
    job = app.submit(request("a cat", batch_count=2, batch_size=2, extensions={"always": options}), ANN)
    to_end(app, job.id)
    images = app.job(job.id, ANN).images
    assert [image.infotext.split("\n")[0] for image in images] == [f"a cat, signed {n}" for n in (0, 0, 1, 1)]
    assert "Steps: 4," in images[0].infotext
    assert "Signature more steps: 1, Signature negative picture: True" in images[0].infotext
    assert "Signature kind: 1" in images[0].infotext
    with Image.open(app.image_path(images[0].name)) as picture:
        assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255)  # the stand-in drew black
    until(lambda: app.extensions.settings("always")[1]["value"] == 4)  # postprocess has seen four pictures


def test_a_script_from_the_menu_draws_through_the_queue(app: App) -> None:
    order = ScriptRequest(script="fewer steps", base=request("a dog"), options={"pictures": 3})
    job = app.submit(order, ANN)
    assert isinstance(job.request, ScriptRequest)
    assert (job.request.cells, job.request.images) == (3, 3)
    to_end(app, job.id)
    *cells, sheet = app.job(job.id, ANN).images
    steps = [to_request(parse(cell.infotext), GenerationRequest())[0].steps for cell in cells]
    assert steps == [3, 2, 1]
    assert sheet.sheet
    assert (sheet.width, sheet.height) == (48, 16)


def test_what_cannot_work_is_said_by_name(app: App) -> None:
    menu, always = app.extensions.view("menu"), app.extensions.remarks("always")
    assert "heavy.py imports torch (line 3)" in menu.problems[0].sentence
    assert menu.registers == ["script Fewer steps"]
    assert "install.py is not run" in app.extensions.remarks("menu")[0]
    assert any("postprocess_batch is never called" in remark for remark in always)
    assert any("on_cfg_denoiser: never called" in remark for remark in always)


def test_settings_of_an_extension_are_kept_and_checked(app: App) -> None:
    client = TestClient(create_server(app, Gate(app, "tests.web.small_page")), base_url="http://127.0.0.1:7860")
    answer = client.post("/api/v1/extensions/always/settings", json={"values": {"signature_ink": "blue"}})
    assert answer.json()["settings"][0]["value"] == "blue"
    assert client.post("/api/v1/extensions/always/settings", json={"values": {"signature_ink": 3}}).status_code == 422
    assert client.post("/api/v1/extensions/always/settings", json={"values": {"port": 3}}).status_code == 422
    assert '"signature_ink": "blue"' in (app.folders.state / "extensions.json").read_text()


def test_the_page_loads_scripts_and_styles_in_order_after_the_helpers(app: App) -> None:
    tags = head(app.extensions)
    assert tags.index("a1111.js") < tags.index("page-only/javascript/hello.js")
    assert "/static/extensions/page-only/style.css" in tags
    assert [title for _, title, _ in app.extensions.tabs] == ["Signing"]


def test_modules_of_a1111_are_found_only_by_their_names() -> None:
    code = """
import sys
from modules.extensions.a1111 import finder
finder.install(); finder.install()
import modules.scripts, modules.shared
from modules import script_callbacks
assert modules.scripts.Script
try:
    import modules.sd_models
except ModuleNotFoundError as error:
    print(error)
try:
    modules.shared.sd_model
except AttributeError as error:
    print(error)
try:
    import modules.nothing
except ModuleNotFoundError as error:
    print(error)
print("torch" in sys.modules, len([one for one in sys.meta_path if isinstance(one, finder.A1111Finder)]))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "modules.sd_models works on A1111's model objects, which are not in this program",
        "modules.shared.sd_model is a part of A1111's state that is not in this program",
        "No module named 'modules.nothing'",
        "False 1",
    ]


def test_no_module_of_this_program_has_a_name_of_the_layer() -> None:
    own = {path.stem for path in (ROOT / "modules").iterdir()}
    assert not own & (set(provided()) | MODEL_PARTS)


def test_a_script_without_a_name_is_told_as_that(tmp_path: Path) -> None:
    scripts = tmp_path / "extensions" / "nameless" / "scripts"
    scripts.mkdir(parents=True)
    (scripts / "x.py").write_text("from modules import scripts\n\n\nclass Shy(scripts.Script):\n    pass\n")
    app = make_app(tmp_path)
    try:
        (problem,) = app.extensions.view("nameless").problems
    finally:
        app.close()
    assert "the script Shy has no title()" in problem.sentence
