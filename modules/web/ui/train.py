"""The Train tab: a walk of four steps, from pictures to a new word. `static/train.js` brings it to life."""

from __future__ import annotations

from html import escape

import gradio as gr

from modules.schema.captioning import CaptionRequest
from modules.schema.knob import knobs
from modules.web.ui.form import button
from modules.web.ui.icons import svg
from modules.web.ui.train_options import options
from modules.web.ui.train_run import run

_STEPS = (("pictures", "Pictures"), ("captions", "Captions"), ("options", "Options"), ("run", "Run"))


def build() -> None:
    """Add the tab's content to the Blocks being built."""
    gr.HTML(_markup(), apply_default_css=False)


def _markup() -> str:
    panels = {"pictures": _pictures(), "captions": _captions(), "options": options(), "run": run()}
    shown = "".join(
        f'<section class="train-step" data-step="{step}" id="train-{step}" aria-labelledby="train-{step}-title" '
        f'tabindex="-1" hidden>{panels[step]}</section>'
        for step, _ in _STEPS
    )
    return (
        '<form class="train form" data-panel="train" aria-label="Train" novalidate>'
        f'<div class="walk-row"><nav aria-label="Steps of a training"><ol class="walk">{_walk()}</ol></nav>'
        f'{_walk_on()}</div><p class="hint"><a href="/docs/training" target="_blank">The guide: from a folder of '
        f"pictures to a new word</a></p>{shown}{_crop()}</form>"
    )


def _walk() -> str:
    return "".join(
        f'<li><button type="button" data-walk="{step}" id="train-{step}-title" aria-controls="train-{step}">'
        f'<span class="walk-number" aria-hidden="true">{number}</span>'
        f'<span class="walk-name">{title}</span> <span class="walk-state" data-walk-state></span></button></li>'
        for number, (step, title) in enumerate(_STEPS, 1)
    )


def _walk_on() -> str:
    """What the walk goes on with; on a phone it stays in sight."""
    return (
        '<div class="run walk-on" data-walk-on><p class="run-problem" data-train-problem role="alert" hidden></p>'
        '<div class="run-buttons"><button type="button" class="second" data-action="step-back">Back</button>'
        '<button type="button" class="primary" data-action="step-on"><span>Next: Captions</span></button></div></div>'
    )


# --- 1 Pictures ---


def _pictures() -> str:
    return (
        f'<div class="set-bar">{_set_choice()}'
        f"{button('new-set', 'New data set', 'plus', text=True)}"
        f"{button('open-set', 'Open a folder of the server', 'folder', text=True)}"
        f"{button('undo-pictures', 'Undo', 'undo', text=True)}</div>"
        f"{_ask_for_a_name()}"
        '<div class="two"><div class="two-main">'
        f"{_drop()}"
        '<p class="set-state" data-set-state role="status"></p>'
        '<ul class="refused" data-refused hidden></ul>'
        '<div class="pictures" data-pictures role="list" aria-label="Pictures of the data set"></div></div>'
        '<aside class="two-side doctor" data-doctor aria-label="What the doctor found" hidden><details>'
        '<summary><h2 data-doctor-title></h2> <span class="count" data-doctor-count></span></summary>'
        "<div data-findings></div></details></aside></div>"
    )


def _set_choice() -> str:
    """The data set is a value of the form, as its other values: kept, and found again."""
    return (
        '<div class="field" data-knob="data_root" data-kind="str" data-default="&quot;&quot;" data-label="Data set">'
        '<label for="train-data_root">Data set</label><div class="control"><select id="train-data_root" '
        'data-list="datasets" autocomplete="off"><option value="">None yet</option></select></div></div>'
    )


def _ask_for_a_name() -> str:
    """One line for a new set's name, or for a folder's path."""
    return (
        '<div class="ask-line" data-ask-line hidden><div class="field"><label for="train-ask" data-ask-label></label>'
        '<div class="control"><input type="text" id="train-ask" autocomplete="off" spellcheck="false">'
        '<button type="button" class="second small" data-action="ask-done"><span>Create</span></button>'
        f"{button('ask-cancel', 'Cancel', 'clear')}</div></div></div>"
    )


def _drop() -> str:
    choosers = _chooser("train-files", "Choose files", "picture", 'multiple accept="image/*,.zip,.txt"')
    choosers += _chooser("train-folder", "Choose a folder", "folder", "webkitdirectory")
    return (
        '<div class="source train-drop" data-train-drop data-state="empty"><div class="source-call">'
        '<span class="source-words">Drop pictures, a zip, or a folder here</span>'
        '<span class="hint">Texts beside them (.txt) become their captions.</span>'
        f'<span class="source-tools">{choosers}</span>'
        '<span class="train-example" data-train-example><button type="button" class="second small" '
        'data-action="example-set">Try it with an example</button>'
        '<span class="hint">24 drawings of one hand, and the preset “Quick look”.</span></span></div>'
        '<div class="bar" role="progressbar" aria-label="Upload" aria-valuemin="0" aria-valuemax="100" '
        "data-upload hidden><i></i></div></div>"
    )


def _chooser(name: str, words: str, icon: str, attributes: str) -> str:
    return (
        f'<label class="tool wide chooser">{svg(icon)}<span>{words}</span>'
        f'<input type="file" id="{name}" data-choose {attributes} aria-label="{words}"></label>'
    )


