"""The request's optional parts in A1111's text, both ways: img2img, inpainting, hires fix, refiner."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from modules.schema.frozen import Frozen
from modules.schema.infotext_reading import Reading
from modules.schema.knob import Knob, knobs
from modules.schema.parts import PARTS, SAME_CHECKPOINT
from modules.schema.request import GenerationRequest
from modules.schema.samplers import AUTOMATIC, split_sampler_name

_ENDINGS = (".safetensors", ".ckpt", ".pt")
_HASH = re.compile(r"[0-9a-f]{8,64}")
_PICTURE = re.compile(r"[0-9a-f]{64}")

_KNOBS: dict[str, dict[str, Knob]] = {part: knobs(model) for part, model in PARTS.items()}
# Input pictures by their content, so that a text alone can find them again.
_PICTURES = {
    "image": {"picture": "Init image hash"},
    "inpaint": {"mask": "Mask hash", "latent_mask": "Latent mask hash"},
    "hires": {"picture": "Hires first pass hash"},
}
_SOFT = "Soft inpainting enabled"
_RESIZE = "Hires resize"
_OLD_FIRST_PASS = "First pass size"
# Written whatever their value, as A1111 does; all others where they differ from their default.
_ALWAYS: dict[str, tuple[str, ...]] = {
    "image": ("denoising_strength",),
    "inpaint": ("mask_blur",),
    "soft_inpaint": tuple(_KNOBS["soft_inpaint"]),
    "hires": ("denoising_strength", "upscaler", "scale"),
    "refiner": ("checkpoint", "switch_at"),
}
_MODELS = {"hires": "checkpoint", "refiner": "checkpoint"}
# A part is on when one of these keys is in the text.
_SIGNS: dict[str, tuple[str, ...]] = {
    "hires": ("Hires upscale", f"{_RESIZE}-1", "Hires upscaler", "Hires steps", f"{_OLD_FIRST_PASS}-1"),
    "inpaint": ("Mask blur", "Mask mode", "Masked content", "Inpaint area", "Masked area padding", "Mask hash"),
    "soft_inpaint": (_SOFT,),
    "image": ("Denoising strength",),
    "refiner": ("Refiner",),
}
PART_KEYS = frozenset(
    (_SOFT, _RESIZE, _OLD_FIRST_PASS, *(key for keys in _PICTURES.values() for key in keys.values()))
    + tuple(k.infotext for part in _KNOBS.values() for k in part.values() if k.infotext)
)


def split_title(title: str) -> tuple[str, str | None]:
    """(file stem, hash or None) of a checkpoint's title `dir/name.safetensors [0123456789]`."""
    name, bracket, rest = title.strip().rpartition("[")
    digits = rest.removesuffix("]") if bracket and rest.endswith("]") else ""
    known = digits if _HASH.fullmatch(digits) else None
    file = (name if known else title).strip().replace("\\", "/").rpartition("/")[2]
    stem = next((file.removesuffix(ending) for ending in _ENDINGS if file.endswith(ending)), file)
    return stem, known


def part_params(request: GenerationRequest) -> dict[str, Any]:
    """The pairs of all parts that are on."""
    found: dict[str, Any] = {}
    for name in PARTS:
        part: Frozen | None = getattr(request, name)
        if part is not None:
            found.update(_params(name, part))
    return found


def _params(name: str, part: Frozen) -> dict[str, Any]:
    found: dict[str, Any] = {_SOFT: True} if name == "soft_inpaint" else {}
    for field, knob in _KNOBS[name].items():
        value = getattr(part, field)
        if knob.infotext and value is not None and (field in _ALWAYS[name] or value != knob.default):
            found[knob.infotext] = int(value) if isinstance(value, float) and value.is_integer() else value
    if name in _MODELS and (title := getattr(part, _MODELS[name])) != SAME_CHECKPOINT:
        stem, digits = split_title(title)
        key = _KNOBS[name][_MODELS[name]].infotext
        found[str(key)] = f"{stem} [{digits}]" if digits else stem
    if name == "hires" and (getattr(part, "width", 0) or getattr(part, "height", 0)):
        del found["Hires upscale"]
        found[_RESIZE] = f"{getattr(part, 'width', 0)}x{getattr(part, 'height', 0)}"
    for field, key in _PICTURES.get(name, {}).items():
        if field != "latent_mask" or getattr(part, field):
            found[key] = getattr(part, field)
    return found


def read_parts(reading: Reading, base: GenerationRequest) -> None:
    """Put the parts that the text describes into the reading's values.

    Hires fix and refiner are off where it has none. A picture and mask of `base` stay where it names none, for a text
    says how to draw, not always on what; hires fix takes them away.
    """
    on = {name: any(sign in reading.params for sign in signs) for name, signs in _SIGNS.items()}
    on["image"] = (on["image"] or on["inpaint"]) and not on["hires"]
    on["inpaint"] = on["inpaint"] and on["image"]
    on["soft_inpaint"] = on["soft_inpaint"] and on["inpaint"]
    for name in PARTS:
        if on[name]:
            reading.values[name] = _part(reading, name, getattr(base, name))
        elif name in ("hires", "refiner") or on["hires"] or on["image"]:
            reading.values[name] = None


def _part(reading: Reading, name: str, before: Frozen | None) -> Frozen:
    own = Reading(reading.params, notices=reading.notices, used=reading.used)
    own.used.add(_SOFT)
    for field, knob in _KNOBS[name].items():
        raw = own.take(knob.infotext) if knob.infotext else None
        if raw is not None and knob.infotext and not (name == "hires" and field in ("sampler", "scheduler")):
            own.knob(knob, knob.infotext, raw)
    for field, key in _PICTURES.get(name, {}).items():
        picture = own.take(key) or ""
        kept = "" if field == "latent_mask" else getattr(before, field, "")
        own.values[field] = picture if _PICTURE.fullmatch(picture) else kept
    if name == "hires":
        _read_hires(own, reading.values)
    return PARTS[name](**own.values)


def _read_hires(own: Reading, request: dict[str, Any]) -> None:
    """Sampler and schedule, whose names may be old ones, and the size."""
    for field in ("scheduler", "sampler"):
        knob = _KNOBS["hires"][field]
        raw = own.take(str(knob.infotext))
        if raw is None:
            continue
        name, schedule = split_sampler_name(raw) if field == "sampler" else (raw, None)
        own.choice(knob, str(knob.infotext), name)
        if schedule not in (None, AUTOMATIC):
            own.values.setdefault("scheduler", schedule)
    own.values.update(_read_size(own, _RESIZE))
    old = _read_size(own, _OLD_FIRST_PASS)
    if old:
        own.values.update(width=request.get("width", 0), height=request.get("height", 0))
        request.update(old if all(old.values()) else _old_first_pass(own.values))


def _read_size(own: Reading, key: str) -> dict[str, int]:
    """`width` and `height`, or nothing."""
    sides = (own.take(key) or "").split("x")
    size = Reading({}, notices=own.notices)
    if len(sides) == 2:
        for field, side in zip(("width", "height"), sides, strict=True):
            size.number(_KNOBS["hires"][field], key, side)
    return size.values


def _old_first_pass(target: Mapping[str, Any]) -> dict[str, int]:
    """The size of A1111's first pass before 1.0: as many pixels as 512x512, sides rounded up to multiples of 64."""
    scale = math.sqrt(512 * 512 / max(target["width"] * target["height"], 1))
    return {side: math.ceil(scale * target[side] / 64) * 64 for side in ("width", "height")}
