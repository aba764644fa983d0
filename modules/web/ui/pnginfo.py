"""The PNG Info tab: a picture in, the text it carries out, and one button that draws it again."""

from __future__ import annotations

import gradio as gr

from modules.web.ui.icons import svg
from modules.web.ui.output import send_row

RECEIVERS = (("txt2img", "txt2img"), ("img2img", "img2img"), ("inpaint", "Inpaint"), ("extras", "Extras"))


def build() -> None:
    """Add the tab's content to the Blocks being built."""
    gr.HTML(_markup(), apply_default_css=False)


def _markup() -> str:
    return (
        '<section class="pnginfo" data-panel="pnginfo" aria-label="PNG Info">'
        '<div class="drop" data-drop><img data-dropped alt="The picture that was read" hidden>'
        '<label class="drop-call" data-drop-call for="pnginfo-file"><b>Drop a picture here</b>'
        "<span>or choose a file, or paste one</span></label>"
        '<input type="file" id="pnginfo-file" accept="image/*" aria-label="Picture to read"></div>'
        '<div class="reading"><p class="problem" data-pnginfo-problem role="alert" hidden></p>'
        f"<div data-pnginfo-sends hidden>{send_row(RECEIVERS)}</div>"
        '<p class="reading-empty" data-pnginfo-empty>The text a picture was made from is shown here.</p>'
        f"{_result()}</div></section>"
    )


def _result() -> str:
    again = f'class="primary" data-action="again">{svg("send")}<span>Use these settings</span>'
    copy = f'class="tool wide" data-action="copy-pnginfo">{svg("copy")}<span>Copy text</span>'
    return (
        "<div data-pnginfo-result hidden>"
        f'<div class="actions"><button type="button" {again}</button><button type="button" {copy}</button></div>'
        '<p class="hint" data-pnginfo-source></p><div class="infotext" data-pnginfo-text></div></div>'
    )
