"""The two prompt boxes of a tab, and the row of styles and networks under them."""

from __future__ import annotations

from modules.schema.knob import Knob
from modules.web.ui.form import KNOBS, button
from modules.web.ui.icons import svg


def prompts(form: str, tools: str = "") -> str:
    """Prompt and negative prompt of the tab `form`, with `tools` (buttons) in the corner of the first.

    `static/prompt.js` counts their tokens and marks what it knows of them.
    """
    paste = button("paste", "Read the parameters pasted into the prompt", "paste")
    clear = button("clear", "Clear both prompts", "clear")
    return (
        _box(form, KNOBS["prompt"], tools + paste + clear, rows=3)
        + _box(form, KNOBS["negative_prompt"], "", rows=2)
        + _tool_row(form)
    )


def _box(form: str, knob: Knob, tools: str, *, rows: int) -> str:
    """A prompt box over a mirror of its text, in which chunk borders and unknown names are marked."""
    name = f"{form}-{knob.name}"
    return (
        f'<div class="field prompt" data-knob="{knob.name}" data-kind="str" data-default=\'""\' '
        f'data-label="{knob.label}"><div class="prompt-head">'
        f'<label for="{name}" title="{knob.help}">{knob.label}</label>{tools}'
        f'<output class="counter" data-counter for="{name}" aria-label="{knob.label}: tokens">0/75</output></div>'
        f'<div class="paper"><div class="mirror" data-mirror aria-hidden="true"></div>'
        f'<textarea id="{name}" rows="{rows}" aria-describedby="{name}-help {name}-notes" spellcheck="false" '
        'autocomplete="off" aria-autocomplete="list"></textarea>'
        f'<ul class="complete" id="{name}-complete" data-complete role="listbox" '
        f'aria-label="Names for the {knob.label.lower()}" hidden></ul></div>'
        '<p class="chunks" data-chunks hidden></p>'
        f'<div role="status"><ul class="notes" id="{name}-notes" data-notes></ul></div>'
        f'<span class="unseen" id="{name}-help">{knob.help}</span></div>'
    )


def _tool_row(form: str) -> str:
    cards = 'type="button" class="tool wide" aria-haspopup="dialog" aria-expanded="false" data-action="cards"'
    opener = f'{cards.replace("cards", "styles")} aria-controls="{form}-styles"'
    presets = f'{cards.replace("cards", "presets")} aria-controls="{form}-presets"'
    return (
        f'<div class="prompt-tools" data-prompt-tools><button {opener}>{svg("styles")}<span>Styles</span></button>'
        f'<ul class="chips" data-chips aria-label="Styles in use"></ul>'
        f"<button {cards}>{svg('cards')}<span>Networks</span></button>"
        f"<button {presets}>{svg('star')}<span>Presets</span></button>{_styles_menu(form)}{_presets_menu(form)}</div>"
    )


def _styles_menu(form: str) -> str:
    """What opens above the page: the list of styles, and how a new one is made."""
    return (
        f'<div class="menu" id="{form}-styles" popover data-styles-menu role="dialog" aria-label="Styles">'
        f'<input type="search" class="search" data-style-search id="{form}-style-search" placeholder="Find a style" '
        'aria-label="Find a style" autocomplete="off">'
        '<ul class="style-list" data-style-list></ul>'
        '<p class="menu-empty" data-style-empty hidden></p>'
        '<p class="menu-note" data-style-note role="status" hidden></p>'
        f'<div class="menu-foot"><input type="text" class="text" data-style-name id="{form}-style-name" '
        'placeholder="Name" aria-label="Name of a new style" autocomplete="off" maxlength="120">'
        '<button type="button" class="second small" data-action="save-style">Save both prompts</button></div></div>'
    )


_PARTS = {
    "sampler": "Sampler, steps, CFG",
    "size": "Size",
    "prompt": "Prompt and styles",
    "negative": "Negative prompt",
    "rest": "All else that is changed",
}
_AT_FIRST = ("sampler", "size")


def _presets_menu(form: str) -> str:
    """What opens above the page: a person's presets of this form, how one is made, and the form's defaults."""
    parts = "".join(
        f'<label><input type="checkbox" data-preset-part value="{part}" autocomplete="off"'
        f"{' checked' if part in _AT_FIRST else ''}><span>{label}</span></label>"
        for part, label in _PARTS.items()
    )
    return (
        f'<div class="menu presets-menu" id="{form}-presets" popover data-presets-menu role="dialog" '
        'aria-label="Presets"><ul class="preset-list" data-preset-list></ul>'
        '<p class="menu-empty" data-preset-empty hidden></p>'
        '<p class="menu-note" data-preset-note role="status" hidden></p>'
        f'<fieldset class="preset-parts"><legend>A new preset keeps</legend>{parts}</fieldset>'
        f'<div class="menu-foot plain"><input type="text" class="text" data-preset-name id="{form}-preset-name" '
        'placeholder="Name" aria-label="Name of a new preset" autocomplete="off" maxlength="100">'
        '<button type="button" class="second small" data-action="save-preset">Save</button></div>'
        '<div class="preset-defaults"><button type="button" class="quiet" data-action="make-default" '
        'title="All but prompts, seed and checkpoint">Begin with these values</button>'
        '<button type="button" class="quiet" data-action="program-default">Back to the program\'s</button>'
        "</div></div>"
    )
