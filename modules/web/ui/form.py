"""Widgets from knobs: native inputs whose label, help, bounds, step and default come from the parameter's one line.

Native inputs and not Gradio's own widgets: a slider must let a typed number pass its end, a seed has more digits than
JavaScript's numbers, a list must open on a phone and be read by a screen reader, and the form must be filled again
from a picture, a reload or another device without a round trip. `static/fields.js` reads and writes this markup.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from html import escape

from modules.schema.captioning import NONE as NO_CAPTIONER
from modules.schema.knob import Knob, knobs
from modules.schema.parts import LATENT_UPSCALERS, PARTS, SAME_CHECKPOINT
from modules.schema.request import GenerationRequest
from modules.web.ui.icons import svg

KNOBS: dict[str, Knob] = knobs(GenerationRequest)
PART_KNOBS: dict[str, dict[str, Knob]] = {part: knobs(model) for part, model in PARTS.items()}

SECTIONS: dict[str, str] = {
    "variation": "Variation",
    "sampler": "Sampler",
    "guidance": "Guidance",
    "prompt": "Prompt",
    "noise": "Noise",
    "model": "Model",
}

# Choices that are files: the list that `static/lists.js` fills in, and what stands before the files. By the knob's
# path, or by a widget's id where it is to differ.
_UPSCALERS = ("None", "Lanczos", "Nearest")
_LISTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "checkpoint": ("checkpoints", ()),
    "vae": ("vaes", ()),
    "image.upscaler": ("upscalers", _UPSCALERS),
    "hires.upscaler": ("upscalers", (*LATENT_UPSCALERS, *_UPSCALERS)),
    "hires.checkpoint": ("checkpoints", (SAME_CHECKPOINT,)),
    "refiner.checkpoint": ("checkpoints", ("",)),
    "upscaler_1": ("upscalers", _UPSCALERS),
    "upscaler_2": ("upscalers", _UPSCALERS),
    "captioner": ("captioners", (NO_CAPTIONER,)),
    "captioner_2": ("captioners", (NO_CAPTIONER,)),
    "checkpoint_a": ("checkpoints", ("",)),
    "checkpoint_b": ("checkpoints", ("",)),
    "checkpoint_c": ("checkpoints", ("",)),
    "merge-vae": ("vae_files", ("None",)),
    "template_filename": ("templates", ()),
}
_LONG_TEXTS = ("prompt", "negative_prompt", "text")
_ASKED_FOR = (*PARTS, "preview")  # parts whose fields are part of what is asked for


def field(
    knob: Knob,
    *,
    form: str = "txt2img",
    part: str = "",
    help_line: bool = False,
    extra: str = "",
    slider: bool = True,
) -> str:
    """The labelled widget of one knob.

    `form` starts the ids of the page's tab, `part` is the request's part that the knob is of, `help_line` shows the
    help text under the widget (else it is a tooltip), `extra` is markup beside the widget (buttons), `slider=False`
    leaves a number without its slider.
    """
    path = f"{part}.{knob.name}" if part else knob.name
    name = f"{form}-{path.replace('.', '-')}"
    control = _control(knob, path, name, slider)
    attributes = _local(part) + _optional(knob)
    shown = f'<p class="help" id="{name}-help">{escape(knob.help)}</p>'
    hidden = f'<span class="unseen" id="{name}-help">{escape(knob.help)}</span>'
    classes = "field toggle" if knob.kind is bool else "field"
    return (
        f'<div class="{classes}" data-knob="{path}" data-kind="{knob.kind.__name__}"{attributes} '
        f'data-default="{escape(json.dumps(knob.default))}" data-label="{escape(knob.label)}">'
        f'<label for="{name}" title="{escape(knob.help)} Double click: {escape(_default_text(knob))}.">'
        f"{escape(knob.label)}{_unit(knob)}</label>"
        f'<div class="control">{control}{extra}</div>{shown if help_line else hidden}</div>'
    )


def choice(knob: Knob, *, form: str, part: str = "") -> str:
    """The choices of a knob side by side, as radio buttons."""
    path = f"{part}.{knob.name}" if part else knob.name
    name = f"{form}-{path.replace('.', '-')}"
    options = "".join(
        f'<label class="option"><input type="radio" name="{name}" value="{escape(value)}" autocomplete="off">'
        f"<span>{escape(value)}</span></label>"
        for value in knob.choices or ()
    )
    return (
        f'<fieldset class="choice" data-knob="{path}" data-kind="choice"{_local(part)} '
        f'data-default="{escape(json.dumps(knob.default))}" data-label="{escape(knob.label)}">'
        f'<legend class="unseen">{escape(knob.label)}</legend>{options}</fieldset>'
    )


def hidden_field(knob: Knob, *, form: str, part: str) -> str:
    """A value that is kept with the form but not shown."""
    name = f"{form}-{part}-{knob.name}"
    return (
        f'<div hidden data-knob="{part}.{knob.name}" data-kind="str"{_local(part)} data-default=\'""\' '
        f'data-label="{escape(knob.label)}"><label for="{name}">{escape(knob.label)}</label>'
        f'<input type="hidden" id="{name}"></div>'
    )


def fields(selected: Iterable[Knob], *, form: str = "txt2img", part: str = "", help_line: bool = False) -> str:
    return "".join(field(knob, form=form, part=part, help_line=help_line) for knob in selected)


def section(name: str, *, form: str = "txt2img", leave_out: Iterable[str] = ()) -> str:
    """An accordion of one section's knobs; its title line says which of them are not at their default."""
    skipped = set(leave_out)
    inside = [k for k in KNOBS.values() if k.section == name and not k.hidden and k.name not in skipped]
    return (
        f'<details class="section" data-section="{name}"><summary><span>{escape(SECTIONS[name])}</span>'
        f'<span class="changed" data-changed></span></summary>'
        f'<div class="grid">{fields(inside, form=form, help_line=True)}</div></details>'
    )


