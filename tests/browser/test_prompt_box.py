"""The prompt box in a real browser: what is said of a text, names by keyboard, styles with a way back."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, wait_until_ready
from tests.browser.steps import generate, shown_text, value, wait_done, write

pytestmark = pytest.mark.browser

PROMPT = '[data-panel=txt2img] [data-knob="prompt"]'
MENU = "#txt2img-styles"


def _type(page: Page, text: str) -> None:
    page.focus("#txt2img-prompt")
    page.keyboard.press("End")
    page.keyboard.type(text)


def _save_style(page: Page, name: str, prompt: str, negative: str = "") -> None:
    write(page, prompt=prompt, negative_prompt=negative)
    page.click("[data-panel=txt2img] [data-action=styles]")
    page.fill(f"{MENU} [data-style-name]", name)
    page.keyboard.press("Enter")
    expect(page.locator(f"{MENU} [data-style-note]")).to_contain_text("saved")
    page.keyboard.press("Escape")
    write(page, prompt="", negative_prompt="")


def test_what_cannot_be_read_is_said_under_the_box(open_page: OpenPage) -> None:
    page = open_page()
    write(page, prompt="a (red boat")
    notes = page.locator(f"{PROMPT} [data-notes]")
    expect(notes).to_contain_text("“(red boat” is never closed")
    write(page, prompt="a (red boat)")
    expect(notes).to_be_empty()
    write(page, negative_prompt="<lora:x:1>")
    expect(page.locator('[data-panel=txt2img] [data-knob="negative_prompt"] [data-notes]')).to_contain_text(
        "only text"
    )


def test_tokens_are_told_chunk_by_chunk(open_page: OpenPage) -> None:
    page = open_page()
    write(page, prompt="cat " * 75 + "dog dog")
    expect(page.locator(f"{PROMPT} [data-chunks]")).to_contain_text("(75 + 2)")


def test_styles_are_saved_used_and_deleted_with_a_way_back(open_page: OpenPage) -> None:
    page = open_page()
    _save_style(page, "night", "{prompt} at night", "sun")
    write(page, prompt="a red circle", steps=4, seed=1)
    page.click("[data-panel=txt2img] [data-action=styles]")
    page.check(f"{MENU} [data-style-list] input")
    chip = page.locator("[data-panel=txt2img] [data-chips] .chip")
    expect(chip).to_contain_text("night")
    page.keyboard.press("Escape")
    page.wait_for_timeout(1000)
    page.reload()
    wait_until_ready(page)
    expect(chip).to_contain_text("night")
    generate(page)
    wait_done(page)
    assert "a red circle at night" in shown_text(page)
    page.click("[data-panel=txt2img] [data-action=styles]")
    page.get_by_role("button", name="Delete the style night").click()
    expect(page.locator(f"{MENU} [data-style-list]")).to_be_empty()
    expect(chip).to_have_class("chip unknown")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(f"{MENU} [data-style-list] li")).to_have_count(1)
    page.get_by_role("button", name="Write the style night into the prompts").click()
    assert (value(page, "prompt"), value(page, "negative_prompt")) == ("a red circle at night", "sun")
    expect(chip).to_have_count(0)
    page.get_by_role("button", name="Delete the style night").click()


def test_a_style_is_found_by_keyboard(open_page: OpenPage) -> None:
    page = open_page()
    _save_style(page, "watercolour", "wet on wet")
    _type(page, "a boat, wat")
    page.keyboard.press("Tab")
    assert value(page, "prompt") == "a boat, "
    chips = page.locator("[data-panel=txt2img] [data-chips]")
    expect(chips).to_contain_text("watercolour")
    expect(page.locator("#txt2img-prompt")).to_be_focused()
    page.request.delete(f"{page.url.rstrip('/')}/api/v1/styles?name=watercolour")
    _type(page, "wat")
    expect(page.locator("#txt2img-prompt-complete")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#txt2img-prompt-complete")).to_be_hidden()
