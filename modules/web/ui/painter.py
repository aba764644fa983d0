"""The canvas of img2img: the picture, its tools, and where a picture comes from. `static/canvas.js` draws on it."""

from __future__ import annotations

from typing import Literal

from modules.schema.frozen import Frozen
from modules.schema.knob import knob, knobs
from modules.web.ui.form import button, choice, field, hidden_field
from modules.web.ui.icons import svg

MODES = ("img2img", "Sketch", "Inpaint", "Inpaint sketch", "Inpaint upload", "Batch")


class PageState(Frozen):
    """What the img2img tab remembers beside the request: how its picture and mask come about."""

    mode: Literal["img2img", "Sketch", "Inpaint", "Inpaint sketch", "Inpaint upload", "Batch"] = knob(
        "img2img", "What to begin with", "A picture, a picture that is painted on, a picture with a mask, or many."
    )
    scale: float | None = knob(
        None, "Resize by", "Width and height follow the picture, times this; empty leaves them.", ge=0.05, le=16,
        soft_le=4, step=0.05,
    )  # fmt: skip
    brush: int = knob(32, "Brush", "Thickness of the brush in the picture's pixels.", ge=1, le=2000, soft_le=256,
                      step=1, unit="px")  # fmt: skip
    colour: str = knob("#d94f30", "Colour", "Colour of the brush; Alt and a click takes it from the picture.")
    transparency: float = knob(
        0.0, "Mask transparency", "How much of the picture shows through what is painted.", ge=0, le=100, step=1,
        unit="%",
    )  # fmt: skip
    own_words: bool = knob(
        False, "Add each picture's own words", "Prompts written in the pictures are added to those above."
    )
    base: str = knob("", "Picture", "The picture under the painting.", hidden=True)
    mask: str = knob("", "Mask", "What is masked.", hidden=True)
    paint: str = knob("", "Painting", "What is painted.", hidden=True)
    captioner: str = knob("", "Captioner", "Who was asked last to describe the picture.", hidden=True)


STATE = knobs(PageState)
PART = "page"
_HELP = (
    "Draw with the pointer. Keys: brackets change the brush, B brush, E eraser, H hand, arrows move the brush, Shift "
    "and arrows draw, Enter dabs, Control and Z undoes, plus and minus zoom, 0 shows all, S uses the whole window, "
    "Delete clears."
)


def modes(form: str) -> str:
    return choice(STATE["mode"], form=form, part=PART)


def painter(form: str) -> str:
    """The canvas with its tools, empty."""
    kept = "".join(hidden_field(STATE[name], form=form, part=PART) for name in ("base", "mask", "paint"))
    return (
        '<div class="painter" data-painter data-kind="" data-filled="">'
        f'<div class="painter-tools" role="toolbar" aria-label="Brush">{_tools(form)}</div>'
        '<div class="easel"><canvas tabindex="0" role="application" aria-label="Canvas" '
        f'aria-describedby="{form}-canvas-help"></canvas>'
        f'<span class="unseen" id="{form}-canvas-help">{_HELP}</span>{_empty(form)}</div>'
        '<div class="painter-foot"><span data-canvas-state role="status"></span><span class="painter-keys">'
        "<kbd>[</kbd> <kbd>]</kbd> brush · <kbd>Ctrl</kbd> wheel zoom · <kbd>Space</kbd> move</span>"
        f"{_view_tools()}{_file_tools(form)}</div>{kept}</div>"
    )


def _tools(form: str) -> str:
    return (
        f'<span class="brush-tools">{_tool("brush", "Brush (B)", "brush")}{_tool("eraser", "Eraser (E)", "eraser")}'
        f"{_tool('hand', 'Move the picture (H)', 'hand')}</span>"
        f'<span class="brush-fields">{field(STATE["brush"], form=form, part=PART)}{_colour(form)}</span>'
        f'<span class="layer-tools">{button("undo", "Undo (Ctrl+Z)", "undo")}'
        f"{button('redo', 'Redo (Ctrl+Y)', 'redo')}"
        f"{button('fill-layer', 'Fill', 'fill')}{button('invert-layer', 'Invert the mask', 'invert')}"
        f"{button('clear-layer', 'Clear what is drawn', 'trash')}</span>"
    )


def _view_tools() -> str:
    tools = (
        ("zoom-out", "Smaller (-)", "minus"),
        ("fit", "Show all of it (0)", "fit"),
        ("zoom-in", "Larger (+)", "plus"),
        ("enlarge", "Use the whole window", "enlarge"),
    )
    return f'<span class="view-tools">{"".join(button(*tool) for tool in tools)}</span>'


def _file_tools(form: str) -> str:
    return (
        f'<span class="file-tools">{_file(form, "mask", "Choose a mask", "picture")}'
        f"{_file(form, 'other', 'Another picture', 'folder')}"
        f"{button('remove-picture', 'Take the picture away', 'clear')}</span>"
    )


def _tool(name: str, label: str, icon: str) -> str:
    return (
        f'<button type="button" class="tool" data-tool="{name}" aria-label="{label}" title="{label}" '
        f'aria-pressed="false">{svg(icon)}</button>'
    )


def _colour(form: str) -> str:
    """The browser's own colour chooser."""
    return field(STATE["colour"], form=form, part=PART).replace('<input type="text"', '<input type="color"')


def _file(form: str, name: str, label: str, icon: str) -> str:
    """A file input that looks like the other tools."""
    return (
        f'<label class="tool chooser" title="{label}" data-file="{name}">{svg(icon)}'
        f'<input type="file" id="{form}-file-{name}" accept="image/*" aria-label="{label}"></label>'
    )


def _empty(form: str) -> str:
    """What lies over the canvas while there is no picture."""
    return (
        f'<div class="easel-call"><label class="drop-call" for="{form}-file"><b>Drop a picture here</b>'
        "<span>or choose a file, or paste one</span></label>"
        f'<input type="file" id="{form}-file" accept="image/*" aria-label="Picture to begin with">'
        '<button type="button" class="second small" data-action="blank">Start with a white sheet</button>'
        '<button type="button" class="second small" data-action="example-picture">Use an example picture</button>'
        "</div>"
    )
