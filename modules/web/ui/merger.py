"""The Checkpoint Merger tab: up to three checkpoints become one file."""

from __future__ import annotations

import gradio as gr

from modules.schema.knob import knobs
from modules.schema.merge import MergeRequest
from modules.web.ui.form import fields
from modules.web.ui.output import progress

KNOBS = knobs(MergeRequest)
_FORM = "merge"
_PARENTS = ("checkpoint_a", "checkpoint_b", "checkpoint_c")
_RECIPE = ("method", "multiplier")
_RESULT = ("name", "precision", "vae", "keep_ema", "copy_metadata", "discard")


def build() -> None:
    """Add the tab's content to the Blocks being built."""
    gr.HTML(_markup(), apply_default_css=False)


def _markup() -> str:
    return (
        f'<form class="merger form" data-panel="{_FORM}" aria-label="Checkpoint Merger" novalidate>'
        f"<div>{_group('Models', _PARENTS)}{_group('Recipe', _RECIPE)}{_group('Result', _RESULT)}</div>"
        f'<div class="merge-run"><p class="recipe" data-recipe role="status"></p>{_run()}'
        f'<section class="output merge-output" data-panel="{_FORM}-output" aria-label="Merge">{progress()}</section>'
        "</div></form>"
    )


def _group(title: str, names: tuple[str, ...]) -> str:
    inside = fields([KNOBS[name] for name in names], form=_FORM, help_line=True)
    return (
        f'<fieldset class="group" data-group="{title.lower()}"><legend>{title}</legend>'
        f'<div class="grid">{inside}</div></fieldset>'
    )


def _run() -> str:
    return (
        '<div class="run" data-run data-state="idle">'
        '<p class="run-problem" data-run-problem role="alert" hidden></p>'
        '<p class="ask" data-ask role="alert" hidden><span data-ask-words></span>'
        '<button type="button" class="second small" data-action="overwrite">Replace it</button></p>'
        '<div class="run-buttons">'
        '<button type="button" class="primary" data-action="generate">Merge</button>'
        '<button type="button" class="stop" data-action="interrupt" hidden>Stop</button>'
        '<button type="button" class="second" data-action="skip" hidden>Skip</button>'
        '</div><i class="run-line" data-run-line></i></div>'
    )
