"""The Models tab in a real browser: thousands of files, one looked at, new ones brought in, all by keyboard."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.conftest import RUN, SECONDS, _free_port, _wait_for_page
from tests.browser.reach import SCHEMES, settle, violations
from tests.catalog.model_files import header
from tests.service.gallery.pictures import draw_own
from tests.service.models.hub import Hub, running_hub
from tests.service.test_named import LORA, safetensors
from tests.sources import ROOT

pytestmark = pytest.mark.browser

COUNT = 5000
PANEL = "[data-panel=models]"
ROWS = f"{PANEL} .model-row"
LONG = SECONDS * 1000


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thousands of LoRA, some with words, a broken file, and pictures that two of them were used for."""
    data = tmp_path_factory.mktemp("data")
    for number in range(COUNT):
        safetensors(data / f"models/Lora/{number % 10}/fox-{number:04}.safetensors", LORA)
    (data / "models/Lora/3/fox-0003.json").write_text(json.dumps({"activation text": "silver vixen"}))
    (data / "embeddings").mkdir()
    (data / "embeddings/broken.pt").write_bytes(b"nothing of the kind" * 400)
    for number in range(3):
        prompt = "a <lora:fox-0003:1> b" if number else "plain"
        draw_own(data / "outputs/txt2img-images" / f"{number}.png", prompt=prompt, seed=number, at=1.7e9 + number)
    return data


@pytest.fixture(scope="module")
def address(data: Path) -> Iterator[str]:
    port = _free_port()
    command = [sys.executable, "-c", RUN, str(ROOT), "--data-dir", str(data), "--port", str(port), "--threads", "2"]
    with (data / "server.log").open("wb") as sink:
        server = subprocess.Popen(command, cwd=ROOT, stdout=sink, stderr=subprocess.STDOUT)
    try:
        _wait_for_page(f"http://127.0.0.1:{port}", server, data / "server.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(SECONDS)


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running_hub() as hub:
        big = {"lora_unet_x.lora_up.weight": (1024, 1024), "lora_unet_x.lora_down.weight": (1024, 64)}
        hub.files["wolf.safetensors"] = header(big) + bytes(2 * 1024 * (1024 + 64))
        yield hub


def _opened(browser: Browser, address: str, width: int = 1440, height: int = 900, scheme: Any = "light") -> Page:
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    page.goto(address)
    page.wait_for_selector("html[data-webui=ready]", state="attached", timeout=LONG)
    page.evaluate("import('/static/webui/dom.js').then((dom) => dom.openTab('tab-models'))")
    page.wait_for_selector(f"{PANEL}[data-ready]", timeout=LONG)
    return page


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    page = _opened(browser, address)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    yield page
    page.close()
    assert not faults


def _state(page: Page) -> Any:
    return page.locator(f"{PANEL} [data-models-state]")


def _find(page: Page, words: str) -> Any:
    """The first row that answers to a search that finds just one."""
    page.fill("[data-models-search]", words)
    expect(_state(page)).to_have_text("1 of 5,003 files", timeout=LONG)
    return page.locator(ROWS).first


def test_thousands_of_files_are_there_at_once_and_only_those_in_sight_are_drawn(page: Page) -> None:
    expect(_state(page)).to_have_text("5,002 files")
    assert 5 < page.locator(ROWS).count() < 60
    page.locator("[data-models-frame]").evaluate("(frame) => { frame.scrollTop = frame.scrollHeight }")
    expect(page.locator(ROWS).last).to_contain_text("miniature.safetensors", timeout=LONG)
    page.fill("[data-models-search]", "silver")
    expect(page.locator(ROWS)).to_have_count(1, timeout=LONG)
    expect(page.locator(ROWS)).to_contain_text("silver vixen")
    page.fill("[data-models-search]", "nothing is called so")
    expect(page.locator("[data-models-empty]")).to_have_text("No model file answers to that.", timeout=LONG)
    page.fill("[data-models-search]", "")
    page.select_option("[data-models-order]", "size")
    expect(page.locator(ROWS).first).to_contain_text("miniature", timeout=LONG)
    page.locator("[data-action=models-broken]").click()
    expect(page.locator(ROWS)).to_have_count(1, timeout=LONG)
    expect(page.locator(ROWS)).to_contain_text("broken.pt is not a model file")


def test_everything_by_keyboard(page: Page, data: Path) -> None:
    search = page.locator("[data-models-search]")
    search.focus()
    page.keyboard.type("fox-001")
    expect(_state(page)).to_have_text("10 of 5,002 files", timeout=LONG)
    page.keyboard.press("ArrowDown")
    expect(page.locator(ROWS).first).to_be_focused()
    page.keyboard.press("ArrowDown")
    row = page.locator(ROWS).nth(1)
    expect(row).to_be_focused()
    page.keyboard.press("Enter")
    dialog = page.locator("[data-model-details]")
    expect(dialog).to_be_visible()
    expect(dialog).to_contain_text("fox-0011")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(row).to_be_focused()
    page.keyboard.press("F2")
    expect(page.locator("[data-rename]")).to_be_focused()
    page.keyboard.press("Escape")
    file = data / "models/Lora/1/fox-0011.safetensors"
    page.keyboard.press("Delete")
    expect(page.locator("[data-models-toast-words]")).to_have_text(
        "fox-0011.safetensors is in the trash.", timeout=LONG
    )
    assert not file.exists()
    expect(_state(page)).to_have_text("9 of 5,001 files")
    page.locator(ROWS).first.focus()
    page.keyboard.press("Control+z")
    expect(page.locator("[data-models-toast-words]")).to_have_text("fox-0011.safetensors is back.", timeout=LONG)
    assert file.exists()


def test_a_file_is_noted_hashed_renamed_and_its_pictures_found(page: Page, data: Path) -> None:
    page.fill("[data-models-search]", "silver")
    expect(page.locator(ROWS)).to_have_count(1, timeout=LONG)
    page.locator(ROWS).first.click()
    dialog = page.locator("[data-model-details]")
    dialog.get_by_label("Notes").fill("My favourite")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_text("Saved.")).to_be_visible(timeout=LONG)
    dialog.get_by_role("button", name="Compute its hash").click()
    expect(page.locator(f"{ROWS} .model-hash").first).to_have_text(_digits(data), timeout=LONG)
    page.locator(ROWS).first.click()
    expect(dialog).to_contain_text("SHA256")
    dialog.get_by_label("File name").fill("vixen")
    dialog.get_by_role("button", name="Rename").click()
    expect(dialog.get_by_role("heading", level=2)).to_have_text("vixen", timeout=LONG)
    assert json.loads((data / "models/Lora/3/vixen.json").read_text())["notes"] == "My favourite"
    dialog.get_by_label("File name").fill("fox-0003")
    dialog.get_by_role("button", name="Rename").click()
    expect(dialog.get_by_role("heading", level=2)).to_have_text("fox-0003", timeout=LONG)
    dialog.get_by_role("button", name="Pictures that name it (2)").click(timeout=LONG)
    gallery = page.locator("[data-panel=gallery]")
    expect(gallery.locator("[data-state]")).to_contain_text("2 pictures", timeout=LONG)
    expect(gallery.locator("[data-search]")).to_have_value('"lora:fox-0003"')


