"""`python -m modules.docs` writes docs/parameters.md from the knobs, and the hooks into docs/extensions.md; a test
says when they are out of date."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from modules.extensions.hooks import GROUPS
from modules.schema.knob import Knob, knobs
from modules.schema.parts import PARTS
from modules.schema.registry import Named
from modules.schema.request import GenerationRequest
from modules.schema.samplers import SAMPLERS, SCHEDULES
from modules.schema.settings import Settings

PAGE = Path(__file__).resolve().parent.parent / "docs" / "parameters.md"

INTRODUCTION = """# Parameters

Written by `python -m modules.docs` from the declarations in `modules/schema`; do not edit by hand.

Parameters of a picture decide its pixels: they are in the form, in `python webui.py txt2img` (as flags), in the HTTP
API (by name) and in the text inside each picture (under the last column's name). Settings decide everything else:
they are flags of `python webui.py` or keys of `config.json` in the data folder; a flag wins.
"""


def parameters_page() -> str:
    """The whole page as Markdown."""
    return "\n".join(
        [
            INTRODUCTION,
            "## Parameters of a picture",
            "",
            *_table(knobs(GenerationRequest).values(), "In the picture's text", lambda knob: knob.infotext or ""),
            "",
            *_parts(),
            "## Settings",
            "",
            *_table(knobs(Settings).values(), "Section", lambda knob: knob.section),
            "",
            "## Samplers",
            "",
            *_rows(("Name", "Also", "Automatic schedule"), (
                (s.label, _also(s), SCHEDULES.get(s.schedule).label) for s in SAMPLERS
            )),
            "",
            "## Schedule types",
            "",
            *_rows(("Name", "Also"), ((s.label, _also(s)) for s in SCHEDULES)),
            "",
        ]
    )  # fmt: skip


def _parts() -> list[str]:
    """A table for each optional part of a request."""
    lines: list[str] = []
    for name, part in PARTS.items():
        table = _table(knobs(part).values(), "In the picture's text", lambda knob: knob.infotext or "")
        about = (part.__doc__ or "").strip()
        lines += [f"### `{name}`", "", about, "", *table, ""]
    return lines


def _also(entry: Named) -> str:
    return ", ".join(dict.fromkeys((entry.name, *entry.aliases)))


def _table(wanted: Iterable[Knob], last_title: str, last: Callable[[Knob], str]) -> list[str]:
    return _rows(
        ("Label", "Name", "Flag", "Default", "Values", "What it does", last_title),
        ((k.label, f"`{k.name}`", _flag(k), _default(k), _values(k), k.help, last(k)) for k in wanted),
    )


PICTURE_FLAGS = {"--picture": "`--image`", "--mask": "`--mask`", "--hires-picture": "`--hires-image`"}
"""Flags of pictures, which are files on the command line and names of their content elsewhere."""


def _flag(knob: Knob) -> str:
    if knob.flag in PICTURE_FLAGS:
        return PICTURE_FLAGS[knob.flag]
    if knob.name == "prompt":
        return "the text itself"
    return f"`{knob.flag}`" if knob.kind is not bool else f"`{knob.flag}`, `--no{knob.flag[1:]}`"


def _default(knob: Knob) -> str:
    if knob.kind is bool:
        return "on" if knob.default else "off"
    return "" if knob.default in (None, "") else str(knob.default)


def _values(knob: Knob) -> str:
    if knob.kind is bool:
        return "on, off"
    if knob.choices:
        return ", ".join(knob.choices) if len(knob.choices) <= 8 else "see below"
    if knob.minimum is None or knob.maximum is None:
        return {"str": "text"}.get(knob.kind.__name__, knob.kind.__name__)
    unit = f" {knob.unit}" if knob.unit else ""
    return f"{knob.minimum:g} to {_plain(knob.maximum)}{unit}"


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else f"{number:g}"


def _rows(titles: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """A Markdown table."""
    lines = [titles, ("---",) * len(titles), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


EXTENSIONS_PAGE = PAGE.with_name("extensions.md")
_HOOKS = re.compile(r"(<!-- hooks -->\n).*(<!-- /hooks -->)", re.DOTALL)


def extensions_page(text: str) -> str:
    """The page about extensions with its part about the hooks written anew."""
    return _HOOKS.sub(lambda found: f"{found[1]}{_all_hooks()}{found[2]}", text)


def _all_hooks() -> str:
    lines: list[str] = []
    for group, members in GROUPS.items():
        lines += ["", f"### {group}", ""]
        for one in members:
            names = ", ".join(inspect.signature(one).parameters)
            words = " ".join((one.__doc__ or "").split())
            lines += [f"- `{one.__name__}({names})`: {words}"]
    return "\n".join([*lines, "", ""])


if __name__ == "__main__":
    EXTENSIONS_PAGE.write_text(extensions_page(EXTENSIONS_PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    PAGE.write_text(parameters_page(), encoding="utf-8")
