"""The output panel: the picture, how far it is, its thumbnails, its text and what can be done with it."""

from __future__ import annotations

from modules.web.ui.form import button
from modules.web.ui.icons import svg

# Where a finished picture can go, by the name of the tab that draws it: action, words, icon.
_SENDS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "txt2img": (
        ("hires", "Hires fix", "hires"),
        ("to-img2img", "img2img", "send"),
        ("to-inpaint", "Inpaint", "brush"),
    ),
    "img2img": (
        ("to-txt2img", "txt2img", "send"),
        ("to-img2img", "img2img", "recycle"),
        ("to-inpaint", "Inpaint", "brush"),
    ),
}
_EVERYWHERE = (("to-extras", "Extras", "picture"), ("to-pnginfo", "PNG Info", "info"))


def output_panel(form: str = "txt2img") -> str:
    """Markup that `static/output.js` and `static/run.js` fill, of the tab named `form`."""
    return (
        f'<section class="output" data-panel="{form}-output" aria-label="Pictures">'
        f"{_stage()}{progress()}"
        '<div class="thumbs" data-thumbs role="listbox" aria-label="Pictures of this job" '
        'aria-orientation="horizontal" hidden></div>'
        f"{_facts(form)}</section>"
    )


def _stage() -> str:
    return (
        '<div class="stage" data-stage data-state="empty">'
        '<button type="button" class="picture" data-action="zoom" aria-label="Show the picture large" hidden>'
        '<img data-picture alt="" draggable="true"></button>'
        '<div class="idle" data-idle><p class="idle-title" data-idle-title>Your picture appears here</p>'
        "<p data-idle-text>Write a prompt, then press Generate or <kbd>Ctrl</kbd> <kbd>Enter</kbd>.</p></div>"
        "</div>"
    )


def progress() -> str:
    """How far the job of a tab is, what it said, and what went wrong."""
    return (
        '<div class="progress" data-progress>'
        '<div class="bar" role="progressbar" aria-label="Progress of the job" aria-valuemin="0" aria-valuemax="100" '
        'aria-valuenow="0" data-bar><i></i></div>'
        '<p class="state"><span data-state-text role="status" aria-live="polite"></span>'
        '<span class="left" data-left></span></p>'
        '<p class="problem" data-problem role="alert" hidden></p>'
        '<ul class="notices" data-notices></ul></div>'
    )


def _facts(form: str) -> str:
    sends = "".join(button(*send, text=True) for send in (*_SENDS.get(form, ()), *_EVERYWHERE))
    actions = (
        '<a class="tool wide" data-action="save" download aria-label="Save this picture" title="Save this picture">'
        f"{svg('save')}<span>Save</span></a>"
        f"{button('copy', 'Copy text', 'copy', text=True)}"
        f"{button('reuse', 'Use its settings', 'recycle', text=True)}"
        f"{sends}"
    )
    return (
        f'<div class="facts" data-facts hidden><div class="actions">{actions}</div>'
        f'<div class="path">{button("folder", "Open the folder", "folder")}<span data-path></span></div>'
        '<div class="infotext" data-infotext tabindex="0" role="group" aria-label="Text of the picture"></div></div>'
    )
