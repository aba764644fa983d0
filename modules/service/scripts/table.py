"""The scripts there are, by name, and how one is made ready for a request."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import ValidationError

from modules.extensions.hooks import hook
from modules.extensions.values import Script
from modules.schema.errors import BadRequest
from modules.schema.frozen import Frozen
from modules.schema.knob import knobs
from modules.schema.registry import Registry
from modules.schema.scripts import ScriptRequest
from modules.service.inputs import InputPictures
from modules.service.plans import Program
from modules.service.scripts import loopback, matrix, outpainting, poor_man, prompts_file, sd_upscale, several, xyz
from modules.service.scripts.drawn import Drawn


class _Own:
    """The scripts of the program itself, through the hook that extensions have."""

    @hook
    def register_scripts(self, register: Callable[[Script], None]) -> None:
        for script in _OWN:
            register(script)


_OWN: tuple[Script, ...] = (
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
        several.PROMPTS,
        several.PromptsOptions,
        lambda base, options, _: several.SeveralPrompts(base, options),
        tabs=(),
    ),
    Script(
        xyz.NAME,
        xyz.XyzOptions,
        lambda base, options, _: xyz.XyzPlot(base, options),
        prepare=xyz.fixed_seeds,
        keeps_random=lambda options: options.keep_random_seeds,
    ),
)


SCRIPTS: Registry[Script] = Registry("script", ())
_Own().register_scripts(SCRIPTS.add)


def find_script(name: str) -> Script:
    """By name in any case; raises UnknownName."""
    return SCRIPTS.get(name, "script")


def prepared(order: ScriptRequest) -> tuple[ScriptRequest, bool]:
    """The order with its options complete and nothing left to chance in them, and whether cells draw seeds of their
    own; raises BadRequest."""
    script = find_script(order.script)
    options = script.prepare(_options(script, order))
    return order.replace(script=script.name, options=options.model_dump(mode="json")), script.keeps_random(options)


def make_program(order: ScriptRequest, inputs: InputPictures) -> Program:
    """The script's cells over its base; raises UnknownName or BadRequest."""
    script = find_script(order.script)
    options = _options(script, order)
    if script.function is not None:
        return Drawn(script, order.base, options)
    if script.make is None:
        raise BadRequest(f"The script {script.name} does nothing: its extension gave no function for it.", "script")
    return script.make(order.base, options, inputs)


def _options(script: Script, order: ScriptRequest) -> Frozen:
    try:
        return script.options.model_validate(order.options)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = str(first["loc"][0]) if first["loc"] else "options"
        known = knobs(script.options).get(field)
        label = known.label if known else field
        raise BadRequest(f"{script.name}: {label} cannot be {first['input']!r}: {first['msg']}.", field) from None
