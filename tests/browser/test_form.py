"""The form in a real browser: keys, counters, defaults, pasted texts, and that nothing typed is lost."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, wait_until_ready
from tests.browser.steps import value, write

pytestmark = pytest.mark.browser

WEIGHTS = [
    # text with the selection in «», key, text after
    ("a «red» boat", "ArrowUp", "a («red»:1.1) boat"),
    ("a («red»:1.1) boat", "ArrowUp", "a («red»:1.2) boat"),
    ("a («red»:1.1) boat", "ArrowDown", "a «red» boat"),
    ("a «red» boat", "ArrowDown", "a («red»:0.9) boat"),
    ("a re«»d boat", "ArrowUp", "a («red»:1.1) boat"),
    ("((«red»))", "ArrowUp", "(«red»:1.31)"),
    ("(red bo«»at:1.4)", "ArrowDown", "(«red boat»:1.3)"),
    ("« red »boat", "ArrowUp", " («red»:1.1) boat"),
    ("<lora:na«»me:0.8>", "ArrowUp", "<lora:na«»me:0.85>"),
    ("a \\(re«»d\\)", "ArrowUp", "a \\((«red»:1.1)\\)"),
]


def _place(page: Page, marked: str) -> None:
    start, end = marked.index("«"), marked.index("»") - 1
    write(page, prompt=marked.replace("«", "").replace("»", ""))
    page.focus("#txt2img-prompt")
    page.evaluate("([s, e]) => document.activeElement.setSelectionRange(s, e)", [start, end])


def _marked(page: Page) -> str:
    start, end = page.evaluate("() => [document.activeElement.selectionStart, document.activeElement.selectionEnd]")
    text = value(page, "prompt")
    return f"{text[:start]}«{text[start:end]}»{text[end:]}"


def test_control_and_arrows_change_the_weight_of_the_selection(open_page: OpenPage) -> None:
    page = open_page()
    after = {}
    for before, key, _ in WEIGHTS:
        _place(page, before)
        page.keyboard.press(f"Control+{key}")
        after[before, key] = _marked(page)
    assert after == {(before, key): expected for before, key, expected in WEIGHTS}
    page.keyboard.press("Control+z")
    assert value(page, "prompt") == "a \\(red\\)"  # the browser's own undo still works


def test_alt_and_arrows_move_an_item(open_page: OpenPage) -> None:
    page = open_page()
    _place(page, "one, tw«»o, three")
    page.keyboard.press("Alt+ArrowRight")
    assert _marked(page) == "one, three, tw«»o"
    page.keyboard.press("Alt+ArrowLeft")
    page.keyboard.press("Alt+ArrowLeft")
    assert value(page, "prompt") == "two, one, three"


def test_the_counter_shows_where_a_chunk_ends(open_page: OpenPage) -> None:
    page = open_page()
    write(page, prompt="a red boat")
    counter = page.locator('[data-knob="prompt"] [data-counter]')
    expect(counter).to_have_text("3/75")
    write(page, prompt="cat " * 75 + "dog dog")
    expect(counter).to_have_text("77/150")
    expect(page.locator('[data-knob="prompt"] [data-chunks]')).to_contain_text("“dog”")
    expect(page.locator('[data-knob="prompt"] .mirror .border')).to_have_count(1)


def test_the_form_survives_a_reload_and_a_lost_browser_memory(open_page: OpenPage) -> None:
    page = open_page()
    kept = {"prompt": "déjà vu 🎨", "seed": str(2**63 - 1), "sampler": "DDIM", "cfg_scale": "4.5"}
    write(page, **kept)
    page.click("[data-section=sampler] summary")
    write(page, eta="0.5")
    expect(page.locator("[data-section=sampler] [data-changed]")).to_have_text("Eta 0.5")
    page.wait_for_timeout(1200)  # the server is told a moment after the last key
    for forget in (False, True):
        if forget:
            page.evaluate("localStorage.clear()")
        page.reload()
        wait_until_ready(page)
        assert {name: value(page, name) for name in kept} == kept
        assert value(page, "eta") == "0.5"


def test_defaults_swap_and_pasted_sizes(open_page: OpenPage) -> None:
    page = open_page()
    write(page, width=256, height=128, steps=33)
    page.click("[data-action=swap]")
    assert (value(page, "width"), value(page, "height")) == ("128", "256")
    page.locator('label[for="txt2img-steps"]').dblclick()
    assert value(page, "steps") == "20"
    page.focus("#txt2img-width")
    page.evaluate(
        """() => { const clipboardData = new DataTransfer(); clipboardData.setData('text', '512x384');
        document.activeElement.dispatchEvent(new ClipboardEvent('paste', {clipboardData, cancelable: true})) }"""
    )
    assert (value(page, "width"), value(page, "height")) == ("512", "384")
    hint = page.locator("[data-size-hint]")
    expect(hint).to_contain_text("128 × 128")
    hint.get_by_role("button").click()
    assert (value(page, "width"), value(page, "height")) == ("128", "128")
    expect(hint).to_be_hidden()


def test_pasted_parameters_fill_the_form(open_page: OpenPage) -> None:
    page = open_page()
    facts = "Steps: 9, Sampler: Euler a, CFG scale: 3.5, Seed: 77, Size: 64x192, Clip skip: 2"
    write(page, prompt=f"a cat\nNegative prompt: blur\n{facts}")
    page.click("[data-action=paste]")
    expected = {"prompt": "a cat", "negative_prompt": "blur", "steps": "9", "sampler": "Euler a", "cfg_scale": "3.5"}
    expected |= {"seed": "77", "width": "64", "height": "192", "clip_skip": "2"}
    expect(page.locator("#txt2img-prompt")).to_have_value("a cat")
    assert {name: value(page, name) for name in expected} == expected
    write(page, prompt="only words")
    page.click("[data-action=paste]")
    expect(page.locator("[data-run-problem]")).to_contain_text("no parameters")
    assert value(page, "prompt") == "only words"


def test_a_picture_without_text_says_so(open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page()
    page.keyboard.press("Alt+6")
    pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    picture, letter = tmp_path / "pixel.png", tmp_path / "letter.png"
    picture.write_bytes(base64.b64decode(pixel))
    letter.write_text("not a picture")
    page.set_input_files("#pnginfo-file", picture)
    expect(page.locator("[data-pnginfo-empty]")).to_contain_text("no parameters")
    page.set_input_files("#pnginfo-file", letter)
    expect(page.locator("[data-pnginfo-problem]")).to_be_visible()


@pytest.mark.parametrize("width", [1440, 1024, 390])
def test_the_page_fits_its_window_and_every_control_has_a_name(open_page: OpenPage, width: int) -> None:
    page = open_page(width=width, height=844, scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    expect(page.locator("[data-action=generate]")).to_be_in_viewport()
    expect(page.locator("[data-stage]")).to_be_in_viewport()
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('input, select, textarea, button')]
        .filter(e => e.offsetParent && !e.closest('[aria-hidden=true]') && !e.matches('[aria-hidden=true]'))
        .filter(e => !(e.ariaLabel || e.innerText || e.labels?.[0]?.textContent)).map(e => e.outerHTML)"""
    )
    assert nameless == []
    page.click("[data-action=theme]")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
