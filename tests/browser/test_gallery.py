"""The Gallery tab in a real browser: by mouse, keyboard and finger."""

from __future__ import annotations

import itertools
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.steps import LONG
from tests.service.gallery.pictures import draw_own

pytestmark = pytest.mark.browser

PANEL = "[data-panel=gallery]"
SHOTS = f"{PANEL} .shot"
COUNT = 260
COLOURS = ("red", "green", "blue", "orange", "purple")
NOON = 1_700_050_000.0


@pytest.fixture(scope="module")
def pictures(address: str, data: Path) -> Iterator[Path]:
    """A folder of old pictures that is shown in the gallery, of two days, the newest numbered 0."""
    folder = data / "old pictures"
    for number in range(COUNT):
        kind = "img2img-images" if number % 10 == 3 else "txt2img-images"
        prompt = f"{COLOURS[number % 5]} fox, number{number}"
        at = NOON - number * 60 - 86400 * (number >= 100)
        draw_own(folder / kind / f"{number}.png", prompt=prompt, seed=number, at=at)
    yield folder


@pytest.fixture
def gallery(open_page: OpenPage, address: str, pictures: Path, data: Path) -> Page:
    page = open_page()
    _add_folder(page, address, pictures)
    return _open(page)


def _add_folder(page: Page, address: str, pictures: Path) -> None:
    client = page.context.request
    known = client.get(f"{address}/api/v1/gallery/folders").json()
    if not known:
        headers = {"Origin": address}
        client.post(f"{address}/api/v1/gallery/folders", data={"path": str(pictures)}, headers=headers)
    page.wait_for_function(
        "async () => (await (await fetch('/api/v1/gallery/folders')).json())[0].state === 'done'", timeout=LONG
    )


def _open(page: Page) -> Page:
    page.evaluate("import('/static/webui/dom.js').then((dom) => dom.openTab('tab-gallery'))")
    page.wait_for_selector(f"{PANEL}[data-ready]", timeout=LONG)
    page.wait_for_selector(f"{SHOTS} img.there", timeout=LONG)
    return page


def _shot(page: Page, index: int) -> Any:
    return page.locator(f'{SHOTS}[data-index="{index}"]')


def _state(page: Page) -> Any:
    return page.locator(f"{PANEL} [data-state]")


def _viewer(page: Page) -> Any:
    return page.locator("[data-viewer]")


def _text(page: Page) -> Any:
    return page.locator("[data-viewer] [data-infotext]")


def _own(page: Page, prompt: str) -> None:
    """Draw a picture of one's own, and go back to the gallery."""
    page.evaluate(
        """async (prompt) => {
        const send = {method: 'POST', headers: {'Content-Type': 'application/json'}};
        const body = JSON.stringify({prompt, width: 64, height: 64, steps: 1, seed: 9});
        const job = await (await fetch('/api/v1/jobs', {...send, body})).json();
        for (let state = ''; state !== 'done'; await new Promise((ready) => setTimeout(ready, 200)))
            state = (await (await fetch('/api/v1/jobs/' + job.id)).json()).state;
        }""",
        prompt,
    )


def test_only_what_is_near_is_in_the_page(gallery: Page) -> None:
    expect(_state(gallery)).to_contain_text("260 pictures")
    first = gallery.locator(SHOTS).count()
    assert 20 < first < 200
    gallery.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    expect(_shot(gallery, COUNT - 1)).to_be_visible()
    expect(_shot(gallery, COUNT - 1)).to_have_attribute("aria-label", "purple fox, number259, 8 × 6, 2023-11-14")
    expect(_shot(gallery, 0)).to_have_count(0)
    assert gallery.locator(SHOTS).count() < 200
    expect(gallery.locator(f"{PANEL} [data-day]")).to_have_text("Nov 14, 2023")


def test_searching_and_filters(gallery: Page) -> None:
    gallery.focus("[data-action=theme]")
    gallery.keyboard.press("/")  # a key alone does nothing outside the gallery
    expect(gallery.locator("[data-search]")).not_to_be_focused()
    gallery.locator(SHOTS).first.focus()
    gallery.keyboard.press("/")
    gallery.keyboard.type('"red fox" number1')
    expect(_state(gallery)).to_have_text("22 pictures")  # 10, 15, 100, 105 ... 195
    gallery.keyboard.press("Escape")
    expect(_state(gallery)).to_contain_text("260 pictures")
    gallery.select_option("#gallery-kind", "img2img")
    expect(_state(gallery)).to_have_text("26 pictures")
    gallery.select_option("#gallery-kind", "")
    gallery.select_option("#gallery-day", label="Nov 14, 2023 (160)")
    expect(_state(gallery)).to_have_text("160 pictures")
    gallery.fill("#gallery-search", "zebra")
    expect(gallery.locator(f"{PANEL} [data-empty]")).to_contain_text("No picture answers to that")


