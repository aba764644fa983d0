"""Scripts over HTTP: A1111's `script_name` and `script_args`, and its lists."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter

from modules.extensions.values import Script
from modules.schema import infotext
from modules.schema.errors import BadRequest, UnknownName
from modules.schema.events import ImageSaved
from modules.schema.extension_options import EXTENSIONS
from modules.schema.knob import Knob, knobs
from modules.schema.request import GenerationRequest
from modules.schema.scripts import ScriptRequest
from modules.service.app import App
from modules.service.jobs import Job
from modules.service.scripts import loopback, matrix, outpainting, poor_man, prompts_file, sd_upscale, xyz
from modules.service.scripts.axes import axes_of
from modules.service.scripts.table import SCRIPTS, find_script
from modules.web.api.info import describe
from modules.web.api.models import Images
from modules.web.errors import HttpProblem

router = APIRouter(prefix="/sdapi/v1")

_AXIS = ("_type", "_values", "_dropdown")
_POSITIONS: dict[str, tuple[str, ...]] = {
    loopback.NAME: ("loops", "final_denoising_strength", "curve", "interrogation"),
    outpainting.NAME: ("info", "pixels", "mask_blur", "directions", "falloff", "colours"),
    poor_man.NAME: ("pixels", "mask_blur", "masked_content", "directions"),
    sd_upscale.NAME: ("info", "overlap", "upscaler", "scale"),
    matrix.NAME: ("put_at_start", "different_seeds", "prompt_type", "delimiter", "margin"),
    prompts_file.NAME: ("iterate_seed", "same_seed", "position", "text"),
    xyz.NAME: (
        *(f"{axis}{part}" for axis in "xyz" for part in _AXIS),
        *("draw_legend", "include_lone_images", "include_sub_grids", "keep_random_seeds"),
        *("vary_seeds_x", "vary_seeds_y", "vary_seeds_z", "margin", "csv_mode"),
    ),
}
"""Our option at each place of A1111's arguments; `info`, `_dropdown` and `csv_mode` are its page's own."""


def _positions(script: Script) -> tuple[str, ...]:
    """Of an extension's script: its options in order."""
    return _POSITIONS.get(script.name) or tuple(knobs(script.options))


_DIRECTIONS = ("left", "right", "up", "down")


def scripted(request: GenerationRequest, name: str, arguments: Sequence[Any], tab: str) -> ScriptRequest:
    """The order of a call that names a script; 422 for one that is not there."""
    try:
        script = find_script(name)
    except UnknownName as error:
        raise HttpProblem(422, f"Script not found. {error}") from None
    if tab not in script.tabs:
        raise HttpProblem(422, f"Script not found: {script.name} is none of {tab}.")
    return ScriptRequest(script=script.name, base=request, options=_options(script, arguments, tab))


def _options(script: Script, arguments: Sequence[Any], tab: str) -> dict[str, Any]:
    """Options by name; what is missing at the end takes its default, what is too much is refused."""
    names = _positions(script)
    if len(arguments) > len(names):
        raise BadRequest(f"{script.name} takes {len(names)} script_args, not {len(arguments)}.", "script_args")
    given = {name: value for name, value in zip(names, arguments, strict=False) if value is not None}
    known = knobs(script.options)
    options = {name: _typed(value, known[name]) for name, value in given.items() if name in known}
    if "directions" in given:
        options |= _directions(given["directions"])
    if script.name == xyz.NAME:
        options |= _axis_options(given, tab)
    return options


def _typed(value: Any, knob: Knob) -> Any:
    """A1111's radio buttons send their number."""
    if knob.kind is bool:
        return bool(value)
    if knob.choices and isinstance(value, int) and 0 <= value < len(knob.choices):
        return knob.choices[value]
    return value


def _directions(names: Any) -> dict[str, bool]:
    """A list of names, or one name, as the four switches."""
    wanted = {str(name).casefold() for name in (names if isinstance(names, list) else [names])}
    unknown = sorted(wanted.difference(_DIRECTIONS))
    if unknown:
        raise BadRequest(f"script_args: {unknown[0]!r} is none of {', '.join(_DIRECTIONS)}.", "script_args")
    return {name: name in wanted for name in _DIRECTIONS}


