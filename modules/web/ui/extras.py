"""The Extras tab: pictures in (one, several or a folder), enlarged, with their faces restored, captioned out."""

from __future__ import annotations

from modules.schema.extras import ExtrasRequest
from modules.schema.knob import knobs
from modules.web.ui.form import fields
from modules.web.ui.source import source
from modules.web.ui.tab import run_bar, workspace

KNOBS = knobs(ExtrasRequest)
_FORM = "extras"
_TILES = ("tile", "tile_overlap")


def build() -> None:
    """Add the tab's content to the Blocks being built."""
    sections = _tiles() + _faces() + _caption()
    workspace(_FORM, f"{source(_FORM)}{run_bar(again=False)}{_upscale()}<div class='sections'>{sections}</div>")


def _upscale() -> str:
    upscale = [knob for knob in KNOBS.values() if knob.section == "upscale" and knob.name not in _TILES]
    return f'<div class="grid pairs" data-upscale>{fields(upscale, form=_FORM)}</div>'


def _tiles() -> str:
    return _section("tiles", "Tiles", fields([KNOBS[name] for name in _TILES], form=_FORM, help_line=True))


def _faces() -> str:
    faces = fields([knob for knob in KNOBS.values() if knob.section == "faces"], form=_FORM, help_line=True)
    return _section("faces", "Face restoration", faces, '<p class="hint" data-no-faces role="status" hidden></p>')


def _caption() -> str:
    caption = fields([KNOBS["captioner"], KNOBS["captioner_2"]], form=_FORM, help_line=True)
    note = '<p class="hint" data-no-captioner role="status" hidden></p>'
    return _section("caption", "Caption", caption, note)


def _section(name: str, title: str, inside: str, before: str = "") -> str:
    return (
        f'<details class="section" data-section="{name}"><summary><span>{title}</span>'
        f'<span class="changed" data-changed></span></summary>{before}<div class="grid">{inside}</div></details>'
    )
