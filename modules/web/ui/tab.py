"""What the tabs that draw pictures share: the run bar, what is set each time, the accordions, the two sides."""

from __future__ import annotations

import gradio as gr

from modules.web.ui.extension_parts import option_sections
from modules.web.ui.form import KNOBS, SECTIONS, button, field, fields, section
from modules.web.ui.icons import svg
from modules.web.ui.output import output_panel
from modules.web.ui.scripts import scripts

_ON_TOP = ("checkpoint", "vae", "clip_skip")


def workspace(form: str, inside: str) -> None:
    """Add a tab's two sides to the Blocks being built: the form named `form` around `inside`, and its pictures."""
    with gr.Row(elem_classes="workspace", equal_height=False):
        with gr.Column(elem_classes="form-side"):
            gr.HTML(
                f'<form class="form" data-panel="{form}" aria-label="{form}" novalidate>{inside}</form>',
                apply_default_css=False,
            )
        with gr.Column(elem_classes="output-side"):
            gr.HTML(output_panel(form), apply_default_css=False)


def run_bar(*, again: bool = True) -> str:
    """Generate and what stops it; `again`: with the switch that goes on for ever."""
    forever = (
        '<button type="button" class="second forever" data-action="forever" aria-pressed="false" '
        f'aria-label="Generate forever" title="Generate forever, until Interrupt">{svg("forever")}</button>'
    )
    return (
        '<div class="run" data-run data-state="idle">'
        '<p class="run-problem" data-run-problem role="alert" hidden></p>'
        '<div class="run-buttons">'
        '<button type="button" class="primary" data-action="generate" title="Ctrl+Enter">Generate</button>'
        '<button type="button" class="stop" data-action="interrupt" title="Esc" hidden>Interrupt</button>'
        '<button type="button" class="second" data-action="skip" title="Alt+Enter" hidden>Skip</button>'
        f"{forever if again else ''}"
        '</div><i class="run-line" data-run-line></i></div>'
    )


def often(form: str, size_tools: str = "") -> str:
    """What is set each time; in two columns (a phone) the same order still pairs width with height."""
    swap = button("swap", "Swap width and height", "swap")
    seed_tools = button("dice", "Random seed", "dice") + button("recycle", "Seed of the picture shown", "recycle")
    return (
        f'<div class="grid often">{fields([KNOBS[name] for name in ("sampler", "scheduler", "steps")], form=form)}'
        f"{field(KNOBS['cfg_scale'], form=form)}{field(KNOBS['width'], form=form, extra=swap)}"
        f"{field(KNOBS['height'], form=form, extra=size_tools)}"
        f"{fields([KNOBS['batch_count'], KNOBS['batch_size']], form=form)}"
        f"{field(KNOBS['seed'], form=form, extra=seed_tools)}</div>"
        '<p class="hint" data-size-hint role="status" hidden></p>'
    )


def sometimes(form: str, parts: str = "") -> str:
    """The accordions: `parts` (those of the request's parts), then one a section of its own knobs, scripts."""
    sections = "".join(section(name, form=form, leave_out=_ON_TOP) for name in SECTIONS)
    reset = (
        f'<button type="button" class="quiet" data-action="reset">{svg("reset")}'
        "<span>Reset everything but the prompts</span></button>"
    )
    return f'<div class="sections">{parts}{sections}{option_sections(form)}{scripts(form)}</div>{reset}'
