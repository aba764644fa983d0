"""What the keys of A1111's text mean for a request, both ways. Knobs bring their own key; here are the exceptions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from modules.schema.extension_options import extension_params, read_extensions
from modules.schema.infotext_format import Infotext
from modules.schema.infotext_networks import read_networks
from modules.schema.infotext_parts import PART_KEYS, part_params, read_parts, split_title
from modules.schema.infotext_reading import Reading
from modules.schema.knob import Knob, knobs
from modules.schema.request import GenerationRequest
from modules.schema.samplers import AUTOMATIC, SAMPLERS, SCHEDULES, split_sampler_name

KNOBS = knobs(GenerationRequest)

# A1111's order; all other keys follow in the order of the knobs, then that of the facts, then LAST.
FIRST = (
    *("Steps", "Sampler", "Schedule type", "CFG scale", "Image CFG scale", "Seed", "Face restoration", "Size"),
    *("Model hash", "Model", "FP8 weight", "Cache FP16 weight for LoRA", "VAE hash", "VAE", "Variation seed"),
    *("Variation seed strength", "Seed resize from", "Denoising strength", "Conditional mask weight", "Clip skip"),
    *("ENSD", "Token merging ratio", "Token merging ratio hr", "Init image hash", "RNG", "Tiling"),
)
LAST = ("Version", "User")
# Keys that inform only: a picture does not depend on them.
_INFORMING = frozenset(
    (
        "Model hash",
        "VAE hash",
        "Lora hashes",
        "TI hashes",
        "Hashes",
        "Init image hash",
        "Version",
        "User",
        "Size",
        "Template",
        "Negative Template",
    )
)
KNOWN_KEYS = frozenset(
    (*FIRST, *LAST, *PART_KEYS, *(k.infotext for k in KNOBS.values() if k.infotext), "Postprocess upscale by")
)
# Written and read beside the knobs' own keys: width and height share one.
_PAIRS = {"Size": ("width", "height"), "Seed resize from": ("seed_resize_from_w", "seed_resize_from_h")}
_NOT_IN_LINE = frozenset(("prompt", "negative_prompt"))
# What a missing key says in A1111's text, where that is not our knob's default.
_ABSENT: dict[str, Any] = {"rng": "GPU"}
# A text without these leaves them as they were: there is no value that A1111 would take.
_KEPT_IF_ABSENT = frozenset(("steps", "sampler", "cfg_scale", "seed", "checkpoint"))
_OWN_VAE = "None"
# A1111 rounded the noise table to half precision before this version (four numbers: v1.7.0-225).
_DOWNCAST_BEFORE = (1, 7, 0, 225)
# And read the times of prompt editing otherwise before this one.
_OLD_EDITING_BEFORE = (1, 6, 0, 0)
_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(?:-(\d+))?")


def _writes_emphasis(request: GenerationRequest) -> bool:
    text = request.prompt + request.negative_prompt
    return request.emphasis != "Original" and (any(c in text for c in "([\\") or "BREAK" in text)


def _writes_ensd(request: GenerationRequest) -> bool:
    marked = request.sampler in SAMPLERS and SAMPLERS.get(request.sampler).ensd
    return request.ensd != 0 and marked and request.eta != 0


# When a knob's key is written; every other knob is when it differs from what a missing key says.
_WRITTEN: dict[str, Callable[[GenerationRequest], bool]] = {
    "steps": lambda _: True,
    "sampler": lambda _: True,
    "scheduler": lambda _: True,
    "cfg_scale": lambda _: True,
    "seed": lambda _: True,
    "checkpoint": lambda request: bool(request.checkpoint),
    "vae": lambda request: request.vae not in ("", AUTOMATIC, _OWN_VAE),
    "subseed": lambda request: request.subseed_strength != 0,
    "emphasis": _writes_emphasis,
    "ensd": _writes_ensd,
    "eta": lambda request: request.eta not in (None, 1),
}


def _absent(knob: Knob) -> Any:
    return _ABSENT.get(knob.name, knob.default)


def to_params(request: GenerationRequest, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The parameter line's pairs in writing order; `facts` go before what the request says."""
    found: dict[str, Any] = {}
    for name, knob in KNOBS.items():
        if knob.infotext is None or name in _NOT_IN_LINE:
            continue
        value = getattr(request, name)
        rule = _WRITTEN.get(name)
        if rule(request) if rule else value != _absent(knob):
            found[knob.infotext] = value
    if request.checkpoint:
        found["Model"], found["Model hash"] = split_title(request.checkpoint)
    found["Size"] = f"{request.width}x{request.height}"
    if request.seed_resize_from_w > 0 and request.seed_resize_from_h > 0:
        found["Seed resize from"] = f"{request.seed_resize_from_w}x{request.seed_resize_from_h}"
    found.update(part_params(request))
    found.update(extension_params(request.extensions))
    found.update(facts)
    middle = [key for key in found if key not in FIRST and key not in LAST]
    order = [*FIRST, *middle, *LAST]
    return {key: found[key] for key in order if found.get(key) not in (None, "")}


