"""What each tab is for, in one quiet line on top of it."""

from __future__ import annotations

from html import escape

import gradio as gr

ABOUT: dict[str, str] = {
    "txt2img": "Draws a picture from words.",
    "img2img": "Draws from a picture and words: all of it anew, over a sketch, or only what is masked.",
    "Train": "Makes a new word, or a LoRA, out of your own pictures.",
    "Extras": "Makes finished pictures larger and mends faces, without drawing them anew.",
    "Gallery": "All your finished pictures: look, find, keep, and go on with them.",
    "PNG Info": "Reads out of a picture what it was made from.",
    "Checkpoint Merger": "Mixes two or three checkpoints into a new one.",
    "Models": "All files of models: what they are, what they are called by, and what was drawn with them.",
    "Settings": "How the program looks and behaves, for you and, if it is yours, for everybody.",
    "Extensions": "What was added to this program, and what went wrong with it.",
}


def about(name: str) -> None:
    """Add the line of the tab of that name to the tab being built."""
    line = f'<p class="about">{escape(ABOUT[name])}</p>'
    gr.HTML(line, elem_classes="tab-about", apply_default_css=False)
