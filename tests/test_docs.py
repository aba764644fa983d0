"""Pages made from declarations say what the declarations say."""

from __future__ import annotations

import re

from modules.docs import PAGE, parameters_page
from modules.flags import ALIASES, NEEDLESS, serve_flags, train_flags, txt2img_flags, user_flags
from modules.schema.knob import knobs
from modules.schema.request import GenerationRequest
from modules.schema.settings import Settings
from tests.sources import ROOT


def test_parameters_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == parameters_page(), "run: python -m modules.docs"


def test_parameters_page_names_every_knob() -> None:
    page = parameters_page()
    for model in (GenerationRequest, Settings):
        assert not [name for name in knobs(model) if f"`{name}`" not in page]


def test_flags_named_in_the_guides_exist() -> None:
    known = {
        flag
        for parser in (serve_flags(), txt2img_flags(), train_flags(), user_flags())
        for flag in parser.spellings()
    }
    for guide in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / guide).read_text(encoding="utf-8")
        named = set(re.findall(r"`(--[a-z0-9-]+)", text)) | set(re.findall(r"webui\.py .*?(--[a-z0-9-]+)", text))
        assert named <= known, f"{guide}: {named - known}"
    assert {alias for names in ALIASES.values() for alias in names} | set(NEEDLESS) <= known


def test_files_named_in_the_guides_exist() -> None:
    for guide in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / guide).read_text(encoding="utf-8")
        links = re.findall(r"\]\(([^)#:]+)\)", text)
        paths = re.findall(r"`((?:modules|tests|docs|benchmarks)/[a-z0-9_/]+\.(?:py|md|txt))`", text)
        assert not [name for name in [*links, *paths] if not (ROOT / name).exists()], guide


def test_every_promise_of_the_security_page_names_tests_that_are_there() -> None:
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", page)
    assert len(named) > 30
    texts = {file: (ROOT / "tests" / file).read_text(encoding="utf-8") for file, _ in named}
    assert not [f"{file}::{name}" for file, name in named if f"def {name}(" not in texts[file]]
    rows = [line for line in page.splitlines() if line.startswith("| ") and line.endswith("|") and "::" not in line]
    assert not [row for row in rows if row.count("|") == 3 and not row.startswith("| Promise |")]
