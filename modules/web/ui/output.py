"""The output panel: the picture, how far it is, its thumbnails, its text and what can be done with it."""

from __future__ import annotations

from modules.web.ui.form import button
from modules.web.ui.icons import svg

# Where a finished picture can go, by the name of the tab that draws it: the receiver (static/send.js) and its label.
_SENDS: dict[str, tuple[tuple[str, str], ...]] = {
    "txt2img": (("img2img", "img2img"), ("inpaint", "Inpaint")),
    "img2img": (("txt2img", "txt2img"), ("img2img", "img2img"), ("inpaint", "Inpaint")),
    "extras": (("img2img", "img2img"), ("inpaint", "Inpaint")),
}
EXAMPLES = (
    "a red boat on a calm sea at sunset",
    "green hills by day, watercolour",
    "a red circle on a blue background, mosaic",
    "a pink flower on a green background",
)
_EVERYWHERE = (("extras", "Extras"), ("pnginfo", "PNG Info"))


def output_panel(form: str = "txt2img") -> str:
    """Markup that `static/output.js` and `static/run.js` fill, of the tab named `form`."""
    return (
        f'<section class="output" data-panel="{form}-output" aria-label="Pictures">'
        f"{_stage(form)}{progress()}"
        '<div class="thumbs" data-thumbs role="listbox" aria-label="Pictures of this job" '
        'aria-orientation="horizontal" hidden></div>'
        f"{_facts(form)}</section>"
    )


def _stage(form: str) -> str:
    return (
        '<div class="stage" data-stage data-state="empty">'
        '<button type="button" class="picture" data-action="zoom" aria-label="Show the picture large" hidden>'
        '<img data-picture alt="" draggable="true"></button>'
        '<div class="idle" data-idle><p class="idle-title" data-idle-title>Your picture appears here</p>'
        "<p data-idle-text>Write a prompt, then press Generate or <kbd>Ctrl</kbd> <kbd>Enter</kbd>.</p>"
        f"{_examples() if form == 'txt2img' else ''}</div>"
        "</div>"
    )


def _examples() -> str:
    """Prompts that the embedded model can draw; `static/examples.js` draws them."""
    buttons = "".join(
        f'<button type="button" class="example" data-example="{prompt}" translate="no">{prompt}</button>'
        for prompt in EXAMPLES
    )
    return f'<div class="examples" data-examples hidden><p>Or try one of these:</p>{buttons}</div>'


def progress() -> str:
    """How far the job of a tab is, what it said, and what went wrong."""
    return (
        '<div class="progress" data-progress>'
        '<div class="bar" role="progressbar" aria-label="Progress of the job" aria-valuemin="0" aria-valuemax="100" '
        'aria-valuenow="0" data-bar><i></i></div>'
        '<p class="state"><span data-state-text></span>'
        '<span class="left" data-left></span></p>'
        '<p class="problem" data-problem role="alert" hidden></p>'
        '<ul class="notices" data-notices></ul></div>'
    )


def _facts(form: str) -> str:
    actions = (
        '<a class="tool wide" data-action="save" download aria-label="Save this picture" title="Save this picture">'
        f"{svg('save')}<span>Save</span></a>"
        '<a class="tool wide" data-action="zip" download aria-label="Save all pictures of the job" '
        f'title="Save all pictures of the job in one file" hidden>{svg("save")}<span>Zip</span></a>'
        f"{button('copy', 'Copy text', 'copy', text=True)}{_of_drawing(form)}"
    )
    seen = '<p class="seen" data-seen translate="no" hidden></p>' if form == "extras" else ""
    return (
        f'<div class="facts" data-facts hidden>{seen}<div class="actions">{actions}</div>'
        f"{send_row((*_SENDS.get(form, ()), *_EVERYWHERE))}"
        f'<div class="path">{button("folder", "Open the folder", "folder")}<span data-path></span></div>'
        '<div class="infotext" data-infotext tabindex="0" role="group" aria-label="Text of the picture"></div></div>'
    )


def _of_drawing(form: str) -> str:
    """What only tabs that draw can do with a picture."""
    again = button("reuse", "Use its settings", "recycle", text=True) if form in ("txt2img", "img2img") else ""
    hires = button("hires", "Hires fix", "hires", text=True) if form == "txt2img" else ""
    return again + hires


def send_row(receivers: tuple[tuple[str, str], ...]) -> str:
    """Buttons that send the picture and its parameters to other tabs; wired by `static/send.js`."""
    buttons = "".join(
        f'<button type="button" class="tool wide" data-action="to-{name}" title="Send picture and parameters to '
        f'{label}"><span>{label}</span></button>'
        for name, label in receivers
    )
    return f'<div class="sends"><span>Send to</span>{buttons}</div>'
