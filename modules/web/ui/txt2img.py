"""The txt2img tab: words on top, what is set each time in sight, the rest one click away, the picture beside it."""

from __future__ import annotations

import gradio as gr

from modules.schema.knob import Knob
from modules.web.ui.form import KNOBS, SECTIONS, button, field, fields, section, svg
from modules.web.ui.output import output_panel


def build() -> None:
    """Add the tab's content to the Blocks being built."""
    with gr.Row(elem_classes="workspace", equal_height=False):
        with gr.Column(elem_classes="form-side"):
            gr.HTML(_form(), apply_default_css=False)
        with gr.Column(elem_classes="output-side"):
            gr.HTML(output_panel(), apply_default_css=False)


def _form() -> str:
    return (
        '<form class="form" data-panel="txt2img" aria-label="txt2img" novalidate>'
        f"{_words()}{_run_bar()}{_often()}{_sometimes()}</form>"
    )


def _words() -> str:
    tools = button("paste", "Read the parameters pasted into the prompt", "paste") + button(
        "clear", "Clear both prompts", "clear"
    )
    return _prompt(KNOBS["prompt"], tools, rows=3) + _prompt(KNOBS["negative_prompt"], "", rows=2)


def _prompt(knob: Knob, tools: str, *, rows: int) -> str:
    """A prompt box over a mirror of its text, in which the borders of the 75-token chunks are drawn."""
    name = f"txt2img-{knob.name}"
    return (
        f'<div class="field prompt" data-knob="{knob.name}" data-kind="str" data-default=\'""\' '
        f'data-label="{knob.label}"><div class="prompt-head">'
        f'<label for="{name}" title="{knob.help}">{knob.label}</label>{tools}'
        f'<output class="counter" data-counter for="{name}" aria-label="{knob.label}: tokens">0/75</output></div>'
        f'<div class="paper"><div class="mirror" data-mirror aria-hidden="true"></div>'
        f'<textarea id="{name}" rows="{rows}" aria-describedby="{name}-help" spellcheck="false" autocomplete="off">'
        f'</textarea></div><p class="chunks" data-chunks hidden></p>'
        f'<span class="unseen" id="{name}-help">{knob.help}</span></div>'
    )


def _run_bar() -> str:
    return (
        '<div class="run" data-run data-state="idle">'
        '<p class="run-problem" data-run-problem role="alert" hidden></p>'
        '<div class="run-buttons">'
        '<button type="button" class="primary" data-action="generate" title="Ctrl+Enter">Generate</button>'
        '<button type="button" class="stop" data-action="interrupt" title="Esc" hidden>Interrupt</button>'
        '<button type="button" class="second" data-action="skip" title="Alt+Enter" hidden>Skip</button>'
        '</div><i class="run-line" data-run-line></i></div>'
    )


def _often() -> str:
    """What is set each time; in two columns (a phone) the same order still pairs width with height."""
    swap = button("swap", "Swap width and height", "swap")
    seed_tools = button("dice", "Random seed", "dice") + button("recycle", "Seed of the picture shown", "recycle")
    return (
        f'<div class="grid often">{fields([KNOBS["sampler"], KNOBS["scheduler"], KNOBS["steps"]])}'
        f"{field(KNOBS['cfg_scale'])}{field(KNOBS['width'], extra=swap)}{field(KNOBS['height'])}"
        f"{field(KNOBS['batch_count'])}{field(KNOBS['batch_size'])}{field(KNOBS['seed'], extra=seed_tools)}</div>"
        '<p class="hint" data-size-hint role="status" hidden></p>'
    )


def _sometimes() -> str:
    on_top = ("checkpoint", "vae", "clip_skip")
    sections = "".join(section(name, leave_out=on_top) for name in SECTIONS)
    reset = (
        f'<button type="button" class="quiet" data-action="reset">{svg("reset")}'
        "<span>Reset everything but the prompts</span></button>"
    )
    return f'<div class="sections">{sections}</div>{reset}'