@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing_in_its_dialogs(browser: Browser, address: str, scheme: str) -> None:
    page = _opened(browser, address, scheme=scheme)
    found = {}
    page.locator(ROWS).first.click()
    for name, opener in {"one file": None, "new files": "models-add", "the trash": "models-trash"}.items():
        if opener:
            page.click(f"[data-action={opener}]")
        expect(page.locator("dialog[open]")).to_be_visible()
        settle(page, "dialog[open]")
        found[name] = violations(page, "dialog[open]")
        page.keyboard.press("Escape")
        expect(page.locator("dialog[open]")).to_have_count(0)
    page.close()
    assert found == {name: [] for name in found}


def test_work_that_is_done_before_the_page_looks_is_seen_too(page: Page) -> None:
    def answer_late(route: Route) -> None:
        answer = route.fetch()
        deadline = time.monotonic() + SECONDS
        while any(
            task["state"] in ("waiting", "running")
            for task in page.request.get(route.request.url.replace("/hash", "/tasks")).json()
        ):
            assert time.monotonic() < deadline
        route.fulfill(response=answer)

    page.route("**/models/hash", answer_late)
    page.fill("[data-models-search]", "fox-0044")
    expect(page.locator(ROWS)).to_have_count(1, timeout=LONG)
    page.locator(ROWS).first.click()
    page.locator("[data-model-details]").get_by_role("button", name="Compute its hash").click()
    expect(page.locator(f"{ROWS} .model-hash").first).to_have_text(re.compile("[0-9a-f]{10}"), timeout=LONG)


def _digits(data: Path) -> Any:
    return hashlib.sha256((data / "models/Lora/3/fox-0003.safetensors").read_bytes()).hexdigest()[:10]


