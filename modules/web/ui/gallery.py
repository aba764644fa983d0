"""The Gallery tab: all of one's saved pictures, to search, look at, mark, delete and send on.

`static/gallery.js` brings it to life; only the pictures in sight are ever in the page.
"""

from __future__ import annotations

from html import escape

import gradio as gr

from modules.web.ui.form import button
from modules.web.ui.icons import svg
from modules.web.ui.output import send_row

_KINDS = (
    ("", "All kinds"),
    ("txt2img", "txt2img"),
    ("img2img", "img2img"),
    ("grids", "Grids"),
    ("extras", "Extras"),
    ("other", "Others"),
)
_WHOSE = (("mine", "My pictures"), ("everybody", "Everybody's"))
_RECEIVERS = (
    ("txt2img", "txt2img"),
    ("img2img", "img2img"),
    ("inpaint", "Inpaint"),
    ("extras", "Extras"),
    ("pnginfo", "PNG Info"),
)


def build() -> None:
    """Add the tab's content to the Blocks being built."""
    gr.HTML(_markup(), apply_default_css=False)


def _markup() -> str:
    return (
        '<section class="gallery" data-panel="gallery" aria-label="Gallery">'
        f'<div class="gallery-bar" data-bar>{_search()}{_filters()}{_line()}</div>'
        '<p class="problem" data-problem role="alert" hidden></p>'
        '<div class="shots" data-room role="listbox" aria-multiselectable="true" aria-label="Pictures" tabindex="-1" '
        'aria-describedby="gallery-keys"></div>'
        '<p class="unseen" id="gallery-keys">Arrows walk, Enter shows a picture large, Space selects it, F makes it '
        "a favourite, Delete moves it to the trash, a slash goes to the search.</p>"
        '<div class="gallery-empty" data-empty hidden></div>'
        f"{_selection()}{_toast()}{_viewer()}{_folders()}</section>"
    )


def _search() -> str:
    return (
        f'<label class="find">{svg("search")}<input type="search" class="search" id="gallery-search" data-search '
        'maxlength="1000" placeholder="Find in prompts, parameters and models" aria-label="Find pictures" '
        'autocomplete="off" enterkeyhint="search"></label>'
    )


def _filters() -> str:
    return (
        '<div class="gallery-filters" role="group" aria-label="Which pictures">'
        + _select("kind", "Kind", _KINDS)
        + _select("model", "Model", (("", "All models"),))
        + _select("day", "Day", (("", "All days"),))
        + _select("whose", "Whose", _WHOSE, hidden=True)
        + _switch("favourites", "Favourites", "star")
        + _switch("bin", "Trash", "trash")
        + f"{button('gallery-folders', 'Folders', 'folder', text=True)}</div>"
    )


def _select(name: str, label: str, options: tuple[tuple[str, str], ...], *, hidden: bool = False) -> str:
    inside = "".join(f'<option value="{value}">{escape(words)}</option>' for value, words in options)
    return (
        f'<div class="field"{" hidden" if hidden else ""}><div class="control"><select id="gallery-{name}" '
        f'data-filter="{name}" aria-label="{label}" autocomplete="off">{inside}</select></div></div>'
    )


def _switch(name: str, label: str, icon: str) -> str:
    return (
        f'<button type="button" class="tool wide" data-switch="{name}" aria-pressed="false">{svg(icon)}'
        f'<span>{label}</span><span class="count" data-count></span></button>'
    )


def _line() -> str:
    """What is shown, on which day one is, and how large the pictures are."""
    return (
        '<div class="gallery-line"><p class="gallery-state" data-state role="status"></p>'
        '<button type="button" class="second small" data-action="gallery-fresh" hidden>Show new pictures</button>'
        '<span class="gallery-day" data-day></span>'
        f'<label class="gallery-size">{svg("picture")}<input type="range" min="96" max="320" step="16" value="176" '
        'data-size aria-label="Size of the pictures" autocomplete="off"></label></div>'
    )


def _selection() -> str:
    """What can be done with what is selected; on a phone it lies at the bottom."""
    return (
        '<div class="gallery-selection" data-selection role="toolbar" aria-label="Selected pictures" hidden>'
        '<span class="gallery-count" data-selected role="status"></span>'
        f"{button('many-favourite', 'Favourite', 'star', text=True)}"
        f"{button('many-zip', 'Download', 'save', text=True)}"
        f"{button('many-trash', 'Delete', 'trash', text=True)}"
        f"{button('many-restore', 'Restore', 'undo', text=True)}"
        f"{button('many-delete', 'Delete for good', 'trash', text=True)}"
        f"{button('many-none', 'Select none', 'clear')}</div>"
    )


def _toast() -> str:
    return (
        '<div class="toast" data-toast hidden><span data-toast-words role="status"></span>'
        f"{button('gallery-undo', 'Undo', 'undo', text=True)}</div>"
    )


def _viewer() -> str:
    """One picture, large, with its text and what can be done with it."""
    tools = (
        f"{button('one-favourite', 'Favourite', 'star')}"
        f'<a class="tool" data-action="one-save" download aria-label="Download" title="Download">{svg("save")}</a>'
        f"{button('one-trash', 'Delete', 'trash')}{button('one-restore', 'Restore', 'undo')}"
        f"{button('one-about', 'Parameters', 'info')}{button('one-close', 'Close', 'clear')}"
    )
    about = (
        f'{_copies()}{send_row(_RECEIVERS)}<p class="problem" data-one-problem role="alert" hidden></p>'
        '<div class="infotext" data-infotext></div><p class="hint" data-one-facts></p>'
    )
    return (
        '<dialog class="lightbox" data-viewer aria-label="Picture"><header class="lightbox-head">'
        f'<p class="lightbox-name" data-one-name role="status"></p>{tools}</header>'
        '<div class="lightbox-body"><div class="lightbox-stage" data-one-stage tabindex="-1" autofocus>'
        '<img data-one-picture alt="" draggable="false">'
        f"{button('one-before', 'Newer picture', 'left')}{button('one-after', 'Older picture', 'right')}</div>"
        f'<aside class="lightbox-about" data-one-about aria-label="Parameters">{about}</aside></div></dialog>'
    )


def _copies() -> str:
    buttons = "".join(
        f'<button type="button" class="tool wide" data-action="copy-{what}" title="Copy the {what}" '
        f'aria-label="Copy the {what}"><span>{what}</span></button>'
        for what in ("prompt", "seed", "text")
    )
    return f'<div class="sends copy-row"><span>Copy</span>{buttons}</div>'


def _folders() -> str:
    return (
        '<dialog class="details folders" data-folders aria-labelledby="folders-title"><header class="details-head">'
        f'<h2 id="folders-title">Folders in the gallery</h2>{button("folders-close", "Close", "clear")}</header>'
        '<p class="hint">Pictures of another program, such as an old outputs folder, can be shown in place. They are '
        "only read: nothing is written there, moved or deleted.</p>"
        '<ul class="folder-list" data-folder-list></ul>'
        '<form class="folder-add" data-folder-add><div class="field"><label for="gallery-folder">Path of a folder on '
        'the server</label><div class="control"><input type="text" id="gallery-folder" autocomplete="off" '
        'spellcheck="false"><button type="submit" class="second small">Show it</button></div></div></form>'
        '<p class="problem" data-folder-problem role="alert" hidden></p></dialog>'
    )
