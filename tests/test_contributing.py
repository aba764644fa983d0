"""What CONTRIBUTING.md says of adding things: a parameter is one line, a sampler one function, a tab one file."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sources import ROOT

LINE = """    glow: float = knob(0.0, "Glow", "Of the lights.", section="sampler", infotext="Glow", ge=0, le=1)

    image: ImageInput | None = None
"""
ROUTE = """
import json, pathlib
from modules.docs import parameters_page
from modules.flags import txt2img_flags
from modules.schema.infotext import parse, read_json, to_request, write, write_json
from modules.schema.request import GenerationRequest
from modules.service.scripts.axes import find_axis
from modules.web.api.mapping import KNOBS
from modules.web.ui.form import section

request = GenerationRequest(prompt="x", glow=0.25)
assert 'data-knob="glow"' in section("sampler"), "page"
assert txt2img_flags().read(["x", "--glow", "0.25"])["glow"] == 0.25, "flags"
assert "glow" in KNOBS and "glow" in GenerationRequest.model_json_schema()["properties"], "API"
text = write(request, {})
assert "Glow: 0.25" in text and to_request(parse(text), GenerationRequest())[0].glow == 0.25, "PNG text"
assert read_json(write_json(request, {})).request == request, "exact text"
assert find_axis("Glow", "x_type").set(request, 0.5).glow == 0.5, "X/Y/Z"
assert "`glow`" in parameters_page(), "docs"
print("everywhere")
"""


def _run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The program's files, to be changed."""
    shutil.copytree(ROOT / "modules", tmp_path / "modules", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_a_parameter_in_one_line_is_in_page_flags_api_png_text_and_plot(copy: Path) -> None:
    file = copy / "modules" / "schema" / "request.py"
    text = file.read_text(encoding="utf-8")
    assert text.count("    image: ImageInput | None = None\n") == 1
    file.write_text(text.replace("    image: ImageInput | None = None\n", LINE), encoding="utf-8")
    done = _run(ROUTE, copy)
    assert done.stdout == "everywhere\n", done.stderr


def test_a_sampler_is_a_function_and_its_lines_in_two_tables(copy: Path) -> None:
    facts = copy / "modules" / "schema" / "samplers.py"
    entry = '        SamplerFacts("lcm", "LCM", ("k_lcm",)),\n'
    text = facts.read_text(encoding="utf-8")
    assert entry in text
    facts.write_text(text.replace(entry, f'{entry}        SamplerFacts("mine", "Mine"),\n'), encoding="utf-8")
    table = copy / "modules" / "engine" / "diffusion" / "sampling.py"
    text = table.read_text(encoding="utf-8")
    line = '    "lcm": samplers.lcm,\n'
    assert line in text
    table.write_text(text.replace(line, f'{line}    "mine": samplers.euler,\n'), encoding="utf-8")
    code = """
from modules.engine.diffusion.sampling import plan
from modules.engine.diffusion.schedule import scaled_linear
from modules.schema.request import GenerationRequest
from modules.web.ui.form import KNOBS, field
print(plan(GenerationRequest(sampler="mine"), scaled_linear(0.00085, 0.012)).facts.label)
assert "<option>Mine</option>" in field(KNOBS["sampler"])
"""
    done = _run(code, copy)
    assert done.stdout == "Mine\n", done.stderr


def test_a_tab_is_a_file_and_a_line(copy: Path) -> None:
    folder = copy / "modules" / "web" / "ui"
    (folder / "hello.py").write_text("import gradio as gr\n\n\ndef build():\n    gr.Markdown('hello')\n")
    page = folder / "page.py"
    text = page.read_text(encoding="utf-8")
    line = '    "Checkpoint Merger": merger.build,\n'
    assert line in text
    text = text.replace(line, f'{line}    "Hello": hello.build,\n')
    about = folder / "about.py"
    words = about.read_text(encoding="utf-8").replace(
        '    "Models": ', '    "Hello": "Says hello.",\n    "Models": ', 1
    )
    about.write_text(words, encoding="utf-8")
    page.write_text(text.replace("\nSTATIC = ", "\nfrom modules.web.ui import hello\nSTATIC = ", 1), encoding="utf-8")
    code = """
from types import SimpleNamespace
import gradio as gr
from modules.schema.settings import Settings
from modules.web.ui import page
blocks = page.build(SimpleNamespace(settings=Settings(), extensions=None)).blocks.values()
print([block.label for block in blocks if isinstance(block, gr.Tab) and block.label == "Hello"])
"""
    done = _run(code, copy)
    assert done.stdout == "['Hello']\n", done.stderr
