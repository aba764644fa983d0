"""The Models tab: every model file on the disk, what it is, and what is done with it.

`static/models.js` brings it to life; only the files in sight are ever in the page. What changes the machine is its
owner's (`owner-only`): the server refuses it to others as well.
"""

from __future__ import annotations

from html import escape

import gradio as gr

from modules.catalog.model_places import PLACES
from modules.web.ui.form import button
from modules.web.ui.icons import svg

_KINDS = {
    "checkpoint": "Checkpoints",
    "vae": "VAE",
    "lora": "LoRA",
    "embedding": "Embeddings",
    "hypernet": "Hypernetworks",
    "upscaler": "Upscalers",
    "face": "Face restorers",
    "captioner": "Captioning models",
}
_ORDERS = (
    ("name", "Name"),
    ("kind", "Kind"),
    ("family", "Model family"),
    ("size", "Largest first"),
    ("newest", "Newest first"),
    ("oldest", "Oldest first"),
)
_WAYS = (
    ("upload", "From this device"),
    ("path", "By its path on the server"),
    ("link", "From a link"),
)


def build() -> None:
    """Add the tab's content to the Blocks being built."""
    gr.HTML(_markup(), apply_default_css=False)


def _markup() -> str:
    return (
        '<section class="models" data-panel="models" aria-label="Models">'
        f'<div class="models-bar">{_search()}{_filters()}{_tools()}</div>'
        '<p class="problem" data-models-problem role="alert" hidden></p>'
        '<ul class="model-tasks" data-models-tasks aria-label="Work in the background" hidden></ul>'
        '<p class="models-state" data-models-state role="status"></p>'
        '<div class="model-frame" data-models-frame tabindex="-1" aria-describedby="models-keys">'
        '<div class="model-room" data-models-room role="list" aria-label="Model files"></div></div>'
        '<p class="unseen" id="models-keys">Arrows walk, Enter shows all about a file, F2 renames it, Delete moves '
        "it to the trash.</p>"
        '<p class="models-empty" data-models-empty hidden></p>'
        f"{_toast()}"
        '<dialog class="details" data-model-details aria-label="About this file"></dialog>'
        f"{_adding()}{_trash()}</section>"
    )


def _search() -> str:
    return (
        f'<label class="find">{svg("search")}<input type="search" class="search" id="models-search" '
        'data-models-search maxlength="1000" placeholder="Find by name, family, trigger words or hash" '
        'aria-label="Find a model file" autocomplete="off" enterkeyhint="search"></label>'
    )


def _filters() -> str:
    kinds = (("", "All kinds"), *((kind, _KINDS[kind]) for kind in PLACES))
    return (
        _select("models-kind", "Kind", "data-models-kind", kinds)
        + _select("models-order", "Order", "data-models-order", _ORDERS)
        + '<button type="button" class="tool wide" data-action="models-broken" aria-pressed="false">'
        f'{svg("info")}<span>Unusable</span><span class="count" data-count></span></button>'
    )


def _select(name: str, label: str, attribute: str, options: tuple[tuple[str, str], ...]) -> str:
    inside = "".join(f'<option value="{value}">{escape(words)}</option>' for value, words in options)
    return (
        f'<div class="field"><div class="control"><select id="{name}" {attribute} aria-label="{label}" '
        f'autocomplete="off">{inside}</select></div></div>'
    )


def _tools() -> str:
    own = "".join(
        f'<span class="owner-only">{button(action, label, icon, text=True)}</span>'
        for action, label, icon in (
            ("models-hash", "Hash all", "measure"),
            ("models-trash", "Trash", "trash"),
            ("models-add", "Add a file", "plus"),
        )
    )
    return f'<span class="models-tools">{button("models-refresh", "Look for new files", "refresh")}{own}</span>'


def _toast() -> str:
    return (
        '<div class="toast" data-models-toast hidden><span data-models-toast-words role="status"></span>'
        f"{button('models-undo', 'Undo', 'undo', text=True)}</div>"
    )


