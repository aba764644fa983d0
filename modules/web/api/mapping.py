"""From an A1111 request to ours. Most fields have the same name in both; the exceptions are all in this file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from modules.schema import infotext
from modules.schema.errors import UnknownName
from modules.schema.extension_options import EXTENSIONS
from modules.schema.knob import knobs
from modules.schema.parts import PARTS
from modules.schema.request import GenerationRequest
from modules.schema.samplers import SAMPLERS, SCHEDULES, SamplerFacts, split_sampler_name
from modules.web.api.models import ImageToImage, TextToImage
from modules.web.api.option_table import CHECKPOINT
from modules.web.api.options import Options, request_fields
from modules.web.api.parts import SOFT_INPAINTING, Keep, image_parts, text_parts
from modules.web.errors import HttpProblem, bad_value

KNOBS = knobs(GenerationRequest)

RENAMED: dict[str, str] = {"n_iter": "batch_count"}
"""A1111's field: ours."""

LEAST: dict[str, int] = {"seed": -1, "subseed": -1, "seed_resize_from_w": 0, "seed_resize_from_h": 0}
"""Fields of which A1111's clients send any negative number for "none"."""

SAMPLER_FIELDS = ("sampler_name", "sampler_index", "scheduler", "eta")
"""Fields that are understood together, not one by one."""

_SPELLINGS = {ours: theirs for theirs, ours in RENAMED.items()}


def to_request(body: TextToImage, options: Options, keep: Keep) -> tuple[GenerationRequest, dict[str, Any]]:
    """The request of a body, and the option values that are in force for it (its overrides applied).

    What the body leaves open comes from its `infotext`, then from the options. Its pictures go to `keep`.
    """
    refuse_unsupported(body)
    overrides = body.override_settings or {}
    values = options.checked(overrides)
    overridden = request_fields(overrides)
    if overrides.get(CHECKPOINT):
        overridden["checkpoint"] = str(overrides[CHECKPOINT])
    try:
        request = _request(body, request_fields(values), overridden)
        changes = {**_parts(body, values, request, keep), **_faces(body, values)}
        return request.replace(**changes, extensions={**request.extensions, **_extensions(body)}), values
    except ValidationError as error:
        raise bad_value(error, GenerationRequest, _SPELLINGS) from None


def _request(body: TextToImage, from_options: dict[str, Any], overridden: dict[str, Any]) -> GenerationRequest:
    """Each later source wins: options, the body's defaults, its infotext, what it says itself, its overrides."""
    request = GenerationRequest.model_validate({**from_options, **_fields(body, _all_names(body))})
    if body.infotext is not None:
        pasted, _ = infotext.to_request(infotext.parse(body.infotext), request)
        request = pasted.replace(**_fields(body, body.model_fields_set))
    return request.replace(**overridden)


def _parts(body: TextToImage, values: dict[str, Any], request: GenerationRequest, keep: Keep) -> dict[str, Any]:
    pasted = {name: getattr(request, name) for name in PARTS}
    if isinstance(body, ImageToImage):
        return image_parts(body, values, pasted, keep)
    return text_parts(body, values, pasted, keep)


def _faces(body: TextToImage, values: Mapping[str, Any]) -> dict[str, Any]:
    """Face restoration, where the body or an option says something of it."""
    wanted = values["face_restoration"] if body.restore_faces is None else body.restore_faces
    if body.restore_faces is None and not wanted:
        return {}
    return {"face_restoration": values["face_restoration_model"] if wanted else "None"}


def _all_names(body: TextToImage) -> Iterable[str]:
    return {*type(body).model_fields, *(body.model_extra or {})}


def _fields(body: TextToImage, names: Iterable[str]) -> dict[str, Any]:
    """Our parameters from the body's fields `names`; None means "not given"."""
    given = {name: value for name in names if (value := getattr(body, name)) is not None}
    fields: dict[str, Any] = {}
    for name, value in given.items():
        ours = RENAMED.get(name, name)
        if ours in KNOBS and name not in SAMPLER_FIELDS:
            fields[ours] = max(value, LEAST[name]) if name in LEAST else value
    if body.styles and "styles" in given:
        fields["styles"] = tuple(body.styles)
    return {**fields, **_sampling(given)}


def _sampling(given: Mapping[str, Any]) -> dict[str, Any]:
    """Sampler, schedule and eta: `sampler_index` is the old name of `sampler_name`, which wins; an old combined
    sampler name brings its schedule; `eta` means the eta of the sampler's own kind.
    """
    fields: dict[str, Any] = {}
    domain = "sigma"
    if given.get("scheduler"):
        fields["scheduler"] = SCHEDULES.get(given["scheduler"], "scheduler").label
    if name := given.get("sampler_name") or given.get("sampler_index") or given.get("sampler"):
        sampler, schedule = split_sampler_name(name)
        facts = _known_sampler(sampler)
        domain = facts.domain
        fields["sampler"] = facts.label
        if schedule is not None:
            fields["scheduler"] = schedule
    if "eta" in given:
        fields["eta_ddim" if domain == "timestep" else "eta"] = given["eta"]
    return fields


def _known_sampler(name: str) -> SamplerFacts:
    try:
        return SAMPLERS.get(name)
    except UnknownName as error:
        raise HttpProblem(400, f"Sampler not found. {error}") from None


def refuse_unsupported(body: TextToImage) -> None:
    """Raise for a feature that this program does not have: a picture without it is not what was asked for."""
    known = (SOFT_INPAINTING,) if isinstance(body, ImageToImage) else ()
    for name in body.alwayson_scripts or {}:
        if name.casefold() not in known and name not in EXTENSIONS:
            raise HttpProblem(422, f"Script not found: {name!r}. No extension of that name is on here.")


def _extensions(body: TextToImage) -> dict[str, Any]:
    """Extensions that are named as scripts that are always on: their options in order, or one object of them."""
    found: dict[str, Any] = {}
    for name, script in (body.alwayson_scripts or {}).items():
        if name not in EXTENSIONS:
            continue
        facts = EXTENSIONS.get(name)
        arguments = list(script.get("args") or []) if isinstance(script, dict) else []
        if len(arguments) > len(facts.knobs):
            raise HttpProblem(422, f"{facts.label} takes {len(facts.knobs)} args, not {len(arguments)}.")
        by_name = len(arguments) == 1 and isinstance(arguments[0], dict)
        found[facts.name] = arguments[0] if by_name else dict(zip(facts.knobs, arguments, strict=False))
    return found
