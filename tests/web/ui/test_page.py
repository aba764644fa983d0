"""The page's markup: every parameter once, with what its declaration says of it."""

from __future__ import annotations

import json
import re
from html import unescape
from types import SimpleNamespace

import gradio as gr
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from modules.schema.knob import Knob
from modules.schema.settings import Settings
from modules.web.ui import page
from modules.web.ui.about import ABOUT
from modules.web.ui.form import KNOBS, PART_KNOBS, field
from modules.web.ui.output import EXAMPLES

APP = SimpleNamespace(settings=Settings(), extensions=None)


def _markup() -> str:
    blocks = page.build(APP).blocks.values()
    return "".join(block.value for block in blocks if isinstance(block, gr.HTML))


def _names(part: str) -> list[str]:
    return [f"{part}.{name}" for name, knob in PART_KNOBS[part].items() if not knob.hidden]


def _form(name: str) -> str:
    found = re.search(f'<form class="[a-z ]*form" data-panel="{name}".*?</form>', _markup(), re.DOTALL)
    assert found
    return found[0]


@pytest.mark.parametrize(
    ("form", "parts"),
    [("txt2img", ["hires", "refiner"]), ("img2img", ["image", "inpaint", "soft_inpaint", "refiner"])],
)
def test_every_parameter_has_exactly_one_widget(form: str, parts: list[str]) -> None:
    on_top = {"checkpoint", "vae", "clip_skip"}
    found = re.findall(r'data-knob="([\w.]+)" data-kind="\w+"(?! data-(?:part|local))', _form(form))
    wanted = [name for name, knob in KNOBS.items() if not knob.hidden and name not in on_top]
    assert sorted(found) == sorted([*wanted, *(name for part in parts for name in _names(part))])
    assert sorted(re.findall(r'data-knob="(\w+)" data-kind="bool" data-part', _form(form))) == sorted(
        set(parts) - {"image", "inpaint"}
    )


def test_the_models_are_in_the_top_bar_alone() -> None:
    text = _markup().replace(_form("merge"), "")  # a merge has a VAE of its own
    for name in ("checkpoint", "vae", "clip_skip"):
        assert text.count(f'data-knob="{name}"') == 1


def test_every_tab_says_in_a_line_what_it_is_for() -> None:
    assert list(page.TABS) == [name for name in ABOUT if name in page.TABS]
    lines = re.findall(r'<p class="about">(.+?)</p>', _markup())
    assert [unescape(line) for line in lines] == list(ABOUT.values())
    assert max(map(len, lines)) < 100  # two lines of a phone


def test_examples_are_prompts_and_in_nobodys_language() -> None:
    found = re.findall(r'data-example="([^"]+)" translate="no">([^<]+)<', _markup())
    assert [one for one, _ in found] == [two for _, two in found] == list(EXAMPLES)


def test_labels_and_helps_belong_to_a_widget() -> None:
    text = _markup()
    ids = re.findall(r' id="([\w-]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r' for="([\w-]+)"', text)) <= set(ids)
    assert set(re.findall(r'aria-describedby="([\w-]+)"', text)) <= set(ids)


@pytest.mark.parametrize("knob", KNOBS.values(), ids=lambda knob: knob.name)
def test_a_widget_says_what_the_declaration_says(knob: Knob) -> None:
    markup = field(knob)
    assert unescape(re.search(r'data-label="([^"]*)"', markup)[1]) == knob.label
    assert json.loads(unescape(re.search(r'data-default="([^"]*)"', markup)[1])) == knob.default
    assert knob.help in unescape(markup)
    assert markup.count("<option>") == len(knob.choices or ())


def test_a_typed_number_may_pass_the_end_of_its_slider() -> None:
    markup = field(KNOBS["steps"])
    assert 'type="range" min="1" max="150" step="1"' in markup
    assert 'type="number" id="txt2img-steps" aria-describedby="txt2img-steps-help" min="1" max="1000"' in markup


def test_a_seed_keeps_all_its_digits() -> None:
    assert 'type="text" inputmode="numeric"' in field(KNOBS["seed"])


def test_the_mounted_page_serves_its_own_files() -> None:
    server = FastAPI()
    page.mount(server, APP)
    with TestClient(server) as client:
        text = client.get("/").text
        own = re.findall(r'(?:src|href)=\\"(/static/webui/[\w./]+)', text)  # Gradio carries the head as JSON
        assert len(own) == len(page.STYLES) + 3  # theme, words, entry
        for path in own:
            answer = client.get(path)
            assert answer.status_code == 200
            assert answer.headers["cache-control"] == "no-cache"
        assert client.get("/static/webui/../ui/page.py").status_code == 404


def test_handlers_of_gradio_are_not_an_api() -> None:
    assert page.build(APP).get_api_info()["named_endpoints"] == {}
