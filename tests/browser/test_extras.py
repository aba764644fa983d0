"""The Extras and Checkpoint Merger tabs in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.steps import LONG

pytestmark = pytest.mark.browser

EXTRAS = "[data-panel=extras]"
OUTPUT = "[data-panel=extras-output]"


def _open(page: Page, tab: str, panel: str) -> None:
    page.get_by_role("tab", name=tab).click()
    page.wait_for_selector(f"[data-panel={panel}][data-ready]", timeout=LONG)


def _pictures(folder: Path, count: int) -> list[Path]:
    paths = [folder / f"picture {index}.png" for index in range(count)]
    for index, path in enumerate(paths):
        Image.new("RGB", (24, 16), (60 * index, 120, 40)).save(path)
    return paths


def test_a_batch_of_pictures_is_enlarged(open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page()
    _open(page, "Extras", "extras")
    page.click(f"{EXTRAS} [data-action=generate]")
    expect(page.locator(f"{EXTRAS} [data-run-problem]")).to_contain_text("Choose a picture")
    page.set_input_files("#extras-source-files", _pictures(tmp_path, 2))
    page.click(f"{EXTRAS} [data-action=generate]")
    expect(page.locator(f"{EXTRAS} [data-run-problem]")).to_contain_text("choose an upscaler or a caption")
    page.select_option("#extras-upscaler_1", "Lanczos")
    page.fill("#extras-scale", "3")
    page.click(f"{EXTRAS} [data-action=generate]")
    page.wait_for_selector(f"{OUTPUT} [data-progress][data-state=done]", timeout=LONG)
    expect(page.locator(f"{OUTPUT} .thumb")).to_have_count(2)
    page.wait_for_function(f"() => document.querySelector('{OUTPUT} [data-picture]').naturalWidth === 72")
    expect(page.locator(f"{OUTPUT} [data-path]")).to_contain_text("picture 1")
    expect(page.locator(f"{OUTPUT} [data-infotext]")).to_contain_text("Lanczos")


def test_only_the_fields_that_matter_are_shown(open_page: OpenPage) -> None:
    page = open_page()
    _open(page, "Extras", "extras")
    expect(page.locator("#extras-width")).to_be_hidden()
    expect(page.locator("#extras-upscaler_2_visibility")).to_be_hidden()
    page.select_option("#extras-resize_mode", "Scale to")
    page.select_option("#extras-upscaler_2", "Nearest")
    expect(page.locator("#extras-width")).to_be_visible()
    expect(page.locator("#extras-scale")).to_be_hidden()
    expect(page.locator("#extras-upscaler_2_visibility")).to_be_visible()
    page.click(f"{EXTRAS} [data-section=faces] summary")
    expect(page.locator("#extras-gfpgan_visibility")).to_be_disabled()
    expect(page.locator("[data-no-faces]")).to_contain_text("models/GFPGAN")


def test_checkpoints_are_merged_and_nothing_is_replaced_unasked(open_page: OpenPage) -> None:
    page = open_page()
    _open(page, "Checkpoint Merger", "merge")
    for letter in "ab":
        page.select_option(f"#merge-checkpoint_{letter}", "miniature.safetensors")
    expect(page.locator("[data-recipe]")).to_have_text("0.7 × miniature + 0.3 × miniature")
    page.fill("#merge-name", "twice the same")
    page.click("[data-panel=merge] [data-action=generate]")
    page.wait_for_selector("[data-panel=merge-output] [data-progress][data-state=done]", timeout=LONG)
    merged = page.locator('#txt2img-checkpoint option[value*="twice"]')
    expect(merged).to_have_count(1)
    page.click("[data-panel=merge] [data-action=generate]")
    ask = page.locator("[data-ask]")
    expect(ask).to_be_visible()
    page.click("[data-action=overwrite]")
    expect(ask).to_be_hidden()
    page.wait_for_selector("[data-panel=merge-output] [data-progress][data-state=done]", timeout=LONG)