def test_the_large_picture_and_its_neighbours(gallery: Page) -> None:
    _shot(gallery, 0).click()
    expect(_text(gallery)).to_contain_text("red fox, number0")
    gallery.wait_for_function("() => document.querySelector('[data-one-picture]').naturalWidth === 8")
    gallery.keyboard.press("ArrowRight")
    expect(_text(gallery)).to_contain_text("green fox, number1")
    gallery.click("[data-action=one-after]")
    expect(_text(gallery)).to_contain_text("blue fox, number2")
    expect(gallery.locator("[data-one-name]")).to_have_text("3 of 260 · 2.png")
    gallery.keyboard.press("End")
    expect(_text(gallery)).to_contain_text("number259")
    gallery.keyboard.press("Escape")
    expect(_viewer(gallery)).to_be_hidden()
    expect(_shot(gallery, COUNT - 1)).to_be_focused()


def test_the_keyboard_alone(gallery: Page) -> None:
    _shot(gallery, 0).focus()
    for key in ("ArrowRight", "ArrowDown", "Space", "Shift+ArrowRight"):
        gallery.keyboard.press(key)
    expect(gallery.locator("[data-selected]")).to_have_text("2 selected")
    expect(gallery.locator(f'{SHOTS}[aria-selected="true"]')).to_have_count(2)
    gallery.keyboard.press("f")
    expect(gallery.locator("[data-toast-words]")).to_have_text("2 pictures marked as favourite.")
    gallery.keyboard.press("Escape")
    expect(gallery.locator("[data-selection]")).to_be_hidden()
    gallery.click("[data-switch=favourites]")
    expect(_state(gallery)).to_have_text("2 pictures")
    _shot(gallery, 0).focus()
    for left in ("1 picture", ""):
        gallery.keyboard.press("f")
        expect(_state(gallery)).to_have_text(left)
        gallery.evaluate(f"document.querySelector('{SHOTS}')?.focus()")


def test_deleting_has_a_way_back(gallery: Page) -> None:
    _own(gallery, "a lonely lighthouse")
    expect(_shot(gallery, 0)).to_have_attribute("aria-label", re.compile("^a lonely lighthouse, 64 × 64"))
    _shot(gallery, 0).focus()
    gallery.keyboard.press("Delete")
    expect(gallery.locator("[data-toast-words]")).to_have_text("1 picture moved to the trash.")
    expect(_state(gallery)).to_contain_text("260 pictures")
    gallery.click("[data-action=gallery-undo]")
    expect(_state(gallery)).to_contain_text("261 pictures")
    _shot(gallery, 0).click()
    gallery.keyboard.press("Delete")
    expect(_text(gallery)).to_contain_text("number0")  # the next one has come to its place
    gallery.keyboard.press("Escape")
    gallery.click("[data-switch=bin]")
    expect(_state(gallery)).to_have_text("1 picture in the trash")
    _shot(gallery, 0).click(modifiers=["Control"])
    gallery.click("[data-action=many-delete]")
    expect(gallery.locator("[data-action=many-delete]")).to_contain_text("Really delete 1?")
    gallery.click("[data-action=many-delete]")
    expect(gallery.locator(f"{PANEL} [data-empty]")).to_contain_text("Nothing in the trash")


def test_a_folder_of_others_is_not_touched(gallery: Page, pictures: Path) -> None:
    _shot(gallery, 5).focus()
    gallery.keyboard.press("Delete")
    expect(gallery.locator(f"{PANEL} > [data-problem]")).to_contain_text("which is only read")
    assert (pictures / "txt2img-images" / "5.png").is_file()
    gallery.click("[data-action=gallery-folders]")
    expect(gallery.locator("[data-folder-list] li")).to_contain_text("260 pictures")
    gallery.fill("#gallery-folder", str(pictures / "none"))
    gallery.keyboard.press("Enter")
    expect(gallery.locator("[data-folder-problem]")).to_contain_text("cannot be read")
    gallery.keyboard.press("Escape")


