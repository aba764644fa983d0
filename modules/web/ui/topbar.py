"""The bar on top of every tab: which model draws, how the engine is, and the colours of the page."""

from __future__ import annotations

import gradio as gr

from modules.web.ui import people, queue
from modules.web.ui.form import KNOBS, button, field


def build() -> None:
    """Add the bar to the Blocks being built; its lists are filled by `static/lists.js` from the catalog's routes."""
    gr.HTML(_markup(), elem_id="topbar", apply_default_css=False)


def _markup() -> str:
    return (
        '<header class="topbar" data-panel="topbar">'
        f"{field(KNOBS['checkpoint'], extra=button('refresh', 'Look for new files', 'refresh'))}"
        f"{field(KNOBS['vae'])}"
        f"{field(KNOBS['clip_skip'], slider=False)}"
        f"{queue.opener()}"
        '<p class="engine" data-engine role="status" aria-live="polite"><i class="lamp"></i>'
        "<span data-engine-text>Connecting</span></p>"
        f"{people.place()}"
        f"{button('theme', 'Light or dark', 'theme')}"
        "</header>"
    )
