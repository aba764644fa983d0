"""Extensions on the page: options in the form, the tab that tells of them, scripts in A1111's manner."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import RUN, SECONDS, _free_port, _wait_for_page
from tests.extensions.helpers import SAMPLES, write
from tests.sources import ROOT

pytestmark = pytest.mark.browser

BROKEN = "from modules.extensions import hook\n@hook\ndef denoised(denoised):\n    raise KeyError('oh')\n"


@pytest.fixture(scope="module")
def page(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The page of a server with the samples, and one that fails, in its folder."""
    data: Path = tmp_path_factory.mktemp("data")
    shutil.copytree(SAMPLES, data / "extensions")
    write(data / "extensions", "faulty", engine=BROKEN, extension="", **{"requirements.txt": "no-such-thing-here"})
    port = _free_port()
    command = [sys.executable, "-c", RUN, str(ROOT), "--data-dir", str(data), "--port", str(port), "--threads", "2"]
    with (data / "server.log").open("wb") as sink:
        server = subprocess.Popen(command, cwd=ROOT, stdout=sink, stderr=subprocess.STDOUT)
    try:
        _wait_for_page(f"http://127.0.0.1:{port}", server, data / "server.log")
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        page.goto(f"http://127.0.0.1:{port}")
        page.wait_for_selector("html[data-webui=ready]", timeout=SECONDS * 1000)
        yield page
        page.close()
    finally:
        server.terminate()
        server.wait(SECONDS)


def test_a_script_of_the_page_finds_a1111s_helpers_and_ids(page: Page) -> None:
    expect(page.locator("#hello_from_a1111")).to_have_text("hello")
    assert page.evaluate("gradioApp().querySelector('#txt2img_prompt textarea') !== null")
    assert page.evaluate("document.querySelectorAll('#txt2img_steps input').length") == 2
    assert page.evaluate("getComputedStyle(document.getElementById('hello_from_a1111')).fontWeight") == "500"


def test_dynamic_prompts_show_what_the_words_would_be_and_draw_them(page: Page) -> None:
    form = page.locator('form[data-panel="txt2img"]')
    form.locator('[data-knob="prompt"] textarea').fill("a {red|blue} house")
    form.locator('[data-knob="extensions.dynamic-prompts"] input').check()
    section = form.locator('[data-section="extensions.dynamic-prompts"]')
    expect(section.get_by_text("2 texts, such as")).to_be_visible()
    expect(section.locator("li").first).to_contain_text("house")
    for name, value in {"width": "64", "height": "64", "steps": "2", "batch_count": "2"}.items():
        form.locator(f'[data-knob="{name}"] input[type=number]').fill(value)
    with page.expect_request("**/api/v1/jobs") as sent:
        form.locator('[data-action="generate"]').click()
    assert sent.value.post_data_json["extensions"] == {
        "dynamic-prompts": {"order": "Random", "same": False, "negative": True}
    }
    expect(page.locator('[data-panel="txt2img-output"]')).to_contain_text("Done in", timeout=3 * SECONDS * 1000)
    form.locator('[data-knob="extensions.dynamic-prompts"] input').uncheck()


def test_the_tab_tells_of_all_and_switches_them(page: Page) -> None:
    page.get_by_role("tab", name="Extensions").click()
    item = page.locator('[data-extension="faulty"]')
    expect(item).to_contain_text("Not installed: no-such-thing-here.")
    expect(item.get_by_role("button", name="Install what is missing")).to_be_visible()
    expect(page.locator('[data-extension="menu"]')).to_contain_text("heavy.py imports torch (line 3)")
    switch = page.locator('[data-extension="page-only"]').get_by_role("switch")
    switch.uncheck()
    expect(page.locator("[data-extensions-words]")).to_contain_text("after a restart")
    expect(page.locator('[data-extension="page-only"]').get_by_role("switch")).not_to_be_checked()
    page.get_by_role("tab", name="Signing").click()
    expect(page.get_by_text("How to sign")).to_be_visible()
