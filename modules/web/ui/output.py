"""The output panel: the picture, how far it is, its thumbnails, its text and what can be done with it."""

from __future__ import annotations

from modules.web.ui.form import button, svg


def output_panel() -> str:
    """Markup that `static/output.js` and `static/progress.js` fill; nothing in it depends on the request."""
    return (
        '<section class="output" data-panel="output" aria-label="Pictures">'
        f"{_stage()}{_progress()}"
        '<div class="thumbs" data-thumbs role="listbox" aria-label="Pictures of this job" '
        'aria-orientation="horizontal" hidden></div>'
        f"{_facts()}</section>"
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


def _progress() -> str:
    return (
        '<div class="progress" data-progress>'
        '<div class="bar" role="progressbar" aria-label="Progress of the job" aria-valuemin="0" aria-valuemax="100" '
        'aria-valuenow="0" data-bar><i></i></div>'
        '<p class="state"><span data-state-text role="status" aria-live="polite"></span>'
        '<span class="left" data-left></span></p>'
        '<p class="problem" data-problem role="alert" hidden></p>'
        '<ul class="notices" data-notices></ul></div>'
    )


def _facts() -> str:
    actions = (
        '<a class="tool wide" data-action="save" download aria-label="Save this picture" title="Save this picture">'
        f"{svg('save')}<span>Save</span></a>"
        f"{button('copy', 'Copy text', 'copy', text=True)}"
        f"{button('reuse', 'Use its settings', 'recycle', text=True)}"
        f"{button('to-pnginfo', 'PNG Info', 'info', text=True)}"
    )
    return (
        f'<div class="facts" data-facts hidden><div class="actions">{actions}</div>'
        f'<div class="path">{button("folder", "Open the folder", "folder")}<span data-path></span></div>'
        '<div class="infotext" data-infotext tabindex="0" role="group" aria-label="Text of the picture"></div></div>'
    )
