"""The txt2img tab: words on top, what is set each time in sight, the rest one click away, the picture beside it."""

from __future__ import annotations

from modules.web.ui.form import part_fields, part_section
from modules.web.ui.prompt import prompts
from modules.web.ui.tab import often, run_bar, sometimes, workspace

_FORM = "txt2img"
# Most used first, three in a row; what is not named comes last.
_HIRES_ORDER = (
    *("upscaler", "denoising_strength", "steps", "scale", "width", "height", "checkpoint", "sampler", "scheduler"),
    *("cfg_scale", "prompt", "negative_prompt"),
)


def build() -> None:
    """Add the tab's content to the Blocks being built."""
    parts = part_section("hires", "Hires fix", form=_FORM, body=_hires())
    parts += part_section("refiner", "Refiner", form=_FORM)
    workspace(_FORM, f"{prompts(_FORM)}{run_bar()}{often(_FORM)}{sometimes(_FORM, parts)}")


def _hires() -> str:
    return (
        '<p class="hint" data-hires-size role="status"></p>'
        f'<div class="grid">{part_fields("hires", form=_FORM, only=_HIRES_ORDER)}'
        f"{part_fields('hires', form=_FORM, leave_out=_HIRES_ORDER)}</div>"
    )
