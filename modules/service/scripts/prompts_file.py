"""Prompts from file or textbox: one job's worth of pictures for every line."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import ValidationError

from modules.schema.errors import BadRequest
from modules.schema.frozen import Frozen
from modules.schema.knob import knob
from modules.schema.request import GenerationRequest
from modules.service.plans import Results, Sheet

NAME = "Prompts from file or textbox"

_FIELDS: Mapping[str, tuple[str, type]] = {
    "sd_model": ("checkpoint", str), "prompt": ("prompt", str), "negative_prompt": ("negative_prompt", str),
    "styles": ("styles", str), "seed": ("seed", int), "subseed_strength": ("subseed_strength", float),
    "subseed": ("subseed", int), "seed_resize_from_h": ("seed_resize_from_h", int),
    "seed_resize_from_w": ("seed_resize_from_w", int), "sampler_name": ("sampler", str),
    "sampler_index": ("sampler", str), "batch_size": ("batch_size", int), "n_iter": ("batch_count", int),
    "steps": ("steps", int), "cfg_scale": ("cfg_scale", float), "width": ("width", int), "height": ("height", int),
    "tiling": ("tiling", bool), "restore_faces": ("face_restoration", bool),
}  # fmt: skip
"""A1111's options: our field, and what its value is."""

_IGNORED = ("outpath_samples", "outpath_grids", "prompt_for_display", "do_not_save_samples", "do_not_save_grid")
_TEXTS = ("prompt", "negative_prompt")


class PromptsOptions(Frozen):
    """The lines and what happens to seeds and to the main prompt."""

    iterate_seed: bool = knob(False, "Iterate seed every line", "Each line's seeds follow on the last line's.",
                              section="lines")  # fmt: skip
    same_seed: bool = knob(False, "Use same random seed for all lines", "Draw one seed for all lines.",
                           section="lines")  # fmt: skip
    position: Literal["start", "end"] = knob("start", "Insert prompts at the", "Where each line goes in the main "
                                             "prompt.", section="lines")  # fmt: skip
    text: str = knob("", "List of prompt inputs", "One a line; --steps 20 --prompt ... sets parameters.",
                     section="lines")  # fmt: skip


class PromptsFromFile:
    """One cell a line that is not empty."""

    in_order = False
    saves_cells = True

    def __init__(self, base: GenerationRequest, options: PromptsOptions) -> None:
        self._options = options
        lines = [line.strip() for line in options.text.splitlines() if line.strip()]
        if not lines:
            raise BadRequest("There are no prompts: write one on every line.", "text")
        self._requests: list[GenerationRequest] = []
        seed = base.seed
        for line in lines:
            request = self._request(base.replace(seed=seed), line)
            self._requests.append(request)
            if options.iterate_seed and seed >= 0:
                seed += request.image_count

    @property
    def cells(self) -> int:
        return len(self._requests)

    def size(self, index: int) -> int:
        """Pictures of a line."""
        return self._requests[index].image_count

    def cell(self, index: int, results: Results | None = None) -> GenerationRequest:
        """A line's request."""
        del results
        return self._requests[index]

    def sheets(self, results: Results) -> list[Sheet]:
        """None: lines have nothing in common."""
        del results
        return []

    def _request(self, base: GenerationRequest, line: str) -> GenerationRequest:
        values = line_values(line)
        for field in _TEXTS:
            main, own = getattr(base, field), values.get(field)
            if own and main:
                values[field] = f"{own} {main}" if self._options.position == "start" else f"{main} {own}"
            elif own is None and field in values:
                del values[field]
        try:
            return base.replace(**values)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise BadRequest(
                f"The line {line[:60]!r} cannot be used: {first['loc'][0]}: {first['msg']}.", "text"
            ) from None


def line_values(line: str) -> dict[str, Any]:
    """Our fields that a line sets. A line that is no list of options is a prompt as it stands.

    Words of a prompt go up to the next option. An apostrophe is a letter there, not an open quote.
    """
    if "--" not in line:
        return {"prompt": line}
    try:
        words = shlex.split(line)
    except ValueError:
        words = shlex.split(line.replace("'", "\\'")) if line.count('"') % 2 == 0 else [line]
    try:
        return _options(words)
    except (ValueError, IndexError):
        return {"prompt": line}


def _options(words: list[str]) -> dict[str, Any]:
    """Raises ValueError or IndexError for what is no list of options."""
    values: dict[str, Any] = {}
    position = 0
    while position < len(words):
        if not words[position].startswith("--"):
            raise ValueError(words[position])
        name = words[position][2:]
        if name in _TEXTS:
            end = next((n for n in range(position + 1, len(words)) if words[n].startswith("--")), len(words))
            values[name] = " ".join(words[position + 1 : end])
            position = end
            continue
        value = words[position + 1]
        if name not in _IGNORED:
            field, kind = _FIELDS.get(name) or _unknown(name)
            values[field] = _typed(value, field, kind)
        position += 2
    return values


def _unknown(name: str) -> tuple[str, type]:
    raise ValueError(name)


def _typed(value: str, field: str, kind: type) -> Any:
    if field == "styles":
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if field == "face_restoration":
        return "CodeFormer" if value == "true" else "None"
    return value == "true" if kind is bool else kind(value)
