"""All that is to be translated, from every kind of source."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr

from modules.catalog.model_places import PLACES
from modules.schema.samplers import SAMPLERS, SCHEDULES
from modules.schema.settings import Settings
from modules.web.ui import page
from modules.web.ui.output import EXAMPLES
from tools.words import javascript_sentences, markup, python_sentences

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "modules" / "web" / "static"

# What speaks to a terminal, to the log or to programs of A1111's API alone: it stays English.
_ENGLISH = re.compile(
    r"modules/(?:(?:flags|cli|bootstrap|terminal|training_command|user_command|docs|version)\.py|web/ui/|web/api_page"
    r"|web/(?:server|strict_json|origins)\.py|service/(?:node|shipping|cluster|private_file)\.py|extensions/a1111/names/"
    r"|web/api/(?:mapping|parts|scripts|options|option_table|control|cards|generation|train|listing|internal)\.py)"
)
# Words that only programs read.
UNSHOWN = {
    "alt", "course", "page", "option", "lora", "hypernet", "link", "open", "pt", "png", "safetensors", "json", "ntfy",
    "KiB", "MiB", "GiB", "VAE", "GFPGAN", "CodeFormer", "px", "txt2img", "img2img", "LoRA", "%",
    "Esc", "front-end extension failed", "a front-end extension failed", "debug", "info",
    "Ctrl+Enter", "Alt+Enter",
}  # fmt: skip
_SQL = re.compile(r"\b(?:SELECT|INSERT|UPDATE|DELETE|CREATE|PRAGMA|ORDER BY)\b")
# Names that are the same in every language, and units.
_NAMES = {
    "px", "MiB", "GiB", "KiB", "ms", "GFPGAN", "CodeFormer", "BLIP", "CPU", "GPU", "NV", "CLIP", "VAE", "LoRA", "PNG",
    "Lanczos", "Nearest", "ESRGAN", "txt2img", "img2img", "ENSD", "DDIM", "Eta", "UniPC", "Stable Diffusion",
    "Stable Diffusion web UI", "AUTOMATIC1111", "TensorBoard", "Adam", "AdamW", "Lion", "Prodigy", "JSON", "CFG",
}  # fmt: skip
_TECHNICAL_CHOICE = re.compile(
    r"[a-z0-9_+.-]*[0-9_][a-z0-9_+.-]*|[a-z]{1,3}|jpeg|webp|safetensors|sdpa|xformers|accounts"
)

_TECHNICAL = re.compile(r"[a-z0-9]*[0-9_][a-z0-9_]*")

TEMPLATES = ("{help} Double click: {value}.", "on", "off", "empty", "auto")
"""Sentences that are put together from others that are translated by themselves."""
_KINDS = tuple(place.label for place in PLACES.values())


def gathered() -> dict[str, list[str]]:
    """Every text, in the order of the files that have it, with the names of those files."""
    found: dict[str, list[str]] = {}
    for place, text in _everything():
        clean = " ".join(text.split())
        if clean in UNSHOWN or clean in EXAMPLES:
            continue
        places = found.setdefault(clean, [])
        if place not in places:
            places.append(place)
    return found


def _everything() -> Iterator[tuple[str, str]]:
    yield from (("modules/web/ui", text) for text in TEMPLATES)
    yield from (("modules/web/ui", text) for text in page_words())
    yield from (("modules/catalog/model_places.py", text) for text in _KINDS if text not in _NAMES)
    for name in ("login.html", "starting.html"):
        text = (STATIC / name).read_text(encoding="utf-8")
        yield from ((f"modules/web/static/{name}", words) for words in markup.words_of(text) if words not in _NAMES)
    for path in _files("modules/web/static/*.js", "extensions-builtin/*/javascript/*"):
        yield from ((_name(path), text) for text in javascript_sentences.sentences(path.read_text(encoding="utf-8")))
    for path in _files("modules/**/*.py", "extensions-builtin/**/*.py"):
        yield from ((_name(path), text) for text in _python(path))
    for path in _files("extensions-builtin/*/extension.toml"):
        facts = tomllib.loads(path.read_text(encoding="utf-8"))
        yield from ((_name(path), facts[key]) for key in ("title", "description") if facts.get(key))


def _python(path: Path) -> Iterator[str]:
    tree = python_sentences.parsed(path)
    if not _ENGLISH.match(_name(path)):
        yield from (text for text in python_sentences.sentences(tree) if not _SQL.search(text))
    if not _name(path).startswith("modules/web/api/"):
        names = same_everywhere()
        for text in python_sentences.knob_texts(tree):
            if text and text not in names and not _TECHNICAL_CHOICE.fullmatch(text):
                yield text


def page_words() -> Iterator[str]:
    """The page as it is built: its tabs, and the words of all its markup."""
    app: Any = SimpleNamespace(settings=Settings(), extensions=None)
    names = same_everywhere()
    double = re.compile(r"(.*) Double click: .*\.", re.DOTALL)
    for block in page.build(app).blocks.values():
        texts = [block.label] if isinstance(block, gr.Tab) else []
        if isinstance(block, gr.HTML):
            texts = markup.words_of(str(block.value or ""))
        for text in texts:
            known = double.fullmatch(text or "")
            bare = known[1] if known else text
            if bare and bare not in names and not _TECHNICAL.fullmatch(bare):
                yield bare


def same_everywhere() -> set[str]:
    """What is called the same in every language."""
    entries = [*SAMPLERS, *(one for one in SCHEDULES if one.label != "Automatic")]
    return _NAMES | {entry.label for entry in entries}


def _files(*patterns: str) -> list[Path]:
    found = [path for pattern in patterns for path in sorted(ROOT.glob(pattern))]
    return [path for path in found if path.is_file() and "__pycache__" not in path.parts]


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()
