"""The bar on top of every tab: which model draws, how the engine is, and the colours of the page."""

from __future__ import annotations

import gradio as gr

from modules.web.ui import language, people, queue
from modules.web.ui.form import KNOBS, button, field


def build() -> None:
    """Add the bar to the Blocks being built; its lists are filled by `static/lists.js` from the catalog's routes."""
    gr.HTML(_markup(), elem_id="topbar", apply_default_css=False)


def _markup() -> str:
    return (
        '<a class="skip" href="#tabs" data-skip>Skip to the tab in sight</a>'
        '<header class="topbar" data-panel="topbar">'
        '<h1 class="unseen">Stable Diffusion</h1>'
        f"{field(KNOBS['checkpoint'], extra=button('refresh', 'Look for new files', 'refresh'))}"
        f"{field(KNOBS['vae'])}"
        f"{field(KNOBS['clip_skip'], slider=False)}"
        f"{queue.opener()}"
        '<p class="engine" data-engine><i class="lamp"></i>'
        "<span data-engine-text>Connecting</span></p>"
        f"{people.place()}"
        f"{language.place()}"
        f"{button('help', 'First steps', 'help')}"
        f"{button('theme', 'Light or dark', 'theme')}"
        "</header>"
    )
