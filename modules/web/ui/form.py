"""Widgets from knobs: native inputs whose label, help, bounds, step and default come from the parameter's one line.

Native inputs and not Gradio's own widgets: a slider must let a typed number pass its end, a seed has more digits than
JavaScript's numbers, a list must open on a phone and be read by a screen reader, and the form must be filled again
from a picture, a reload or another device without a round trip. `static/fields.js` reads and writes this markup.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from html import escape

from modules.schema.knob import Knob, knobs
from modules.schema.request import GenerationRequest

KNOBS: dict[str, Knob] = knobs(GenerationRequest)

SECTIONS: dict[str, str] = {
    "variation": "Variation",
    "sampler": "Sampler",
    "guidance": "Guidance",
    "prompt": "Prompt",
    "noise": "Noise",
    "model": "Model",
}


def field(knob: Knob, *, form: str = "txt2img", help_line: bool = False, extra: str = "", slider: bool = True) -> str:
    """The labelled widget of one knob.

    `form` starts the ids of the page's tab, `help_line` shows the help text under the widget (else it is a tooltip),
    `extra` is markup beside the widget (buttons), `slider=False` leaves a number without its slider.
    """
    name = f"{form}-{knob.name}"
    control = _control(knob, name, slider)
    shown = f'<p class="help" id="{name}-help">{escape(knob.help)}</p>'
    hidden = f'<span class="unseen" id="{name}-help">{escape(knob.help)}</span>'
    classes = "field toggle" if knob.kind is bool else "field"
    return (
        f'<div class="{classes}" data-knob="{knob.name}" data-kind="{knob.kind.__name__}"{_optional(knob)} '
        f'data-default="{escape(json.dumps(knob.default))}" data-label="{escape(knob.label)}">'
        f'<label for="{name}" title="{escape(knob.help)} Double click: {escape(_default_text(knob))}.">'
        f"{escape(knob.label)}{_unit(knob)}</label>"
        f'<div class="control">{control}{extra}</div>{shown if help_line else hidden}</div>'
    )


def fields(selected: Iterable[Knob], **options: bool) -> str:
    return "".join(field(knob, **options) for knob in selected)


def section(name: str, *, leave_out: Iterable[str] = ()) -> str:
    """An accordion of one section's knobs; its title line says which of them are not at their default."""
    skipped = set(leave_out)
    inside = [k for k in KNOBS.values() if k.section == name and not k.hidden and k.name not in skipped]
    return (
        f'<details class="section" data-section="{name}"><summary><span>{escape(SECTIONS[name])}</span>'
        f'<span class="changed" data-changed></span></summary>'
        f'<div class="grid">{fields(inside, help_line=True)}</div></details>'
    )


def button(action: str, label: str, icon: str, *, text: bool = False) -> str:
    """A button that `static/` finds by its `data-action`; `text=False` shows its icon only."""
    words = f"<span>{escape(label)}</span>" if text else ""
    shape = "tool wide" if text else "tool"
    return (
        f'<button type="button" class="{shape}" data-action="{action}" aria-label="{escape(label)}" '
        f'title="{escape(label)}">{svg(icon)}{words}</button>'
    )


_ICONS: dict[str, str] = {
    "refresh": '<path d="M20 11a8 8 0 1 0-.7 4.5M20 4v7h-7"/>',
    "swap": '<path d="M7 4 3 8l4 4M3 8h14M17 20l4-4-4-4M21 16H7"/>',
    "dice": '<rect x="4" y="4" width="16" height="16" rx="3"/><path d="M9 9h0M15 9h0M12 12h0M9 15h0M15 15h0"/>',
    "recycle": '<path d="M3 12a9 9 0 1 0 3-6.7L3 8M3 3v5h5M12 7v5l3 2"/>',
    "paste": '<path d="M12 4v11M7 11l5 5 5-5M5 20h14"/>',
    "clear": '<path d="m6 6 12 12M18 6 6 18"/>',
    "theme": '<path d="M12 4a8 8 0 1 0 0 16z" fill="currentColor"/><circle cx="12" cy="12" r="8"/>',
    "save": '<path d="M12 4v11M7 10l5 5 5-5M5 20h14"/>',
    "copy": '<rect x="9" y="9" width="11" height="11" rx="2"/><path d="M5 15V6a2 2 0 0 1 2-2h9"/>',
    "folder": '<path d="M3 18V6a1 1 0 0 1 1-1h5l2 2h9a1 1 0 0 1 1 1v10a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1z"/>',
    "send": '<path d="M5 12h13M13 6l6 6-6 6"/>',
    "info": '<circle cx="12" cy="12" r="9"/><path d="M12 11v5M12 8h.01"/>',
    "reset": '<path d="M4 11a8 8 0 1 1 .7 4.5M4 4v7h7"/>',
}


def svg(icon: str) -> str:
    """A line icon of 24 units in the text's colour, hidden from screen readers."""
    return (
        '<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" fill="none" stroke="currentColor" '
        f'stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round">{_ICONS[icon]}</svg>'
    )


def _control(knob: Knob, name: str, slider: bool) -> str:
    described = f'id="{name}" aria-describedby="{name}-help"'
    if knob.choices is not None:
        return _select(knob.choices, described)
    if knob.kind is bool:
        return f'<input type="checkbox" {described} autocomplete="off">'
    if knob.kind in (int, float):
        return _number(knob, described, slider)
    return f'<input type="text" {described} autocomplete="off">'


def _select(choices: Iterable[str], described: str) -> str:
    options = "".join(f"<option>{escape(choice)}</option>" for choice in choices)
    return f'<select {described} autocomplete="off">{options}</select>'


def _number(knob: Knob, described: str, slider: bool) -> str:
    """A typed number may pass the slider's end, so only the hard bounds are on the number input.

    Wide ranges (seeds) get neither slider nor arrows: their digits would be lost in a JavaScript number.
    """
    if _wide(knob):
        return f'<input type="text" inputmode="numeric" {described} autocomplete="off" spellcheck="false">'
    bounds = _attribute("min", knob.minimum) + _attribute("max", knob.maximum)
    hint = ' placeholder="auto"' if knob.optional else ""
    arrows = _attribute("step", knob.step)
    number = f'<input type="number" {described}{bounds}{arrows}{hint} autocomplete="off">'
    if not slider or knob.soft_maximum is None or knob.minimum is None:
        return number
    ends = f'min="{knob.minimum:g}" max="{knob.soft_maximum:g}"{_attribute("step", knob.step)}'
    return f'<input type="range" {ends} tabindex="-1" aria-hidden="true" autocomplete="off">{number}'


def _wide(knob: Knob) -> bool:
    return knob.maximum is not None and knob.maximum > 2**31


def _attribute(name: str, value: float | None) -> str:
    return "" if value is None else f' {name}="{value:g}"'


def _optional(knob: Knob) -> str:
    return " data-optional" if knob.optional else ""


def _unit(knob: Knob) -> str:
    return f' <span class="unit">{escape(knob.unit)}</span>' if knob.unit else ""


def _default_text(knob: Knob) -> str:
    if knob.default is None or knob.default == "":
        return "empty"
    return {True: "on", False: "off"}.get(knob.default, str(knob.default)) if knob.kind is bool else str(knob.default)
