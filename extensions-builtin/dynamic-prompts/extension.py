"""Prompts with choices in them: every picture of a job gets words of its own, drawn by its seed or in order."""

from __future__ import annotations

import random
from typing import Literal

from modules.extensions import Options, PictureFacts, Places, Prompts, hook, knob

from .template import chosen, nth, parse
from .wildcards import Wildcards

WILDCARDS = Wildcards()


class DynamicOptions(Options):
    order: Literal["Random", "In order"] = knob(
        "Random", "Choices", "Random draws by each picture's seed; In order takes one combination after another.",
        section="dynamic prompts",
    )  # fmt: skip
    same: bool = knob(False, "Same words for all pictures", "Only the pictures' seeds differ then.",
                      section="dynamic prompts")  # fmt: skip
    negative: bool = knob(True, "In the negative prompt too", "Choices in the negative prompt.",
                          section="dynamic prompts")  # fmt: skip


@hook
def started(places: Places) -> None:
    WILDCARDS.folder = places.data / "wildcards"


@hook
def options() -> type[Options]:
    return DynamicOptions


@hook
def prompt(prompts: Prompts, options: DynamicOptions, picture: PictureFacts, texts: dict[str, str]) -> Prompts:
    first = picture.index if options.same else 0
    made = Prompts(
        made_of(prompts.prompt, options, picture.index - first, picture.seed - first),
        made_of(prompts.negative_prompt, options, picture.index - first, picture.seed - first)
        if options.negative
        else prompts.negative_prompt,
    )
    if made.prompt != prompts.prompt:
        texts["Template"] = prompts.prompt
    if made.negative_prompt != prompts.negative_prompt:
        texts["Negative Template"] = prompts.negative_prompt
    return made


def made_of(text: str, options: DynamicOptions, index: int, seed: int) -> str:
    """The words of a picture; raises BadRequest for a wildcard that is not there."""
    template = parse(text)
    if options.order == "In order":
        return nth(template, index, WILDCARDS.lines)[0]
    return chosen(template, random.Random(seed), WILDCARDS.lines)
