"""axe-core finds nothing on any tab, in any panel, menu or dialog, in light and dark, wide and on a phone.

It runs from a file of its package: nothing is asked of another host.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.reach import SCHEMES, settle, show, tabs, violations
from tests.browser.steps import LONG
from tests.browser.training import FakeRuns, open_train, walk
from tests.service.test_named import LORA, safetensors
from tests.sources import ROOT

pytestmark = pytest.mark.browser

FORM = "[data-panel=txt2img]"
SMALL = {"width": 128, "height": 128, "steps": 2, "seed": 5}
SAMPLES = ROOT / "docs" / "samples" / "uncle_hermann"
_UNFOLD = "(id) => document.querySelectorAll(`#${id} details`).forEach((one) => (one.open = true))"
schemes = pytest.mark.parametrize("scheme", SCHEMES)


@pytest.fixture(scope="module", autouse=True)
def _files(data: Path) -> Iterator[None]:
    """Cards: two that can be used and one that cannot."""
    safetensors(data / "models" / "Lora" / "ink.safetensors", LORA)
    safetensors(data / "embeddings" / "hermann_word.safetensors", {"emb_params": (3, 128)})
    broken = data / "models" / "Lora" / "broken.safetensors"
    broken.write_bytes(b"no safetensors" * 20)
    made = [data / "models" / "Lora" / "ink.safetensors", data / "embeddings" / "hermann_word.safetensors", broken]
    yield
    for file in made:
        file.unlink()


def _call(page: Page, path: str, body: dict[str, Any], method: str = "POST") -> dict[str, Any]:
    answer = page.request.fetch(f"{page.url.rstrip('/')}/api/v1/{path}", method=method, data=body, timeout=LONG)
    assert answer.ok, answer.text()
    return answer.json() if answer.body() else {}


def _drawn(page: Page) -> None:
    """Three pictures of a grid, with their text, in the output of txt2img and in the gallery."""
    _call(page, "jobs", {**SMALL, "prompt": "a red house on a hill", "batch_count": 3})
    page.reload()
    told = page.locator("[data-panel=txt2img-output] [data-infotext]")
    expect(told).to_contain_text("a red house on a hill", timeout=LONG)


@schemes
@pytest.mark.parametrize("width", [1440, 390])
def test_every_tab(open_page: OpenPage, scheme: str, width: int) -> None:
    page = open_page(width, 900, scheme)
    found = {}
    for tab in tabs(page):
        show(page, tab)
        page.evaluate(_UNFOLD, tab)
        found[tab] = violations(page)
    assert found == {tab: [] for tab in found}


@schemes
def test_pictures_a_viewer_and_what_is_selected(open_page: OpenPage, scheme: str) -> None:
    page = open_page(scheme=scheme)
    _drawn(page)
    found = {"output": violations(page)}
    show(page, "tab-gallery")
    page.wait_for_selector(".shot img.there", timeout=LONG)
    page.locator(".shot").first.focus()
    page.keyboard.press("Space")
    expect(page.locator("[data-selection]")).to_be_visible()
    found["gallery"] = violations(page)
    page.keyboard.press("Enter")
    expect(page.locator("[data-viewer][open]")).to_be_visible()
    settle(page, "[data-viewer]")
    found["viewer"] = violations(page)
    page.keyboard.press("Escape")
    page.click("[data-action=gallery-folders]")
    expect(page.locator("[data-folders]")).to_be_visible()
    found["folders"] = violations(page)
    assert found == {name: [] for name in found}


def _style(page: Page) -> None:
    _call(page, "styles", {"name": "Sepia", "prompt": "sepia, old photograph", "negative_prompt": "blur"}, "PUT")
    page.reload()
    page.wait_for_selector("html[data-webui=ready]", timeout=LONG)
    page.click(f"{FORM} [data-action=styles]")
    page.wait_for_selector(f"{FORM} [data-style-list] li")
    _call(page, "styles?name=Sepia", {}, "DELETE")  # other tests have this server too


def _presets(page: Page) -> None:
    page.click(f"{FORM} [data-action=presets]")
    page.fill("#txt2img-preset-name", "Quick")
    page.click(f"{FORM} [data-action=save-preset]")
    page.wait_for_selector(f"{FORM} [data-preset-list] li")


def _cards(page: Page) -> None:
    _call(page, "networks/refresh", {})
    page.reload()
    page.wait_for_selector("html[data-webui=ready]", timeout=LONG)
    page.click(f"{FORM} [data-action=cards]")
    page.get_by_role("tab", name="LoRA").click()
    page.wait_for_selector("[data-panel=cards] .card")


def _details(page: Page) -> None:
    _cards(page)
    page.locator("[data-panel=cards] .card").last.focus()
    page.keyboard.press("i")
    page.wait_for_selector("[data-details][open]")


def _queue(page: Page) -> None:
    _call(page, "jobs", {**SMALL, "prompt": "an old boat", "steps": 1})
    page.click("[data-action=queue]")
    page.wait_for_selector("[data-queue-recent] .queue-row", timeout=LONG)


def _people(page: Page) -> None:
    page.click("[data-action=who]")
    page.wait_for_selector("[data-who-menu]:popover-open [data-share]")


def _names(page: Page) -> None:
    _call(page, "networks/refresh", {})
    page.reload()
    page.wait_for_selector("html[data-webui=ready]", timeout=LONG)
    page.locator(f'{FORM} [data-knob="prompt"] textarea').press_sequentially("a house, herm")
    page.wait_for_selector(f"{FORM} [data-complete] li")


def _refused(page: Page) -> None:
    page.fill("#txt2img-width", "7")
    page.click(f"{FORM} [data-action=generate]")
    page.wait_for_selector(f"{FORM} .field.wrong")


OPENED: dict[str, Callable[[Page], None]] = {
    "styles": _style,
    "presets": _presets,
    "cards": _cards,
    "a card's file": _details,
    "queue": _queue,
    "people": _people,
    "names while typing": _names,
    "a refused field": _refused,
}


@schemes
@pytest.mark.parametrize("name", OPENED)
def test_what_opens(open_page: OpenPage, scheme: str, name: str) -> None:
    page = open_page(scheme=scheme)
    OPENED[name](page)
    page.wait_for_timeout(300)  # what slides or fades in has arrived
    assert violations(page) == []


@schemes
def test_a_data_set_of_pictures_and_captions(open_page: OpenPage, scheme: str) -> None:
    page = open_train(open_page, FakeRuns(), scheme=scheme)
    walk(page, "pictures")
    page.click("[data-action=open-set]")
    page.fill("#train-ask", str(SAMPLES))
    page.keyboard.press("Enter")
    expect(page.locator(".picture-cell")).to_have_count(len(list(SAMPLES.glob("*.png"))), timeout=LONG)
    found = {"pictures": violations(page)}
    page.locator(".picture-cell").first.click()
    expect(page.locator("[data-crop-dialog], dialog[open]").first).to_be_visible()
    settle(page, "dialog[open]")
    found["crop"] = violations(page)
    page.keyboard.press("Escape")
    walk(page, "captions")
    page.wait_for_selector("[data-captions] textarea")
    found["captions"] = violations(page)
    walk(page, "options")
    found["options"] = violations(page)
    assert found == {name: [] for name in found}


@schemes
def test_a_training_that_runs(open_page: OpenPage, scheme: str) -> None:
    page = open_train(open_page, FakeRuns(), scheme=scheme)
    expect(page.locator("[data-number=step]")).to_have_text("1,240", timeout=LONG)
    page.wait_for_selector(".strip-cell")
    settle(page, "[data-step=run]")
    assert violations(page) == []


def test_it_finds_what_is_wrong(open_page: OpenPage) -> None:
    """A nameless button, grey on grey: if these are not found, nothing above says anything."""
    page = open_page()
    page.evaluate(
        """() => document.querySelector("main").insertAdjacentHTML("beforeend",
        '<button id="bare"></button><p id="pale" style="background:#fff;color:#ccc">pale</p>')"""
    )
    found = json.dumps(violations(page))
    assert "button-name at #bare" in found
    assert "color-contrast at #pale" in found