def test_a_file_is_sent_and_a_wrong_one_is_refused(page: Page, data: Path) -> None:
    page.locator("[data-action=models-add]").click()
    dialog = page.locator("[data-models-adding]")
    dialog.get_by_role("button", name="Add it").click()
    expect(dialog.get_by_role("alert")).to_have_text("Choose a file first.")
    dialog.locator("[data-models-files]").set_input_files(
        {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"a list"}
    )
    dialog.get_by_role("button", name="Add it").click()
    expect(dialog.get_by_role("alert")).to_contain_text("must end in")
    wrong = {"name": "wrong.safetensors", "mimeType": "", "buffer": b"<html>log in</html>"}
    right = {"name": "sent.safetensors", "mimeType": "", "buffer": header(LORA) + bytes(32)}
    dialog.locator("[data-models-files]").set_input_files([wrong, right])
    dialog.get_by_role("button", name="Add it").click()
    expect(dialog).to_be_hidden()
    task = page.locator(".model-task", has_text="wrong.safetensors")
    expect(task).to_contain_text("is a web page, not a model", timeout=LONG)
    assert "sent.safetensors" in _find(page, "sent.safe").inner_text()
    task.get_by_role("button", name="Put away").click()
    expect(task).to_have_count(0)
    page.locator(ROWS).first.focus()
    page.keyboard.press("Delete")
    expect(_state(page)).to_have_text("0 of 5,002 files", timeout=LONG)
    page.locator("[data-action=models-trash]").click()
    item = page.locator("[data-models-bin] li", has_text="sent.safetensors")
    item.get_by_role("button", name="Delete for good").click()
    item.get_by_role("button", name="Really delete it?").click()
    expect(item).to_have_count(0, timeout=LONG)
    assert not [*data.rglob("sent.safetensors")]


def test_a_download_is_paused_continued_and_checked(page: Page, hub: Hub, data: Path) -> None:
    hub.slow = 0.1
    page.locator("[data-action=models-add]").click()
    dialog = page.locator("[data-models-adding]")
    dialog.get_by_label("From a link").check()
    dialog.get_by_label("Link", exact=True).fill("not a link")
    dialog.get_by_role("button", name="Add it").click()
    expect(dialog.get_by_role("alert")).to_contain_text("Paste the link of a file")
    dialog.get_by_label("Link", exact=True).fill(f"{hub.address}/hub/wolf.safetensors")
    dialog.get_by_role("button", name="Add it").click()
    task = page.locator(".model-task", has_text="wolf.safetensors")
    expect(task).to_contain_text("wolf.safetensors", timeout=LONG)
    expect(task.get_by_role("progressbar")).to_be_visible()
    task.get_by_role("button", name="Pause").click()
    expect(task).to_contain_text("Paused", timeout=LONG)
    hub.slow = 0
    task.get_by_role("button", name="Continue").click()
    expect(task).to_contain_text("its sha256 is right", timeout=LONG)
    assert (data / "models/Lora/wolf.safetensors").read_bytes() == hub.files["wolf.safetensors"]
    _find(page, "wolf").focus()
    page.keyboard.press("Delete")
    expect(_state(page)).to_have_text("0 of 5,002 files", timeout=LONG)


def test_on_a_phone_nothing_is_wider_than_the_screen(browser: Browser, address: str) -> None:
    page = _opened(browser, address, 390, 844)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator(ROWS).first.click()
    box = page.locator("[data-model-details]").bounding_box()
    assert box is not None and box["x"] >= 0 and box["width"] <= 390
    page.keyboard.press("Escape")
    page.locator("[data-action=models-add]").click()
    box = page.locator("[data-models-adding]").bounding_box()
    assert box is not None and box["x"] >= 0 and box["width"] <= 390
    page.close()


def test_who_is_not_the_owner_sees_no_buttons_that_change_the_machine(page: Page) -> None:
    page.evaluate("document.documentElement.dataset.role = 'user'")
    for name in ("models-add", "models-trash", "models-hash"):
        expect(page.locator(f"[data-action={name}]")).to_be_hidden()
    page.locator(ROWS).first.click()
    dialog = page.locator("[data-model-details]")
    expect(dialog.get_by_role("button", name="Put into the prompt")).to_be_visible()
    for name in ("Rename", "Delete", "Save", "Compute its hash"):
        expect(dialog.get_by_role("button", name=name, exact=True)).to_be_hidden()