def to_request(infotext: Infotext, base: GenerationRequest) -> tuple[GenerationRequest, list[str]]:
    """The request that a text describes, and a sentence for each thing in it that could not be taken. Never fails.

    A missing key means what A1111 means by it (random numbers of the GPU, Automatic schedule, ...). From `base` come
    batch count and size, and checkpoint, steps, sampler, CFG scale, seed and size where the text lacks them; a text
    without parameters replaces the prompts only.
    """
    prompts = {"prompt": infotext.prompt, "negative_prompt": infotext.negative_prompt}
    if not infotext.params:
        return base.replace(**prompts), []
    reading = Reading(infotext.params, dict(prompts))
    _read_sampler(reading)
    _read_checkpoint(reading)
    for name, knob in KNOBS.items():
        if knob.infotext is None or name in _NOT_IN_LINE or name in ("sampler", "scheduler", "checkpoint"):
            continue
        raw = reading.take(knob.infotext)
        if raw is not None:
            reading.knob(knob, knob.infotext, raw)
        elif name not in _KEPT_IF_ABSENT:
            reading.values[name] = _absent(knob)
    _read_pairs(reading)
    read_networks(reading)
    read_parts(reading, base)
    read_extensions(reading)
    _apply_old_version(reading)
    unused = [key for key in reading.params if key not in reading.used and key not in _INFORMING]
    if unused:
        names = ", ".join(dict.fromkeys(re.sub(r"-[12]$", "", key) for key in unused))
        reading.notices.append(f"These parts of the text are not used here: {names}.")
    return base.replace(**reading.values), reading.notices


def _read_sampler(reading: Reading) -> None:
    """Sampler and schedule; the old combined names are split; a schedule of its own key goes first."""
    schedule: str | None = None
    raw = reading.take("Sampler")
    if raw is not None:
        name, schedule = split_sampler_name(raw)
        if name in SAMPLERS:
            reading.values["sampler"] = SAMPLERS.get(name).label
        else:
            reading.skip("Sampler", raw, "there is no sampler of that name")
    raw = reading.take("Schedule type")
    if raw is not None and raw not in SCHEDULES:
        reading.skip("Schedule type", raw, "there is no schedule of that name")
    elif raw is not None:
        schedule = SCHEDULES.get(raw).label
    reading.values["scheduler"] = schedule or AUTOMATIC


def _read_checkpoint(reading: Reading) -> None:
    name, digits = reading.take("Model"), reading.take("Model hash")
    if name and digits:
        reading.values["checkpoint"] = f"{name} [{digits.lower()}]"
    elif name or digits:
        reading.values["checkpoint"] = name or digits


def _read_pairs(reading: Reading) -> None:
    for key, names in _PAIRS.items():
        raw = reading.take(key)
        sides = raw.split("x") if raw else []
        if len(sides) == 2:
            for name, side in zip(names, sides, strict=True):
                reading.knob(KNOBS[name], key, side)
        elif raw:
            reading.skip(key, raw, "it is not of the form WIDTHxHEIGHT")
        elif key != "Size":
            reading.values.update(dict.fromkeys(names, 0))


def _apply_old_version(reading: Reading) -> None:
    """Settings without which a picture of an old A1111 would come out differently."""
    match = _VERSION.match(reading.params.get("Version", ""))
    if not match:
        return
    version = tuple(int(part or 0) for part in match.groups())
    if version < _DOWNCAST_BEFORE and "Downcast alphas_cumprod" not in reading.params:
        reading.values["downcast_alphas_cumprod"] = True
    edited = any("[" in reading.values[name] for name in ("prompt", "negative_prompt"))
    if version < _OLD_EDITING_BEFORE and edited and "Old prompt editing timelines" not in reading.params:
        reading.values["use_old_scheduling"] = True