def _adding() -> str:
    """The dialog that brings a file in, in one of three ways."""
    ways = "".join(
        f'<label><input type="radio" name="models-way" value="{way}" autocomplete="off"'
        f"{' checked' if way == 'upload' else ''}><span>{words}</span></label>"
        for way, words in _WAYS
    )
    kinds = (("", "Let the file tell"), *((k, _KINDS[k]) for k, place in PLACES.items() if not place.whole_folders))
    return (
        '<dialog class="details model-adding" data-models-adding aria-labelledby="models-adding-title">'
        '<header class="details-head"><h2 id="models-adding-title">Add a model file</h2>'
        f"{button('models-adding-close', 'Close', 'clear')}</header>"
        "<form data-models-form novalidate>"
        f'<fieldset class="model-ways"><legend class="unseen">Where it is</legend>{ways}</fieldset>'
        f"{_upload()}{_path()}{_link()}"
        '<div class="model-pair"><div class="field"><label for="models-new-kind">Kind</label><div class="control">'
        f'<select id="models-new-kind" data-models-new-kind autocomplete="off">{_options(kinds)}</select></div></div>'
        + _text("models-new-name", "Name", "As it is called there", "data-models-new-name")
        + "</div>"
        + _text("models-new-hash", "SHA256, if you know it", "The file is compared with it", "data-models-new-hash")
        + '<p class="hint" data-models-where></p>'
        '<p class="problem" data-models-adding-problem role="alert" hidden></p>'
        '<div class="details-save"><button type="submit" class="primary small" data-models-begin>Add it</button>'
        "</div></form></dialog>"
    )


def _options(options: tuple[tuple[str, str], ...]) -> str:
    return "".join(f'<option value="{value}">{escape(words)}</option>' for value, words in options)


def _text(name: str, label: str, placeholder: str, attribute: str) -> str:
    return (
        f'<div class="field"><label for="{name}">{label}</label><div class="control"><input type="text" id="{name}" '
        f'{attribute} placeholder="{placeholder}" autocomplete="off" spellcheck="false"></div></div>'
    )


def _upload() -> str:
    return (
        '<div class="model-way" data-way="upload"><div class="drop model-drop" data-models-drop>'
        '<div class="drop-call"><b>Drop model files here</b><span>or choose them</span></div>'
        '<input type="file" multiple data-models-files aria-label="Choose model files"></div>'
        '<ul class="model-chosen" data-models-chosen aria-label="Chosen files" translate="no"></ul></div>'
    )


def _path() -> str:
    return (
        '<div class="model-way" data-way="path" hidden>'
        + _text("models-new-path", "Path of the file", "/somewhere/model.safetensors", "data-models-new-path")
        + '<div class="field toggle"><label for="models-new-keep">Keep the old file</label><div class="control">'
        '<input type="checkbox" id="models-new-keep" data-models-new-keep checked autocomplete="off"></div>'
        '<p class="help">Off, the file is moved, with its notes and preview.</p></div></div>'
    )


def _link() -> str:
    return (
        '<div class="model-way" data-way="link" hidden>'
        + _text("models-new-link", "Link", "https://", "data-models-new-link")
        + '<p class="hint">Of the file itself, or of its page at Hugging Face or Civitai. It is fetched now, once, '
        "by this machine; nothing else here ever asks for it. A download that breaks off goes on where it ended.</p>"
        "</div>"
    )


def _trash() -> str:
    return (
        '<dialog class="details" data-models-bin aria-labelledby="models-bin-title"><header class="details-head">'
        f'<h2 id="models-bin-title">Deleted models</h2>{button("models-bin-close", "Close", "clear")}</header>'
        '<p class="hint" data-models-bin-words></p><ul class="model-bin" data-models-bin-list></ul>'
        '<p class="problem" data-models-bin-problem role="alert" hidden></p></dialog>'
    )
