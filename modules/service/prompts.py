"""A request's prompts at the door: styles put in, and what cannot be read in them said."""

from __future__ import annotations

from typing import Protocol

from modules.catalog.styles import Style, apply_styles
from modules.prompts.prompt import parse_negative, parse_prompt
from modules.schema.errors import UnknownName
from modules.schema.request import GenerationRequest


class Styles(Protocol):
    """What is needed of the saved styles."""

    def find(self, name: str) -> Style: ...


def with_styles(request: GenerationRequest, styles: Styles | None) -> GenerationRequest:
    """The request with the texts of its styles in its prompts; raises UnknownName.

    Prompts of the hires pass that are not empty get them too.
    """
    if not request.styles:
        return request
    if styles is None:
        raise UnknownName("style", request.styles[0], (), "styles")
    chosen = [styles.find(name) for name in request.styles]
    prompts = [style.prompt for style in chosen]
    negatives = [style.negative_prompt for style in chosen]
    hires = request.hires
    if hires is not None:
        hires = hires.replace(
            prompt=hires.prompt and apply_styles(hires.prompt, prompts),
            negative_prompt=hires.negative_prompt and apply_styles(hires.negative_prompt, negatives),
        )
    return request.replace(
        prompt=apply_styles(request.prompt, prompts),
        negative_prompt=apply_styles(request.negative_prompt, negatives),
        hires=hires,
        styles=(),
    )


def prompt_problems(text: str, *, negative: bool = False) -> tuple[str, ...]:
    """Sentences on what cannot be read in a prompt and is used as text."""
    return (parse_negative(text) if negative else parse_prompt(text)).problems


def request_problems(request: GenerationRequest) -> list[str]:
    """The same for all prompts of a request; each sentence names its prompt."""
    texts = [("Prompt", request.prompt, False), ("Negative prompt", request.negative_prompt, True)]
    if request.hires is not None:
        texts.append(("Hires prompt", request.hires.prompt, False))
        texts.append(("Hires negative prompt", request.hires.negative_prompt, True))
    return [
        f"{label}: {sentence}"
        for label, text, negative in texts
        for sentence in prompt_problems(text, negative=negative)
    ]
