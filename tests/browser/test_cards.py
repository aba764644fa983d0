"""The cards of networks in a real browser: found, put into the prompt, looked into; names by keyboard."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.steps import LONG, generate, value, wait_done, write
from tests.service.test_named import LORA, safetensors

pytestmark = pytest.mark.browser

PANEL = "[data-panel=cards]"
PROMPT = '[data-panel=txt2img] [data-knob="prompt"]'
MANY = 5000
NOTE = {"description": "Foxes in snow", "activation text": "red fox", "negative text": "dog", "preferred weight": 0.7}


@pytest.fixture
def files(data: Path, open_page: OpenPage, address: str) -> Iterator[Path]:
    """Two LoRA, one with a note and a picture, and an embedding; gone afterwards."""
    loras, embeddings = data / "models" / "Lora", data / "embeddings"
    fox = safetensors(loras / "animals" / "fox.safetensors", LORA, ss_tag_frequency=json.dumps({"a": {"snow": 3}}))
    safetensors(loras / "ink.safetensors", LORA)
    safetensors(embeddings / "uncle_hermann.safetensors", {"emb_params": (3, 128)})
    fox.with_suffix(".json").write_text(json.dumps(NOTE))
    Image.new("RGB", (32, 32), "red").save(fox.with_suffix(".preview.png"))
    _refresh(open_page(), address)
    yield loras
    shutil.rmtree(loras)
    shutil.rmtree(embeddings)
    _refresh(open_page(), address)


def _refresh(page: Page, address: str) -> None:
    assert page.request.post(f"{address}/api/v1/networks/refresh", data={}, timeout=LONG).ok
    page.close()


def _open(page: Page, kind: str) -> None:
    page.click("[data-panel=txt2img] [data-action=cards]")
    page.get_by_role("tab", name=kind).click()


def test_a_card_puts_its_tag_and_words_in_and_takes_them_out(open_page: OpenPage, files: Path) -> None:
    page = open_page()
    write(page, prompt="a forest")
    _open(page, "LoRA")
    card = page.get_by_role("button", name="fox", exact=True)
    expect(card.locator("img")).to_have_js_property("naturalWidth", 32)
    card.click()
    assert (value(page, "prompt"), value(page, "negative_prompt")) == ("a forest, <lora:fox:0.7>, red fox", "dog")
    expect(card).to_have_attribute("aria-pressed", "true")
    card.click()
    assert (value(page, "prompt"), value(page, "negative_prompt")) == ("a forest", "")
    page.keyboard.press("Escape")
    expect(page.locator(PANEL)).to_be_hidden()
    expect(page.locator("[data-panel=txt2img] [data-action=cards]")).to_be_focused()


def test_cards_are_found_by_words_folders_and_keys(open_page: OpenPage, files: Path) -> None:
    page = open_page()
    _open(page, "LoRA")
    expect(page.locator(f"{PANEL} .card")).to_have_count(2)
    page.fill("#cards-search", "snow foxes")
    expect(page.locator(f"{PANEL} .card")).to_have_count(1)
    page.fill("#cards-search", "nothing like it")
    expect(page.locator("[data-cards-empty]")).to_be_visible()
    page.fill("#cards-search", "")
    expect(page.locator(f"{PANEL} .card")).to_have_count(2)  # listed anew a moment after the typing
    page.select_option("#cards-folder", "animals")
    expect(page.locator(f"{PANEL} .card")).to_have_count(1)
    page.select_option("#cards-folder", "")
    expect(page.locator(f"{PANEL} .card")).to_have_count(2)
    page.get_by_role("button", name="fox", exact=True).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert value(page, "prompt") == "<lora:ink:1>"


def test_notes_and_training_words_are_shown_and_edited(open_page: OpenPage, files: Path) -> None:
    page = open_page()
    _open(page, "LoRA")
    page.get_by_role("button", name="About fox").click(force=True)
    details = page.locator("[data-details]")
    expect(details.locator(".tag")).to_have_text("snow3")
    details.get_by_label("Trigger words").fill("arctic fox")
    details.get_by_role("button", name="Save").click()
    expect(details).to_contain_text("Saved.")
    assert json.loads((files / "animals" / "fox.json").read_text())["activation text"] == "arctic fox"


def test_a_picture_becomes_the_preview(open_page: OpenPage, files: Path) -> None:
    page = open_page()
    write(page, prompt="a fox", steps=1)
    generate(page)
    wait_done(page)
    _open(page, "LoRA")
    page.get_by_role("button", name="About ink").click(force=True)
    details = page.locator("[data-details]")
    details.get_by_role("button", name="Use the picture shown").click()
    expect(details).to_contain_text("Replaced.")
    expect(details.locator(".card-picture img")).to_have_js_property("naturalWidth", 128)
    with Image.open(files / "ink.png") as picture:
        assert picture.size == (128, 128)


def test_an_embedding_is_looked_into(open_page: OpenPage, files: Path) -> None:
    page = open_page()
    _open(page, "Embeddings")
    page.get_by_role("button", name="About uncle_hermann").click(force=True)
    expect(page.locator(".vectors tbody tr")).to_have_count(3, timeout=LONG)
    page.get_by_role("button", name="Put into the prompt").click()
    assert value(page, "prompt") == "uncle_hermann"


def test_unknown_names_are_underlined_with_the_nearest_one(open_page: OpenPage, files: Path) -> None:
    page = open_page()
    write(page, prompt="by uncle_herman, <lora:fix:1>")
    expect(page.locator(f"{PROMPT} .mirror u")).to_have_text(["uncle_herman", "fix"])
    page.locator(f"{PROMPT} [data-notes] button").first.click()
    page.locator(f"{PROMPT} [data-notes] button", has_text="fox").click()
    assert value(page, "prompt") == "by uncle_hermann, <lora:fox:1>"
    expect(page.locator(f"{PROMPT} .mirror u")).to_have_count(0)


def test_names_are_completed_by_keyboard(open_page: OpenPage, files: Path) -> None:
    page = open_page()
    page.focus("#txt2img-prompt")
    page.keyboard.type("by unc")
    box = page.locator("#txt2img-prompt")
    expect(box).to_have_attribute("aria-activedescendant", "txt2img-prompt-complete-0")
    page.keyboard.press("Enter")
    page.keyboard.type(", <lora:")
    expect(page.locator("#txt2img-prompt-complete [role=option]")).to_have_count(2)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    assert value(page, "prompt") == "by uncle_hermann, <lora:ink:1>"
    page.keyboard.press("Control+z")
    assert value(page, "prompt") == "by uncle_hermann, <lora:"


def test_five_thousand_files_open_at_once(open_page: OpenPage) -> None:
    page = open_page()
    cards = [{"kind": "lora", "name": f"file {n:04d}", "path": f"{n % 9}/{n}.pt", "folder": str(n % 9), "mtime": n}
             for n in range(MANY)]  # fmt: skip
    page.route("**/api/v1/networks", lambda route: route.fulfill(json={"networks": cards}))
    page.reload()
    expect(page.locator("#cards-lora [data-count]")).to_have_count(1)
    page.wait_for_selector("html[data-webui=ready]", state="attached", timeout=LONG)
    page.evaluate("localStorage.setItem('webui-cards', 'lora')")
    seconds = page.evaluate(
        """async () => { const from = performance.now();
        document.querySelector('[data-panel=txt2img] [data-action=cards]').click();
        document.querySelector('[role=tab][data-kind=lora]').click();
        while (!document.querySelector('.card')) await new Promise(requestAnimationFrame);
        return (performance.now() - from) / 1000 }"""
    )
    assert seconds < 2
    assert page.locator(f"{PANEL} .card").count() < 100
    page.locator(f"{PANEL} .card").first.focus()
    page.keyboard.press("End")
    expect(page.locator(f"{PANEL} .card:focus")).to_contain_text(f"file {MANY - 1}")