def _crop() -> str:
    """What is taken of one picture, cut by hand; beside it what is trained."""
    numbers = "".join(
        f'<div class="field"><label for="crop-{side}">{side.capitalize()} <span class="unit">px</span></label>'
        f'<div class="control"><input type="number" id="crop-{side}" data-crop="{side}" min="0" step="1"></div></div>'
        for side in ("left", "top", "width", "height")
    )
    return (
        '<dialog class="crop" data-crop-dialog aria-labelledby="crop-title"><header>'
        f'<h2 id="crop-title" data-crop-title></h2>{button("crop-before", "Picture before", "left")}'
        f"{button('crop-after', 'Next picture', 'right')}{button('crop-close', 'Close', 'clear')}</header>"
        '<div class="crop-body"><div class="crop-easel" data-crop-easel><div class="crop-paper" data-crop-paper>'
        '<img data-crop-picture alt="The whole picture" draggable="false"><div class="crop-box" data-crop-box '
        'tabindex="0" role="group" aria-label="What is taken of the picture: arrow keys move it, with Shift they '
        'change its size"><i></i><i></i><i></i><i></i></div></div></div>'
        '<div class="crop-side"><figure><img data-crop-fitted alt="The picture as it is trained">'
        "<figcaption data-crop-words>As it is trained</figcaption></figure>"
        f'<div class="grid">{numbers}</div>'
        '<p class="problem" data-crop-problem role="alert" hidden></p>'
        '<ul class="crop-problems" data-crop-problems></ul>'
        '<div class="crop-actions">'
        + _small("crop-focus", "Find what matters", "Where something is cut off, keep what is most interesting")
        + _small("crop-all", "Take all of it", "No crop, and nothing that was decided about it")
        + _small("crop-exclude", "Leave this picture out", "Do not learn from it")
        + "</div></div></div></dialog>"
    )


def _small(action: str, words: str, title: str) -> str:
    return f'<button type="button" class="second small" data-action="{action}" title="{title}">{words}</button>'


# --- 2 Captions ---


def _captions() -> str:
    return (
        f'<div class="caption-tools" role="group" aria-label="Change captions">{_edit()}'
        f"{button('undo-captions', 'Undo', 'undo', text=True)}"
        f'<span class="saved" data-saved role="status"></span></div>{_automatic()}'
        '<div class="scope" data-scope><span data-scope-words></span>'
        '<button type="button" class="quiet" data-action="select-all">Select all</button>'
        '<button type="button" class="quiet" data-action="select-empty">Select those without a caption</button>'
        '<button type="button" class="quiet" data-action="select-none" hidden>Select none</button></div>'
        '<p class="problem" data-captions-problem role="alert" hidden></p>'
        '<div class="two"><div class="two-main captions" data-captions role="list" aria-label="Captions"></div>'
        '<aside class="two-side" aria-labelledby="tags-title"><h2 id="tags-title">Tags</h2>'
        '<p class="hint">Click one to see the pictures that have it.</p>'
        '<ul class="tags" data-tags></ul></aside></div>'
    )


def _automatic() -> str:
    """Who writes captions by themselves, how sure of a tag they must be, and what becomes of those that are there."""
    existing = (
        ("Keep", "Keep captions that are there"),
        ("Replace", "Replace captions that are there"),
        ("Prepend", "Put it before what is there"),
        ("Append", "Put it after what is there"),
    )
    options = "".join(f'<option value="{value}">{words}</option>' for value, words in existing)
    threshold = knobs(CaptionRequest)["interrogate_deepbooru_score_threshold"]
    return (
        '<div class="caption-tools" role="group" aria-label="Automatic captions" data-automatic>'
        '<div class="field"><label for="captioner">Who writes</label><div class="control">'
        '<select id="captioner" data-list="captioners" autocomplete="off"></select></div></div>'
        '<div class="field"><label for="captioner-existing">Captions in files</label><div class="control">'
        f'<select id="captioner-existing" autocomplete="off">{options}</select></div></div>'
        f'<div class="field" data-captioner-threshold hidden><label for="captioner-threshold" '
        f'title="{escape(threshold.help)}">{escape(threshold.label)}</label><div class="control">'
        '<input type="number" id="captioner-threshold" min="0" max="1" step="0.01" placeholder="as in Settings" '
        'autocomplete="off"></div></div>'
        f"{button('captioner', 'Write them automatically', 'pencil', text=True)}</div>"
    )


def _edit() -> str:
    actions = (
        ("replace", "Find and replace"),
        ("add", "Add a tag at the end"),
        ("prepend", "Add a tag at the beginning"),
        ("remove", "Remove a tag"),
    )
    options = "".join(f'<option value="{action}">{escape(words)}</option>' for action, words in actions)
    return (
        f'<div class="field"><label for="edit-action" class="unseen">What to do</label><div class="control">'
        f'<select id="edit-action" autocomplete="off">{options}</select></div></div>'
        + _text("edit-find", "Find")
        + _text("edit-text", "Replace with")
        + '<button type="button" class="second small" data-action="edit-captions"><span>Apply to all</span></button>'
    )


def _text(name: str, label: str) -> str:
    return (
        f'<div class="field" data-edit="{name}"><label for="{name}" class="unseen">{label}</label>'
        f'<div class="control"><input type="text" id="{name}" placeholder="{label}" autocomplete="off" '
        'spellcheck="false"></div></div>'
    )