def part_fields(
    part: str, *, form: str, only: Iterable[str] = (), leave_out: Iterable[str] = (), help_line: bool = True
) -> str:
    """The widgets of a part's knobs: those of `only` in its order, else all but `leave_out` and the hidden ones."""
    known, skipped = PART_KNOBS[part], set(leave_out)
    rest = (knob for name, knob in known.items() if not knob.hidden and name not in skipped)
    inside = [known[name] for name in only] or rest
    return fields(inside, form=form, part=part, help_line=help_line)


def part_section(part: str, title: str, *, form: str, body: str | None = None) -> str:
    """An accordion with a switch: the request has the part while it is on. `body` stands in for the part's widgets.

    The switch lies beside the title line, not in it: a control inside a control is lost on screen readers.
    """
    name = f"{form}-{part.replace('.', '-')}"
    inside = body or f'<div class="grid">{part_fields(part, form=form)}</div>'
    return (
        f'<div class="part-section" data-part-section="{part}">'
        f'<details class="section" data-section="{part}"><summary><span>{escape(title)}</span>'
        f'<span class="changed" data-changed></span></summary>{inside}</details>'
        f'<div class="field switch" data-knob="{part}" data-kind="bool" data-part data-default="false" '
        f'data-label="{escape(title)}"><label for="{name}" class="unseen">{escape(title)}</label>'
        f'<div class="control"><input type="checkbox" role="switch" id="{name}" autocomplete="off"></div></div></div>'
    )


def button(action: str, label: str, icon: str, *, text: bool = False) -> str:
    """A button that `static/` finds by its `data-action`; `text=False` shows its icon only."""
    words = f"<span>{escape(label)}</span>" if text else ""
    shape = "tool wide" if text else "tool"
    return (
        f'<button type="button" class="{shape}" data-action="{action}" aria-label="{escape(label)}" '
        f'title="{escape(label)}">{svg(icon)}{words}</button>'
    )


def _control(knob: Knob, path: str, name: str, slider: bool) -> str:
    described = f'id="{name}" aria-describedby="{name}-help"'
    if name in _LISTS or path in _LISTS:
        source, first = _LISTS.get(name) or _LISTS[path]
        return _select(first, f'{described} data-list="{source}"')
    if knob.choices is not None:
        return _select(knob.choices, described)
    if knob.kind is bool:
        return f'<input type="checkbox" {described} autocomplete="off">'
    if knob.kind in (int, float):
        return _number(knob, described, slider)
    if knob.name in _LONG_TEXTS:
        return f'<textarea rows="2" {described} autocomplete="off" spellcheck="false"></textarea>'
    return f'<input type="text" {described} autocomplete="off">'


def _select(choices: Iterable[str], described: str) -> str:
    options = "".join(
        f"<option>{escape(choice)}</option>" if choice else '<option value="">None</option>' for choice in choices
    )
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


def _local(part: str) -> str:
    """Fields of the page's own state are kept, but are no part of a request."""
    return "" if not part or part in _ASKED_FOR or part.startswith("extensions.") else " data-local"


def _unit(knob: Knob) -> str:
    return f' <span class="unit">{escape(knob.unit)}</span>' if knob.unit else ""


def _default_text(knob: Knob) -> str:
    if knob.default is None or knob.default == "":
        return "empty"
    return {True: "on", False: "off"}.get(knob.default, str(knob.default)) if knob.kind is bool else str(knob.default)
