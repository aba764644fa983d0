"""The page in other languages: what is shown changes, what is sent, kept and written into pictures does not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from modules.schema.languages import LOCALES
from tests.browser.conftest import OpenPage, wait_until_ready
from tests.browser.reach import show, tabs
from tests.browser.steps import generate, shown_text, value, wait_done, write
from tools.words.gather import UNSHOWN, same_everywhere

pytestmark = pytest.mark.browser

_IDENTIFIER = re.compile(r"[a-z0-9]+(?:_[a-zA-Z0-9]+)*|https://|logSNR")  # names of the API, file formats
PROMPT = "Settings, Gallery, 3 pictures"  # words that are buttons elsewhere on the page


@pytest.fixture(autouse=True)
def _as_the_browser(open_page: OpenPage) -> Iterator[None]:
    yield
    page = open_page()
    page.request.patch(f"{page.url.rstrip('/')}/api/v1/settings/mine", data={"values": {"language": None}})


def _ordered(page: Page) -> tuple[dict[str, Any], str]:
    """What is sent for the same form, and the text of the picture that comes of it."""
    write(page, prompt=PROMPT, steps=2, width=128, height=128, seed=7, sampler="Euler a", scheduler="Karras")
    with page.expect_request(
        lambda request: request.method == "POST" and request.url.endswith("/api/v1/jobs")
    ) as sent:
        generate(page)
    wait_done(page)
    return sent.value.post_data_json, shown_text(page)


def test_the_same_form_gives_the_same_request_and_the_same_picture_text(open_page: OpenPage) -> None:
    english = open_page()
    russian = open_page(locale="ru-RU")
    expect(english.locator("html")).to_have_attribute("lang", "en")
    expect(russian.locator("html")).to_have_attribute("lang", "ru")
    expect(russian.locator("#tab-settings-button")).to_have_text("Настройки")
    assert russian.locator("#txt2img-sampler").input_value() == english.locator("#txt2img-sampler").input_value()
    assert _ordered(russian) == _ordered(english)


def test_the_language_is_changed_at_once_and_kept(open_page: OpenPage) -> None:
    page = open_page()
    write(page, prompt=PROMPT)
    page.select_option("[data-language]", "ru")
    expect(page.locator("#tab-settings-button")).to_have_text("Настройки")
    expect(page.locator("html")).to_have_attribute("lang", "ru")
    assert value(page, "prompt") == PROMPT
    page.reload()
    wait_until_ready(page)
    expect(page.locator("#tab-settings-button")).to_have_text("Настройки")
    expect(page.locator("[data-language]")).to_have_value("ru")
    page.select_option("[data-language]", "pt-BR")
    expect(page.locator("#tab-settings-button")).to_have_text("Configurações")
    page.select_option("[data-language]", "browser")
    expect(page.locator("#tab-settings-button")).to_have_text("Settings")
    expect(page.locator("[data-action=generate]").first).to_have_text("Generate")


_WORDS = {
    "{n} pictures": {"one": "{n} картинка", "few": "{n} картинки", "many": "{n} картинок", "other": "{n} картинки"},
    "{name} is no JSON file.": "{name} - не JSON.",
    "{label} is kept; it counts after a restart.": "{label}: после перезапуска.",
    "Settings": "Настройки",
    "Waiting": "Ожидание",
    "about {time}": "около {time}",
    "{n} s": "{n} с",
}


SENTENCES = (
    ("1 pictures", "1 картинка"),
    ("22 pictures", "22 картинки"),
    ("1,205 pictures", "1\u00a0205 картинок"),
    ("Settings is no JSON file.", "Settings - не JSON."),
    ("Settings is kept; it counts after a restart.", "Настройки: после перезапуска."),
    ("Waiting · about 5 s", "Ожидание · около 5 с"),
    (" Waiting\n", " Ожидание\n"),
    ("Settings are not this", "Settings are not this"),
    ("constructor", "constructor"),
)


def test_sentences_with_values_are_translated_but_no_names(open_page: OpenPage) -> None:
    translate = """async ([words, texts]) => {
        const { Dictionary } = await import("/static/webui/dictionary.js");
        const dictionary = new Dictionary("ru", words);
        return texts.map((text) => dictionary.translate(text)); }"""
    said = open_page().evaluate(translate, [_WORDS, [text for text, _ in SENTENCES]])
    assert said == [shown for _, shown in SENTENCES]


# Texts in sight or read out, in which no letter is of this language; what people wrote is marked as not to translate.
_FOREIGN = """() => {
  const own = /\\p{Script=Cyrillic}/u, words = /[A-Za-z]{3,}/, found = new Set();
  const keep = (text) => words.test(text) && !own.test(text) && found.add(text.trim().replace(/\\s+/g, " "));
  const left = '[translate="no"], textarea, script, style, code, pre, kbd, svg, template';
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode())
    if (!node.parentElement.closest(left)) keep(node.data);
  for (const name of ["title", "placeholder", "aria-label", "alt"])
    for (const one of document.querySelectorAll(`[${name}]`))
      if (!one.closest('[translate="no"]')) keep(one.getAttribute(name));
  return [...found];
}"""


def _with_a_model(route: Route) -> None:
    """Pictures of a model whose name is a word of the page: a name all the same."""
    choices = route.fetch().json()
    choices["models"] = [*choices["models"], {"name": "Settings of old", "count": 260}]
    route.fulfill(json=choices)


def test_no_english_is_left_on_any_tab(open_page: OpenPage) -> None:
    page = open_page(locale="ru-RU")
    page.route("**/api/v1/gallery/choices*", _with_a_model)
    words = json.loads((LOCALES / "ru.json").read_text(encoding="utf-8"))
    same = {text for text, translated in words.items() if text == translated} | same_everywhere() | UNSHOWN
    found = {}
    for tab in tabs(page):
        show(page, tab)
        if tab == "tab-gallery":
            expect(page.locator("#gallery-model")).to_contain_text("Settings of old (260)")
        page.evaluate("() => document.querySelectorAll('details').forEach((one) => (one.open = true))")
        texts = page.evaluate(_FOREIGN)
        found[tab] = [text for text in texts if text not in same and not _IDENTIFIER.fullmatch(text)]
    assert found == {tab: [] for tab in found}


def test_what_people_wrote_is_left_alone(open_page: OpenPage) -> None:
    page = open_page(locale="ru-RU")
    kept = """async () => {
        const box = Object.assign(document.createElement("div"), { innerHTML:
            '<p translate="no">Settings</p><textarea>Settings</textarea><code>Settings</code>'
            + '<b title="Settings">Settings</b>'
            + '<select><option>Settings</option></select>' });
        document.body.append(box);
        await new Promise((resolve) => setTimeout(resolve, 50));
        const [own, area, code, shown] = box.children;
        const select = box.querySelector("select");
        return [own.textContent, area.value, code.textContent, shown.textContent, shown.title, select.value];
    }"""
    assert page.evaluate(kept) == ["Settings", "Settings", "Settings", "Настройки", "Настройки", "Settings"]
