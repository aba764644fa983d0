"""Interrogate, near the prompt of img2img: one button, and beside it the list of those who can describe a picture."""

from __future__ import annotations

from modules.web.ui.form import hidden_field
from modules.web.ui.icons import svg
from modules.web.ui.painter import PART, STATE


def interrogate(form: str) -> str:
    """The buttons, their menu and the line of what came of it; `static/interrogate.js` wires them."""
    opener = (
        f'type="button" class="tool" data-action="captioners" aria-haspopup="dialog" aria-expanded="false" '
        f'aria-controls="{form}-captioners" aria-label="Who describes the picture" title="Who describes the picture"'
    )
    return (
        '<div class="interrogate"><span class="split"><button type="button" class="tool wide" '
        'data-action="interrogate" title="Describe the picture in words, and take them as the prompt">'
        f"{svg('picture')}<span>Interrogate</span></button><button {opener}>{svg('down')}</button></span>"
        '<p class="hint" data-interrogated role="status" hidden><span data-interrogated-words></span> '
        "<span data-interrogated-buttons></span></p>"
        f'<div class="menu" id="{form}-captioners" popover data-captioner-menu role="dialog" '
        'aria-label="Who describes the picture"><ul class="captioner-list" data-captioner-list></ul>'
        '<p class="menu-empty">How they speak is set in Settings, Captions of pictures.</p></div>'
        f"{hidden_field(STATE['captioner'], form=form, part=PART)}</div>"
    )
