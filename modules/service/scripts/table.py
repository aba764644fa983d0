"""The scripts there are, by name, and how one is made ready for a request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from modules.schema.errors import BadRequest, UnknownName
from modules.schema.frozen import Frozen
from modules.schema.knob import knobs
from modules.schema.request import GenerationRequest
from modules.schema.scripts import ScriptRequest
from modules.service.inputs import InputPictures
from modules.service.plans import Program
from modules.service.scripts import loopback, matrix, outpainting, poor_man, prompts_file, sd_upscale, several, xyz


@dataclass(frozen=True)
class Script:
    """`prepare` leaves nothing to chance in the options; `tabs` says where it is offered.

    `pieces`: its cells are parts of the pictures that it makes, and of no use alone.
    `keeps_random`: whether, with these options, a seed of -1 stays for each cell to draw its own.
    """

    name: str
    options: type[Frozen]
    make: Callable[[GenerationRequest, Any, InputPictures], Program]
    tabs: tuple[str, ...] = ("txt2img", "img2img")
    prepare: Callable[[Any], Any] = lambda options: options
    pieces: bool = False
    keeps_random: Callable[[Any], bool] = lambda options: False


SCRIPTS: tuple[Script, ...] = (
    Script(loopback.NAME, loopback.LoopbackOptions, loopback.Loopback, tabs=("img2img",)),
    Script(outpainting.NAME, outpainting.OutpaintingOptions, outpainting.Outpainting, tabs=("img2img",), pieces=True),
    Script(poor_man.NAME, poor_man.PoorManOptions, poor_man.PoorMan, tabs=("img2img",), pieces=True),
    Script(sd_upscale.NAME, sd_upscale.SdUpscaleOptions, sd_upscale.SdUpscale, tabs=("img2img",), pieces=True),
    Script(matrix.NAME, matrix.MatrixOptions, lambda base, options, _: matrix.PromptMatrix(base, options)),
    Script(
        prompts_file.NAME,
        prompts_file.PromptsOptions,
        lambda base, options, _: prompts_file.PromptsFromFile(base, options),
        keeps_random=lambda options: not (options.iterate_seed or options.same_seed),
    ),
    Script(several.NAME, several.SeveralOptions, several.SeveralPictures, tabs=()),
    Script(
        xyz.NAME,
        xyz.XyzOptions,
        lambda base, options, _: xyz.XyzPlot(base, options),
        prepare=xyz.fixed_seeds,
        keeps_random=lambda options: options.keep_random_seeds,
    ),
)


def find_script(name: str) -> Script:
    """By name in any case; raises UnknownName."""
    for script in SCRIPTS:
        if script.name.casefold() == name.strip().casefold():
            return script
    raise UnknownName("script", name, [script.name for script in SCRIPTS], "script")


def prepared(order: ScriptRequest) -> tuple[ScriptRequest, bool]:
    """The order with its options complete and nothing left to chance in them, and whether cells draw seeds of their
    own; raises BadRequest."""
    script = find_script(order.script)
    options = script.prepare(_options(script, order))
    return order.replace(script=script.name, options=options.model_dump(mode="json")), script.keeps_random(options)


def make_program(order: ScriptRequest, inputs: InputPictures) -> Program:
    """The script's cells over its base; raises UnknownName or BadRequest."""
    script = find_script(order.script)
    return script.make(order.base, _options(script, order), inputs)


def _options(script: Script, order: ScriptRequest) -> Frozen:
    try:
        return script.options.model_validate(order.options)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = str(first["loc"][0]) if first["loc"] else "options"
        known = knobs(script.options).get(field)
        label = known.label if known else field
        raise BadRequest(f"{script.name}: {label} cannot be {first['input']!r}: {first['msg']}.", field) from None
