"""Pictures in words on the page, with the real engine and tiny models: img2img, Extras, the captions of Train."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.steps import LONG
from tests.browser.training import open_folder, open_train, walk
from tests.captioners import make_blip, make_tagger

pytestmark = pytest.mark.browser

IMG2IMG = '[data-panel="img2img"]'
EXTRAS = '[data-panel="extras"]'
LINE = f"{IMG2IMG} [data-interrogated]"
PROMPT = f'{IMG2IMG} [data-knob="prompt"] textarea'
TAGS = "^_^, a hero, red theme, solo"


def png(colour: str = "red") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (96, 64), colour).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def models(data: Path) -> Iterator[Callable[..., None]]:
    """Puts tiny models where their files belong."""
    folders = {"BLIP": data / "models" / "BLIP", "WD tagger": data / "models" / "WD-tagger"}
    makers = {"BLIP": make_blip, "WD tagger": make_tagger}

    def put(*names: str) -> None:
        for name in names:
            makers[name](folders[name] / "tiny")

    yield put
    for folder in folders.values():
        shutil.rmtree(folder, ignore_errors=True)


def open_tab(page: Page, name: str) -> None:
    page.evaluate("(tab) => import('/static/webui/dom.js').then((dom) => dom.openTab(`tab-${tab}`))", name)
    page.wait_for_selector(f"[data-panel={name}][data-ready]", timeout=LONG)


def open_img2img(page: Page) -> None:
    open_tab(page, "img2img")
    page.set_input_files("#img2img-file", files=[{"name": "a.png", "mimeType": "image/png", "buffer": png()}])
    expect(page.locator(f"{IMG2IMG} [data-painter]")).to_have_attribute("data-filled", "yes")


def test_the_prompt_becomes_what_is_seen_and_comes_back(open_page: OpenPage, models: Callable[..., None]) -> None:
    models("WD tagger")
    page = open_page()
    open_img2img(page)
    page.locator(PROMPT).fill("a fox")
    page.get_by_role("button", name="Interrogate", exact=True).click()
    expect(page.locator(PROMPT)).to_have_value(TAGS, timeout=LONG)
    expect(page.locator(LINE)).to_contain_text("The prompt is what WD tagger sees.")
    page.locator(LINE).get_by_role("button", name="Undo").click()
    expect(page.locator(PROMPT)).to_have_value("a fox")
    expect(page.locator(PROMPT)).to_be_focused()


def test_one_is_chosen_from_the_menu_by_keys_and_kept(open_page: OpenPage, models: Callable[..., None]) -> None:
    models("WD tagger", "BLIP")
    page = open_page(390, 844)
    open_img2img(page)
    opener = page.get_by_role("button", name="Who describes the picture")
    opener.focus()
    page.keyboard.press("Enter")
    menu = page.get_by_role("dialog", name="Who describes the picture")
    first = menu.get_by_role("button").first
    expect(first).to_be_focused()
    expect(first).to_contain_text("A1111's Interrogate CLIP")
    page.keyboard.press("Tab")
    expect(menu.get_by_role("button", name="WD tagger")).to_be_focused()
    page.keyboard.press("Enter")
    expect(menu).to_be_hidden()
    expect(page.locator(PROMPT)).to_have_value(TAGS, timeout=LONG)
    page.locator(PROMPT).fill("now something else")
    expect(page.locator(LINE)).to_be_hidden()
    opener.click()
    expect(menu.get_by_role("button", name="WD tagger")).to_have_attribute("aria-current", "true")
    page.keyboard.press("Escape")
    expect(menu).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_without_a_model_it_says_which_files_belong_where(open_page: OpenPage) -> None:
    page = open_page()
    open_tab(page, "img2img")
    page.get_by_role("button", name="Interrogate", exact=True).click()
    expect(page.locator(LINE)).to_contain_text("Choose the picture to begin with")
    open_img2img(page)
    page.locator(PROMPT).fill("a fox")
    page.get_by_role("button", name="Interrogate", exact=True).click()
    expect(page.locator(LINE)).to_contain_text("models/BLIP")
    expect(page.locator(PROMPT)).to_have_value("a fox")


def test_a_broken_model_is_a_sentence_and_the_page_goes_on(
    open_page: OpenPage, models: Callable[..., None], data: Path
) -> None:
    models("WD tagger")
    path = data / "models" / "WD-tagger" / "tiny" / "model.onnx"
    path.write_bytes(path.read_bytes()[:-20])
    page = open_page()
    open_img2img(page)
    page.get_by_role("button", name="Interrogate", exact=True).click()
    expect(page.locator(LINE)).to_contain_text("damaged or cut off", timeout=LONG)
    models("WD tagger")
    page.get_by_role("button", name="Interrogate", exact=True).click()
    expect(page.locator(PROMPT)).to_have_value(TAGS, timeout=LONG)


def test_extras_write_and_show_a_caption(open_page: OpenPage, models: Callable[..., None], data: Path) -> None:
    page = open_page()
    open_tab(page, "extras")
    page.locator(f'{EXTRAS} [data-section="caption"] summary').click()
    page.locator("#extras-captioner").select_option("WD tagger")
    expect(page.locator(f"{EXTRAS} [data-no-captioner]")).to_contain_text("selected_tags.csv")
    models("WD tagger")
    file = {"name": "a red thing.png", "mimeType": "image/png", "buffer": png()}
    page.set_input_files("#extras-source-files", files=[file])
    page.locator(f'{EXTRAS} [data-action="generate"]').click()
    seen = page.locator('[data-panel="extras-output"] [data-seen]')
    expect(seen).to_have_text(TAGS, timeout=LONG)
    (text,) = (data / "outputs" / "extras-images").rglob("*a red thing.txt")
    assert text.read_text() == TAGS and text.with_suffix(".png").is_file()


def put_pictures(folder: Path) -> None:
    """Four red ones, which the tiny tagger takes for the same."""
    for number in range(1, 5):
        Image.new("RGB", (64, 60 + number), "red").save(folder / f"{number}.png")


def test_captions_of_a_data_set_are_written_by_the_tagger(
    open_page: OpenPage, models: Callable[..., None], tmp_path: Path
) -> None:
    models("WD tagger", "BLIP")
    put_pictures(tmp_path)
    (tmp_path / "1.txt").write_text("a fox", encoding="utf-8")
    page = open_train(open_page)
    open_folder(page, tmp_path)
    walk(page, "captions")
    page.select_option("#captioner", "WD tagger")
    threshold = page.get_by_label("Tag threshold")
    threshold.fill("0.7")
    page.select_option("#captioner-existing", "Append")
    page.get_by_role("button", name="Write them automatically").click()
    boxes = page.locator('[data-step="captions"] .caption textarea')
    expect(boxes.nth(0)).to_have_value("a fox, ^_^, a hero, red theme", timeout=LONG)
    expect(boxes.nth(1)).to_have_value("^_^, a hero, red theme")
    page.select_option("#captioner", "BLIP")
    expect(threshold).to_be_hidden()
    page.click("[data-action=undo-captions]")
    expect(boxes.nth(0)).to_have_value("a fox")


def test_a_selection_is_written_anew_unless_it_is_said_otherwise(open_page: OpenPage, tmp_path: Path) -> None:
    put_pictures(tmp_path)
    page = open_train(open_page)
    open_folder(page, tmp_path)
    walk(page, "captions")
    existing = page.locator("#captioner-existing")
    expect(existing).to_have_value("Keep")
    page.get_by_role("button", name="Select all").click()
    expect(existing).to_have_value("Replace")
    existing.select_option("Prepend")
    page.get_by_role("button", name="Select none").click()
    expect(existing).to_have_value("Prepend")
    page.get_by_role("button", name="Write them automatically").click()
    expect(page.locator("[data-captions-problem]")).to_contain_text("models/BLIP")
