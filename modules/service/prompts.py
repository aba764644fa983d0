"""A request's prompts at the door: styles put in, and what cannot be read in them said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from modules.catalog.styles import Style, apply_styles, find_styles
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


def without_styles(request: GenerationRequest, styles: Sequence[Style]) -> GenerationRequest:
    """The request with the styles that its prompts went through by name, as far as that gives the same again."""
    names, prompt, negative = find_styles(request.prompt, request.negative_prompt, styles)
    if not names or request.styles:
        return request
    hires = request.hires
    if hires is not None:
        chosen = [style for name in names for style in styles if style.name == name]
        found = find_styles(hires.prompt or request.prompt, hires.negative_prompt or request.negative_prompt, chosen)
        hires = hires.replace(prompt=hires.prompt and found[1], negative_prompt=hires.negative_prompt and found[2])
    named = request.replace(prompt=prompt, negative_prompt=negative, styles=tuple(names), hires=hires)
    known = _Known({style.name: style for style in styles})
    return named if with_styles(named, known) == request else request


@dataclass(frozen=True)
class _Known:
    by_name: dict[str, Style]

    def find(self, name: str) -> Style:
        return self.by_name[name]


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
