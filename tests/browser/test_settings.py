"""The Settings tab, presets and a form's own defaults, in a real browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import OpenPage, wait_until_ready
from tests.browser.steps import value, write

pytestmark = pytest.mark.browser


@pytest.fixture(autouse=True)
def _no_settings_kept(data: Path) -> Iterator[None]:
    yield
    (data / "config.json").unlink(missing_ok=True)


def _open(page: Page) -> Page:
    button = page.locator("#tab-settings-button")
    if button.is_visible():
        button.click()
    else:
        page.locator("#tabs .overflow-menu button").first.click()
        page.locator("#tabs .overflow-dropdown button", has_text="Settings").click()
    page.wait_for_selector('[data-panel="settings"][data-ready]')
    return page


def _setting(page: Page, name: str) -> Locator:
    return page.locator(f'[data-setting="{name}"]')


def test_a_change_counts_at_once_is_marked_and_restored(open_page: OpenPage, data: Path) -> None:
    page = _open(open_page())
    quality = _setting(page, "jpeg_quality")
    expect(quality).to_contain_text("Default: 80")
    quality.locator("input").fill("55")
    quality.locator("input").press("Enter")
    expect(quality).to_have_attribute("data-changed", "")
    assert json.loads((data / "config.json").read_text(encoding="utf-8")) == {"jpeg_quality": 55}
    page.check("[data-settings-changed]")
    expect(_setting(page, "save_txt")).to_be_hidden()
    expect(quality).to_be_visible()
    quality.get_by_role("button", name="Restore Quality to its default").click()
    expect(quality.locator("input")).to_have_value("80")
    assert json.loads((data / "config.json").read_text(encoding="utf-8")) == {}


def test_what_waits_for_a_restart_says_so_and_a_wrong_value_is_refused(open_page: OpenPage) -> None:
    page = _open(open_page())
    threads = _setting(page, "history_days")
    threads.locator("input").fill("0")
    threads.locator("input").press("Enter")
    expect(threads.locator("[role=alert]")).not_to_be_empty()
    origins = _setting(page, "cors_allow_origins_regex")
    origins.locator("input").fill("(")
    origins.locator("input").press("Enter")
    expect(origins.locator("[role=alert]")).to_contain_text("no regular expression")
    models = _setting(page, "checkpoints_in_ram")
    models.locator("input").fill("5")
    models.locator("input").press("Enter")
    expect(models).to_contain_text("after restart (now 2)")
    given = _setting(page, "threads")
    expect(given).to_contain_text("Given at the start (--threads), which wins.")
    expect(given.locator("input")).to_be_disabled()
    page.click('[data-action="restore-settings"]')
    page.get_by_role("button", name="Yes, restore all").click()
    expect(models).to_contain_text("Default: 2")


def test_search_and_sections_by_keyboard(open_page: OpenPage) -> None:
    page = _open(open_page())
    page.get_by_role("searchbox", name="Find a setting").focus()
    page.keyboard.type("file name")
    expect(_setting(page, "samples_filename_pattern")).to_be_visible()
    expect(_setting(page, "port")).to_be_hidden()
    page.keyboard.press("Control+a")
    page.keyboard.type("zzz")
    expect(page.get_by_text("No setting is called so.")).to_be_visible()
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    page.get_by_role("button", name="Limits of other people").press("Enter")
    expect(page.get_by_role("heading", name="Limits of other people")).to_be_focused()
    expect(_setting(page, "user_queue")).to_be_in_viewport()


def test_the_theme_is_the_persons_on_every_visit(open_page: OpenPage) -> None:
    page = _open(open_page())
    _setting(page, "mine.theme").locator("select").select_option("dark")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.evaluate("localStorage.clear()")
    page.reload()
    wait_until_ready(page)
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    other = open_page()
    expect(other.locator("html")).to_have_attribute("data-theme", "light")


def test_everybodys_theme_is_changed_at_once(open_page: OpenPage) -> None:
    page = _open(open_page())
    everybodys = _setting(page, "theme").locator("select")
    everybodys.select_option("dark")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    other = open_page()
    expect(other.locator("html")).to_have_attribute("data-theme", "dark")
    everybodys.select_option("system")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    assert page.evaluate("localStorage.getItem('webui-theme')") is None


def test_a_file_of_a1111_is_imported_and_what_is_left_is_listed(open_page: OpenPage, tmp_path: Path) -> None:
    file = tmp_path / "ui-config.json"
    file.write_text(
        json.dumps({"txt2img/Sampling steps/value": 33, "txt2img/Width/maximum": 9000, "txt2img/Odd/value": 1}),
        encoding="utf-8",
    )
    page = _open(open_page())
    page.set_input_files("[data-settings-file]", file)
    report = page.locator("[data-settings-report]")
    expect(report).to_contain_text("Taken over (1)")
    expect(report).to_contain_text("Left (2)")
    page.click("#tab-txt2img-button")
    assert value(page, "steps") == "33"
    page.click('[data-panel="txt2img"] [data-action="reset"]')
    assert value(page, "steps") == "33", "it is the form's default now"


def test_presets_keep_what_was_chosen(open_page: OpenPage) -> None:
    page = open_page()
    write(page, steps=11, width=192, prompt="a boat", seed=7)
    page.get_by_role("button", name="Presets", exact=True).first.click()
    menu = page.locator("#txt2img-presets")
    menu.get_by_label("Prompt and styles").check()
    menu.get_by_label("Name of a new preset").fill("Boats")
    menu.get_by_label("Name of a new preset").press("Enter")
    expect(menu.get_by_text("is saved")).to_be_visible()
    page.keyboard.press("Escape")
    write(page, steps=5, width=64, prompt="", seed=9)
    page.reload()
    wait_until_ready(page)
    page.get_by_role("button", name="Presets", exact=True).first.click()
    menu.locator(".preset-use").click()
    assert (value(page, "steps"), value(page, "width"), value(page, "prompt")) == ("11", "192", "a boat")
    assert value(page, "seed") == "9"
    page.get_by_role("button", name="Presets", exact=True).first.click()
    menu.get_by_role("button", name="Delete the preset Boats").click()
    menu.get_by_role("button", name="Undo").click()
    expect(menu.locator(".preset-use")).to_have_count(1)


def test_a_form_begins_with_ones_own_values(open_page: OpenPage) -> None:
    page = open_page()
    write(page, steps=14, prompt="not this", width=192)
    page.get_by_role("button", name="Presets", exact=True).first.click()
    menu = page.locator("#txt2img-presets")
    menu.get_by_role("button", name="Begin with these values").click()
    expect(menu.get_by_text("begins with these values now")).to_be_visible()
    page.keyboard.press("Escape")
    write(page, steps=3, prompt="other words")
    page.click('[data-panel="txt2img"] [data-action="reset"]')
    assert (value(page, "steps"), value(page, "width"), value(page, "prompt")) == ("14", "192", "other words")
    page.click('[data-panel="txt2img"] [data-action="clear"]')
    assert value(page, "prompt") == ""
    page.get_by_role("button", name="Presets", exact=True).first.click()
    menu.get_by_role("button", name="Back to the program's").click()
    expect(menu.get_by_text("program's own values again")).to_be_visible()
    page.keyboard.press("Escape")
    assert (value(page, "steps"), value(page, "width")) == ("20", "128")


def test_on_a_phone_nothing_is_cut_off(open_page: OpenPage) -> None:
    page = _open(open_page(width=390, height=844))
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    expect(_setting(page, "mine.theme").locator("select")).to_be_visible()