def test_selected_pictures_are_saved_as_one_zip(gallery: Page, tmp_path: Path) -> None:
    _shot(gallery, 2).click(modifiers=["Control"])
    _shot(gallery, 6).click(modifiers=["Shift"])
    expect(gallery.locator("[data-selected]")).to_have_text("5 selected")
    with gallery.expect_download() as download:
        gallery.click("[data-action=many-zip]")
    download.value.save_as(tmp_path / "pictures.zip")
    with zipfile.ZipFile(tmp_path / "pictures.zip") as archive:
        assert sorted(archive.namelist()) == [f"{number}.png" for number in range(2, 7)]


@pytest.mark.parametrize(("to", "tab"), [("txt2img", "txt2img"), ("img2img", "img2img"), ("pnginfo", "pnginfo")])
def test_a_picture_is_sent_to_a_tab(gallery: Page, to: str, tab: str) -> None:
    _shot(gallery, 1).click()
    expect(_text(gallery)).to_contain_text("number1")
    gallery.click(f"[data-viewer] [data-action=to-{to}]")
    expect(gallery.locator(f"[data-panel={tab}]")).to_be_visible(timeout=LONG)
    expect(_viewer(gallery)).to_be_hidden()
    if to == "pnginfo":
        expect(gallery.locator("[data-pnginfo-text]")).to_contain_text("green fox, number1")
    else:
        expect(gallery.locator(f"#{tab}-prompt")).to_have_value("green fox, number1", timeout=LONG)


def test_seed_and_prompt_are_copied(gallery: Page) -> None:
    gallery.context.grant_permissions(["clipboard-read", "clipboard-write"])
    _shot(gallery, 7).click()
    expect(_text(gallery)).to_contain_text("number7")
    for what, text in (("prompt", "blue fox, number7"), ("seed", "7")):
        gallery.click(f"[data-action=copy-{what}]")
        gallery.wait_for_function("async (text) => await navigator.clipboard.readText() === text", arg=text)


@pytest.fixture
def phone(open_page: OpenPage, address: str, pictures: Path) -> Page:
    page = open_page(width=390, height=844)
    _add_folder(page, address, pictures)
    return _open(page)


def test_a_phone_is_not_too_narrow(phone: Page) -> None:
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    boxes = [phone.locator(f"{PANEL} {one}").bounding_box() for one in ("#gallery-kind", "[data-switch=bin]")]
    assert all(box and box["x"] + box["width"] <= 390 for box in boxes)
    assert _shot(phone, 2).bounding_box()["x"] > 200  # three in a row


def _touch(page: Page, selector: str, way: list[tuple[int, int]], rest: int = 0) -> None:
    """A finger that goes down on an element's middle, rests, moves by these steps, and goes up."""
    page.evaluate(
        """async ([selector, way, rest]) => {
        const target = document.querySelector(selector);
        const box = target.getBoundingClientRect();
        let [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
        const fire = (type) => target.dispatchEvent(new PointerEvent(type,
            {pointerType: 'touch', isPrimary: true, bubbles: true, cancelable: true, clientX: x, clientY: y}));
        fire('pointerdown');
        await new Promise((ready) => setTimeout(ready, rest));
        for (const [dx, dy] of way) { x += dx; y += dy; fire('pointermove'); }
        fire('pointerup');
        if (rest) fire('click');
        }""",
        [selector, way, rest],
    )


def test_fingers(phone: Page) -> None:
    _touch(phone, f'{SHOTS}[data-index="1"]', [], rest=600)
    expect(phone.locator("[data-selected]")).to_have_text("1 selected")
    phone.click("[data-action=many-none]")
    _shot(phone, 0).click()
    expect(_text(phone)).to_contain_text("number0")
    _touch(phone, "[data-one-stage]", list(itertools.repeat((-20, 1), 6)))
    expect(_text(phone)).to_contain_text("number1")
    _touch(phone, "[data-one-stage]", list(itertools.repeat((20, 1), 6)))
    expect(_text(phone)).to_contain_text("number0")
    _touch(phone, "[data-one-stage]", list(itertools.repeat((1, 30), 6)))
    expect(_viewer(phone)).to_be_hidden()
