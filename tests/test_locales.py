"""Every language is whole: no text without a translation, no stale one, no placeholder lost; and the gathering."""

from __future__ import annotations

import ast
import json
import multiprocessing
import re
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from modules.extensions.found import Found, read_folder
from modules.schema.languages import ENGLISH, LANGUAGES, LOCALES
from modules.service.languages import Languages, as_script, language_of
from tests.sources import ROOT
from tools.words import javascript_sentences, markup, python_sentences
from tools.words.catalogue import complaints, read
from tools.words.gather import gathered

OTHERS = [language for language in LANGUAGES if language != ENGLISH]
GUIDES = ROOT / "docs"


@pytest.fixture(scope="module")
def texts() -> dict[str, list[str]]:
    """All texts of the sources, with their places; gathered where no test has loaded an extension."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(gathered).result()


def test_the_english_file_has_every_text_of_the_sources(texts: dict[str, list[str]]) -> None:
    assert complaints(ENGLISH, read(LOCALES / "en.json"), texts) == [], "run: python -m tools.words"
    assert len(texts) > 1500


@pytest.mark.parametrize("language", OTHERS)
def test_every_text_is_translated(language: str, texts: dict[str, list[str]]) -> None:
    assert complaints(language, read(LOCALES / f"{language}.json"), texts) == []


def test_the_languages_of_the_product_are_there() -> None:
    assert {"en", "pt-BR", "ru"} <= set(LANGUAGES)


# --- what is wrong with a file ---


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({}, "untranslated: {n} pictures"),
        ({"{n} pictures": "{n} картинок", "Old": "Старое"}, "stale"),
        ({"{n} pictures": "картинок"}, "placeholders differ"),
        ({"{n} pictures": "{m} картинок"}, "placeholders differ"),
        ({"{n} pictures": " "}, "empty"),
        (
            {"{n} pictures": {"one": "{n} картинка", "other": "{n} картинок"}},
            "plural forms ['few', 'many'] are missing",
        ),
        ({"{n} pictures": ["{n} картинок"]}, "neither a text nor plural forms"),
    ],
)
def test_what_is_wrong_is_told(words: dict, said: str) -> None:
    told = complaints("ru", words, ["{n} pictures"])
    assert any(said in line for line in told), told


def test_what_is_left_in_english_is_told_but_for_names() -> None:
    texts = ["Save every picture at once", "ESRGAN"]
    assert complaints("ru", {text: text for text in texts}, texts) == ["left in English: Save every picture at once"]


def test_good_plural_forms_are_good() -> None:
    forms = {"one": "{n} картинка", "few": "{n} картинки", "many": "{n} картинок", "other": "{n} картинки"}
    assert complaints("ru", {"{n} pictures": forms}, ["{n} pictures"]) == []


# --- what is found ---

_PYTHON = '''
"""Not this sentence of documentation."""
class Mine(Frozen):
    shape: Literal["round corner", "flat"] = knob("flat", "Shape of it", "What it looks like.", unit="angles")

def work(path, broken, many):
    _LOG.warning("Nobody reads this sentence but the log.")
    raise BadRequest(f"The file {path.name!r} is {'broken' if broken else 'gone'}, and "
                     f"{path.name} too.", "field")
'''


def test_a_new_knob_and_a_new_error_are_found() -> None:
    tree = ast.parse(_PYTHON)
    assert list(python_sentences.knob_texts(tree)) == [
        "Shape of it",
        "What it looks like.",
        "angles",
        "round corner",
        "flat",
    ]
    assert list(python_sentences.sentences(tree)) == [
        "What it looks like.",
        "The file {name} is broken, and {name2} too.",
        "The file {name} is gone, and {name2} too.",
    ]


_JAVASCRIPT = r"""
// A comment with "Words in it".
import { t } from "./words.js";
one("[data-x] Button Text").textContent = "Shown at once";
make("p", { className: "second small", title: `Delete ${run.name}` }, t("{n} files, {m} left", { n, m }));
const rest = text.replace(/"Not this"/g, "").split("Not That");
say(box, busy ? `Now ${working ? "drawing" : "waiting"} here` : "");
"""


def test_new_words_of_a_script_are_found() -> None:
    assert list(javascript_sentences.sentences(_JAVASCRIPT)) == [
        "Shown at once",
        "Delete {name}",
        "{n} files, {m} left",
        "Now drawing here",
        "Now waiting here",
    ]


def test_new_words_of_markup_are_found() -> None:
    page = (
        '<p title="A tooltip">Some <b>bold words</b></p><input placeholder="Find it"><code>not code</code>'
        '<span translate="no" title="not.png">my file</span><script>"Not this"</script>'
    )
    assert markup.words_of(page) == ["A tooltip", "Some", "bold words", "Find it"]


# --- choosing and merging ---


@pytest.mark.parametrize(
    ("choice", "accepted", "language"),
    [
        ("browser", "ru-RU,ru;q=0.9,en;q=0.8", "ru"),
        ("browser", "pt-PT,pt;q=0.9", "pt-BR"),
        ("browser", "pt", "pt-BR"),
        ("browser", "de;q=0.9,ru;q=0.3,en;q=0.5", "en"),
        ("browser", "de-DE,fr", "en"),
        ("browser", "ru;q=0", "en"),
        ("browser", "", "en"),
        ("browser", ";;q=x,,*", "en"),
        ("ru", "pt-BR", "ru"),
        ("en", "ru", "en"),
        ("gone", "ru", "ru"),
    ],
)
def test_the_language_is_the_chosen_one_or_the_browsers(choice: str, accepted: str, language: str) -> None:
    assert language_of(choice, accepted, ("en", "pt-BR", "ru")) == language


class _Extensions:
    def __init__(self, *folders: Path) -> None:
        self.active: list[Found] = [
            found for folder in folders if (found := read_folder(folder, "folder")) is not None
        ]


def _extension(folder: Path, content: str) -> Path:
    (folder / "locales").mkdir(parents=True)
    (folder / "locales" / "ru.json").write_text(content, encoding="utf-8")
    return folder


def test_words_of_extensions_are_added_and_a_broken_file_is_told(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "ru.json").write_text('{"Save": "Сохранить"}', encoding="utf-8")
    good = _extension(tmp_path / "good", '{"Save": "Другое", "Wildcards": "Шаблоны"}')
    broken = _extension(tmp_path / "broken", '{"Save": 5}')
    told: list[tuple[str, str]] = []
    languages = Languages(_Extensions(good, broken), lambda name, sentence: told.append((name, sentence)), own)
    assert languages.words("ru") == {"Save": "Сохранить", "Wildcards": "Шаблоны"}
    assert [name for name, _ in told] == ["broken"]
    assert "ru.json" in told[0][1]


def test_a_changed_file_is_read_again_and_a_broken_one_is_english(tmp_path: Path) -> None:
    file = tmp_path / "ru.json"
    file.write_text('{"Save": "Сохранить"}', encoding="utf-8")
    languages = Languages(folder=tmp_path)
    assert languages.say("ru", "Save") == "Сохранить"
    file.write_text('{"Save": "Сохранить это", "Wait {n} s.": "Подождите {n} с."}', encoding="utf-8")
    assert languages.say("ru", "Save") == "Сохранить это"
    assert languages.say("ru", "Wait {n} s.", n=5) == "Подождите 5 с."
    file.write_text("{", encoding="utf-8")
    assert languages.say("ru", "Save") == "Save"


def test_a_page_is_translated_but_not_its_scripts(tmp_path: Path) -> None:
    (tmp_path / "ru.json").write_text('{"Save": "A & <b>", "Find": "Найти"}', encoding="utf-8")
    page = '<html lang="en"><script>const a = ">Save<";</script><p>\n Save\n</p><input placeholder="Find"></html>'
    said = Languages(folder=tmp_path).page(page, "ru")
    assert '<html lang="ru">' in said
    assert 'const a = ">Save<"' in said
    assert "<p>\n A &amp; &lt;b&gt;\n</p>" in said
    assert 'placeholder="Найти"' in said


def test_the_script_of_words_cannot_be_left_by_a_text() -> None:
    script = as_script("ru", {"a": "</script><b>"})
    assert "</script>" not in script
    assert json.loads(script.partition(" = ")[2].removesuffix(";"))["words"] == {"a": "</script><b>"}


# --- the guide ---


def _shape(text: str) -> list[str]:
    """What of a guide is the same in every language: levels of headings, rows of tables, items, blocks of code."""
    kinds = {
        "#": re.compile(r"^(#+) "),
        "|": re.compile(r"^(\|)"),
        "-": re.compile(r"^(- |\d+\. )"),
        "`": re.compile(r"^(```)"),
    }
    return [found[1].strip() for line in text.splitlines() for kind in kinds.values() if (found := kind.match(line))]


@pytest.mark.parametrize("language", OTHERS)
def test_the_training_guide_is_the_same_in_every_language(language: str) -> None:
    english = (GUIDES / "training.md").read_text(encoding="utf-8")
    other = (GUIDES / f"training.{language}.md").read_text(encoding="utf-8")
    assert _shape(other) == _shape(english)
    links = re.compile(r"\]\(([^)#]+)")
    assert sorted(links.findall(other)) == sorted(links.findall(english))
    assert re.findall(r"```.*?```", other, re.DOTALL) == re.findall(r"```.*?```", english, re.DOTALL)
