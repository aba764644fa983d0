"""The img2img tab: words, the canvas, how the picture is taken, then what all tabs that draw have."""

from __future__ import annotations

from modules.web.ui.captioner import interrogate
from modules.web.ui.form import PART_KNOBS, button, field, part_fields, part_section
from modules.web.ui.painter import PART, STATE, modes, painter
from modules.web.ui.prompt import prompts
from modules.web.ui.source import source
from modules.web.ui.tab import often, run_bar, sometimes, workspace

_FORM = "img2img"
_IMAGE_OFTEN = ("denoising_strength", "resize_mode")
_MASK_OFTEN = ("mask_blur", "mask_mode", "masked_content", "area", "padding")


def build() -> None:
    """Add the tab's content to the Blocks being built."""
    measure = button("measure", "Width and height of the picture", "measure")
    workspace(
        _FORM,
        f"{prompts(_FORM)}{interrogate(_FORM)}{run_bar()}{_begin()}{_image()}{_mask()}{often(_FORM, measure)}"
        f"{sometimes(_FORM, _sections())}",
    )


def _begin() -> str:
    """The modes, and under them the canvas or, in a batch, the pictures."""
    own_words = field(STATE["own_words"], form=_FORM, part=PART, help_line=True)
    pictures = source(_FORM, "pictures", "Drop pictures or a folder here")
    masks = source(_FORM, "masks", "Masks: one for all, or one of each picture's name; none draws all of it")
    return f'{modes(_FORM)}{painter(_FORM)}<div class="batch" data-batch hidden>{pictures}{masks}{own_words}</div>'


def _image() -> str:
    scale = field(STATE["scale"], form=_FORM, part=PART).replace('placeholder="auto"', 'placeholder="off"')
    return f'<div class="grid">{part_fields("image", form=_FORM, only=_IMAGE_OFTEN, help_line=False)}{scale}</div>'


def _mask() -> str:
    inside = part_fields("inpaint", form=_FORM, only=_MASK_OFTEN, help_line=False)
    inside += field(STATE["transparency"], form=_FORM, part=PART)
    return f'<div class="grid" data-mask-fields hidden>{inside}</div>'


def _sections() -> str:
    return (
        f"<div data-mask-fields hidden>{part_section('soft_inpaint', 'Soft inpainting', form=_FORM)}</div>"
        f"{_more('image', 'Picture', _IMAGE_OFTEN)}"
        f"<div data-mask-fields hidden>{_more('inpaint', 'Mask', _MASK_OFTEN)}</div>"
        f"{part_section('refiner', 'Refiner', form=_FORM)}"
    )


def _more(part: str, title: str, shown: tuple[str, ...]) -> str:
    """An accordion of a part's knobs that are set seldom."""
    assert set(shown) <= set(PART_KNOBS[part])
    return (
        f'<details class="section" data-section="{part}"><summary><span>{title}</span>'
        f'<span class="changed" data-changed></span></summary>'
        f'<div class="grid">{part_fields(part, form=_FORM, leave_out=shown)}</div></details>'
    )
