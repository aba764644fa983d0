"""The heading of a tab: a screen reader finds it, the eye has the bar of tabs."""

from __future__ import annotations

from html import escape

import gradio as gr


def heading(name: str) -> None:
    """Add it to the tab being built."""
    gr.HTML(f'<h2 class="unseen">{escape(name)}</h2>', elem_classes="tab-heading", apply_default_css=False)