def _axis_options(given: dict[str, Any], tab: str) -> dict[str, str]:
    """Types by their number in the tab's list or by name; values as text, from the menu's list where that is used."""
    options: dict[str, str] = {}
    for axis in "xyz":
        kind = given.get(f"{axis}_type", 0)
        options[f"{axis}_type"] = kind if isinstance(kind, str) else _axis_name(kind, axis, tab)
        values, chosen = given.get(f"{axis}_values", ""), given.get(f"{axis}_dropdown")
        options[f"{axis}_values"] = (
            _csv_line(chosen) if isinstance(chosen, list) and chosen and not values else str(values)
        )
    return options


def _axis_name(number: Any, axis: str, tab: str) -> str:
    labels = [entry.label for entry in axes_of(tab)]
    if not isinstance(number, int) or not 0 <= number < len(labels):
        raise BadRequest(
            f"script_args: the {axis.upper()} type {number!r} is none of 0 to {len(labels) - 1}.", "script_args"
        )
    return labels[number]


def _csv_line(values: list[Any]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(values)
    return line.getvalue().strip()


def script_answer(app: App, job: Job, *, with_images: bool, parameters: dict[str, Any]) -> Images:
    """Grids first, as A1111; the cells of an X/Y/Z plot only where its options ask for them."""
    order = job.request
    assert isinstance(order, ScriptRequest)
    saved = sorted(job.images, key=lambda image: image.index)
    sheets = [image for image in saved if image.sheet]
    cells = [image for image in saved if not image.sheet]
    hidden = find_script(order.script).pieces or not order.options.get("include_lone_images", True)
    if sheets and hidden:
        cells = []
    shown = [*sheets, *cells]
    files = [app.image_data(image.name, job.owner) for image in shown] if with_images else []
    return Images(
        images=[base64.b64encode(data).decode("ascii") for data in files],
        parameters=parameters,
        info=json.dumps(_info(job, order, shown, len(sheets)), ensure_ascii=False),
    )


def _info(job: Job, order: ScriptRequest, shown: Sequence[ImageSaved], sheets: int) -> dict[str, Any]:
    texts = [image.infotext for image in shown]
    read = [infotext.parse(text) for text in texts]
    seeds = [int(found.params.get("Seed", order.base.seed)) for found in read]
    return {
        **describe(job, texts[sheets:] or texts, with_grid=False, denoising_strength=None),
        "all_prompts": [found.prompt for found in read],
        "all_negative_prompts": [found.negative_prompt for found in read],
        "all_seeds": seeds,
        "all_subseeds": [int(found.params.get("Variation seed", order.base.subseed)) for found in read],
        "index_of_first_image": sheets,
        "infotexts": texts,
    }


@router.get("/scripts")
def scripts() -> dict[str, list[str]]:
    return {
        tab: [
            *(facts.label.lower() for facts in EXTENSIONS if tab in facts.tabs),
            *(script.name.lower() for script in SCRIPTS if tab in script.tabs),
        ]
        for tab in ("txt2img", "img2img")
    }


@router.get("/script-info")
def script_info() -> list[dict[str, Any]]:
    """One entry for each script and tab; `args` in the order of `script_args`. Extensions are always on."""
    always = [
        {
            "name": facts.label.lower(),
            "is_alwayson": True,
            "is_img2img": tab == "img2img",
            "args": [_described(knob) for knob in facts.knobs.values()],
        }
        for tab in ("txt2img", "img2img")
        for facts in EXTENSIONS
        if tab in facts.tabs
    ]
    return always + [
        {
            "name": script.name.lower(),
            "is_alwayson": False,
            "is_img2img": tab == "img2img",
            "args": [_argument(name, script) for name in _positions(script)],
        }
        for tab in ("txt2img", "img2img")
        for script in SCRIPTS
        if tab in script.tabs
    ]


def _argument(name: str, script: Script) -> dict[str, Any]:
    knob = knobs(script.options).get(name)
    if name == "directions":
        return {"label": "Outpainting direction", "value": list(_DIRECTIONS), "minimum": None, "maximum": None,
                "step": None, "choices": list(_DIRECTIONS)}  # fmt: skip
    if knob is None:
        return {"label": name, "value": False if name == "csv_mode" else [], "minimum": None, "maximum": None,
                "step": None, "choices": None}  # fmt: skip
    return _described(knob)


def _described(knob: Knob) -> dict[str, Any]:
    return {
        "label": knob.label,
        "value": knob.default,
        "minimum": knob.minimum,
        "maximum": knob.maximum,
        "step": knob.step,
        "choices": list(knob.choices) if knob.choices else None,
    }
