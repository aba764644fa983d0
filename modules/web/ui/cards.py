"""The cards: embeddings, LoRA, hypernetworks and checkpoints with their pictures, beside the prompt they are put in.

One panel for all tabs. It is not modal: the prompt stays in sight, and what a click puts into it is seen at once.
"""

from __future__ import annotations

import gradio as gr

from modules.web.ui.form import button
from modules.web.ui.icons import svg

_KINDS = (
    ("embedding", "Embeddings"),
    ("lora", "LoRA"),
    ("hypernet", "Hypernetworks"),
    ("checkpoint", "Checkpoints"),
)
_ORDERS = (("name", "Name"), ("path", "Folder"), ("newest", "Newest first"), ("oldest", "Oldest first"))


def build() -> None:
    """Add the panel to the Blocks being built; `static/cards.js` opens and fills it."""
    gr.HTML(_markup(), elem_id="cards", apply_default_css=False)


def _markup() -> str:
    tools = button("refresh-cards", "Look for new files", "refresh") + button("close-cards", "Close", "clear")
    return (
        '<div class="drawer" data-panel="cards" role="dialog" aria-label="Networks" hidden>'
        f'<header class="drawer-head"><div class="kinds" role="tablist" aria-label="Kind of file">{_kinds()}</div>'
        f"{tools}</header>"
        f'<div class="drawer-tools">{_tools()}</div>'
        '<p class="problem" data-cards-problem role="alert" hidden></p>'
        '<div class="cards" data-cards id="cards-list" role="tabpanel" aria-label="Files" tabindex="-1">'
        '<div class="cards-room" data-cards-room role="list"></div></div>'
        '<p class="cards-empty" data-cards-empty hidden></p>'
        '<p class="cards-state" data-cards-state role="status"></p></div>'
        '<dialog class="details" data-details aria-label="About this file"></dialog>'
    )


def _kinds() -> str:
    return "".join(
        f'<button type="button" role="tab" data-kind="{kind}" id="cards-{kind}" aria-controls="cards-list" '
        f'aria-selected="false" tabindex="-1">{label} <span class="count" data-count></span></button>'
        for kind, label in _KINDS
    )


def _tools() -> str:
    orders = "".join(f'<option value="{value}">{label}</option>' for value, label in _ORDERS)
    return (
        f'<label class="find">{svg("search")}<input type="search" class="search" id="cards-search" data-cards-search '
        'placeholder="Find by name, folder, words or hash" aria-label="Find a file" autocomplete="off"></label>'
        + _select('id="cards-folder" data-cards-folder aria-label="Folder"', "")
        + _select('id="cards-order" data-cards-order aria-label="Order"', orders)
    )


def _select(attributes: str, options: str) -> str:
    select = f'<select {attributes} autocomplete="off">{options}</select>'
    return f'<div class="field"><div class="control">{select}</div></div>'
