"""The script accordion of the tabs that draw: which script varies the request, and that script's options."""

from __future__ import annotations

import re
from html import escape

from modules.extensions.values import Script
from modules.schema.knob import Knob, knobs
from modules.service.scripts import xyz
from modules.service.scripts.axes import all_axes, axes_of
from modules.service.scripts.table import SCRIPTS
from modules.web.ui.form import button, field, fields

_AXES = ("x", "y", "z")


def scripts(form: str) -> str:
    """The accordion for the tab `form`; `static/scripts.js` shows the options of the chosen script."""
    offered = [script for script in SCRIPTS if form in script.tabs]
    options = "".join(
        f'<option value="{slug(script.name)}" data-script-name="{escape(script.name)}">{escape(script.name)}</option>'
        for script in offered
    )
    name = f"{form}-script"
    return (
        '<details class="section" data-section="script"><summary><span>Script</span>'
        '<span class="changed" data-script-words hidden></span></summary>'
        f'<div class="script-choice"><div class="field" data-knob="script" data-kind="str" data-local '
        f'data-default="&quot;&quot;" data-label="Script"><label for="{name}">Script</label>'
        f'<div class="control"><select id="{name}" autocomplete="off"><option value="">None</option>{options}'
        f"</select></div></div></div>{''.join(_options(script, form) for script in offered)}</details>"
    )


def slug(name: str) -> str:
    """A script's name as its fields' names begin."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _options(script: Script, form: str) -> str:
    part = slug(script.name)
    found = knobs(script.options)
    own = _xyz(found, part, form) if script.name == xyz.NAME else ""
    rest = [knob for knob in found.values() if not own or knob.section != "axes"]
    counted = '<p class="hint" data-cells role="status"></p>'
    body = f'<div class="grid">{fields(rest, form=form, part=part, help_line=True)}</div>'
    return f'<div class="script-options" data-script="{part}" hidden>{own}{counted}{body}</div>'


def _xyz(found: dict[str, Knob], part: str, form: str) -> str:
    """An axis a row: what it varies, its values, and a button that writes all values there are."""
    rows = ""
    for axis in _AXES:
        fill = button(f"fill-{axis}", f"Write all values of {axis.upper()}", "paste")
        kind = _axis_picker(field(found[f"{axis}_type"], form=form, part=part), form)
        values = field(found[f"{axis}_values"], form=form, part=part, extra=fill)
        rows += f'<div class="axis" data-axis="{axis}">{kind}{values}</div>'
    swaps = "".join(
        f'<button type="button" class="quiet" data-action="swap-{a}{b}">Swap {a.upper()} and {b.upper()}</button>'
        for a, b in (("x", "y"), ("y", "z"))
    )
    return (
        f'<div class="axes">{rows}<p class="help">Values with commas between, or ranges: 1-5, 1-5(+2), 1-10[5]. '
        f'Quotes keep a comma in a value.</p><div class="axis-swaps">{swaps}</div></div>'
    )


def _axis_picker(markup: str, form: str) -> str:
    """A1111's axes for the tab first, then every other parameter."""
    usual = [axis for axis in axes_of(form) if axis.apply is not None]
    others = [axis for axis in all_axes() if axis.apply is not None and axis not in usual and not axis.tab]

    def group(label: str, axes: list[object]) -> str:
        inside = "".join(
            f'<option data-axis-kind="{axis.kind}">{escape(axis.label)}</option>'  # type: ignore[attr-defined]
            for axis in axes
        )
        return f'<optgroup label="{label}">{inside}</optgroup>'

    groups = group("Usual", list(usual)) + group("Every other parameter", list(others))
    return re.sub(r"<option>.*</option>", lambda _: groups, markup, count=1)
