"""The Extensions tab: what there is, what it adds, what went wrong. `static/extensions.js` brings it to life."""

from __future__ import annotations

import gradio as gr


def build() -> None:
    """Add the tab's content to the Blocks being built."""
    gr.HTML(
        '<section class="extensions" data-panel="extensions" aria-label="Extensions">'
        '<p class="help">Folders below <code>extensions</code> and installed packages that extend this program. An '
        "extension is a program: it can do whatever this one can. Take only what you trust.</p>"
        '<p class="hint" data-extensions-words role="status"></p>'
        '<ul class="extension-list" data-extension-list></ul></section>',
        apply_default_css=False,
    )
