"""Step 3 of the Train tab: what is learned and how. Presets, what is set each time in sight, the rest folded."""

from __future__ import annotations

import json
from dataclasses import replace
from html import escape

from modules.schema.knob import Knob, knobs
from modules.schema.training import LEARN_RATES, PRESETS, TrainingRequest
from modules.web.ui.form import KNOBS, choice, fields
from modules.web.ui.icons import svg

FORM = "train"
TRAINING: dict[str, Knob] = knobs(TrainingRequest)

_WHAT = ("name", "init_text", "num_vectors_per_token")
_DATA = ("template_filename", "fit", "training_width", "training_height")
_LEARNING = ("steps", "learn_rate", "batch_size")
_FOLDED = (("what", "File"), ("data", "How pictures are read"), ("learning", "How it learns"), ("lora", "LoRA"))
_WATCHING = "watching"
_ELSEWHERE = ("method", "data_root")  # the choice on top, and step 1
_PREVIEW = (
    *("prompt", "negative_prompt", "width", "height", "steps", "cfg_scale", "sampler", "scheduler"),
    *("seed", "batch_count"),
)
_IN_SIGHT = frozenset((*_WHAT, *_DATA, *_LEARNING, *_ELSEWHERE))


def options() -> str:
    """Markup of the step: the form at the left, what comes of it at the right."""
    rates = escape(json.dumps(LEARN_RATES))
    return f'<div class="two"><div class="two-main options" data-rates="{rates}">{_form()}</div>{_side()}</div>'


def _form() -> str:
    return (
        f"{_presets()}"
        f"{_group('What is learned', _WHAT, choice(TRAINING['method'], form=FORM))}"
        f"{_group('From what', _DATA)}"
        f"{_group('How long', _LEARNING)}"
        f'<div class="sections">{_folded()}{_previews()}</div>'
        '<button type="button" class="quiet" data-action="reset-training">'
        f"{svg('reset')}<span>Reset all options</span></button>"
    )


def _presets() -> str:
    """Known ways to begin; each says how long it takes here as soon as that is known."""
    cards = "".join(
        f'<label class="preset"><input type="radio" name="train-preset" value="{escape(name)}" autocomplete="off">'
        f'<span class="preset-name">{escape(name)}</span><span class="preset-words" data-preset-words></span></label>'
        for name in PRESETS
    )
    return f'<fieldset class="presets"><legend class="unseen">Begin with</legend>{cards}</fieldset>'


def _group(title: str, names: tuple[str, ...], before: str = "") -> str:
    inside = fields([TRAINING[name] for name in names], form=FORM, help_line=True)
    grid = "grid" if len(names) == len(_DATA) else "grid three"
    return f'<fieldset class="group"><legend>{title}</legend>{before}<div class="{grid}">{inside}</div></fieldset>'


def _folded() -> str:
    return "".join(_section(name, title, _rest(name)) for name, title in (*_FOLDED, (_WATCHING, "While it runs")))


def _rest(section: str) -> str:
    seldom = [knob for knob in TRAINING.values() if knob.section == section and knob.name not in _IN_SIGHT]
    return fields(seldom, form=FORM, help_line=True)


def _previews() -> str:
    """The request that the previews are drawn from; model, VAE and clip skip are the top bar's."""
    usual = TrainingRequest().preview
    here = [replace(KNOBS[name], default=getattr(usual, name)) for name in _PREVIEW]
    inside = fields(here, form=FORM, part="preview")
    hint = '<p class="hint">[name] stands for the new word. The checkpoint and clip skip above are used.</p>'
    return _section("preview", "Previews", inside, hint)


def _section(name: str, title: str, inside: str, before: str = "") -> str:
    return (
        f'<details class="section" data-section="train-{name}"><summary><span>{title}</span>'
        f'<span class="changed" data-changed></span></summary>{before}<div class="grid">{inside}</div></details>'
    )


def _side() -> str:
    return (
        '<aside class="two-side plan" aria-label="This training"><h2 data-plan-title>Not yet named</h2>'
        '<dl class="facts-list" data-plan></dl>'
        '<ul class="warnings" data-warnings aria-label="Warnings" aria-live="polite"></ul></aside>'
    )
