"""What other people's settings files say here: our own export, A1111's `config.json`, and its `ui-config.json`.

Reading changes nothing: it sorts a file into what can be taken over and what can not, with a reason each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError

from modules.catalog.settings_file import KNOBS
from modules.schema.knob import Knob, knobs
from modules.schema.parts import PARTS
from modules.schema.request import GenerationRequest
from modules.schema.samplers import split_sampler_name
from modules.schema.settings import PERSONAL
from modules.service.personal import Preset, Values
from modules.web.api.option_table import (
    CHECKPOINT,
    FIXED_OPTIONS,
    OWN_DEFAULTS,
    PART_OPTIONS,
    REQUEST_OPTIONS,
    SETTING_OPTIONS,
    SPELLINGS,
    STORED_OPTIONS,
)

FORMAT = "webui-settings"
"""The format's name in our own exports."""

_REQUEST = knobs(GenerationRequest)
_FORMS = ("txt2img", "img2img")
_TOP_BAR = "models"
_ON_TOP = ("checkpoint", "vae", "clip_skip")
_OTHER_NAME = "is not known here"
_NO_VALUE = "has a value that it can not have here"
# Labels of A1111's forms that are not the labels of ours, by our path.
_LABELS = {
    "initial seed": "seed",
    "upscaler": "hires.upscaler",
    "upscale by": "hires.scale",
    "hires steps": "hires.steps",
    "hires sampling method": "hires.sampler",
    "resize width to": "hires.width",
    "resize height to": "hires.height",
    "mask blur": "inpaint.mask_blur",
    "only masked padding, pixels": "inpaint.padding",
    "variation seed": "subseed",
    "variation strength": "subseed_strength",
}


@dataclass
class Found:
    """What a file says. `taken` names each key that is meant and where it goes, `left` each other one and why; `keys`
    are the file's keys of the `settings`."""

    settings: Values = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    personal: Values = field(default_factory=dict)
    options: Values = field(default_factory=dict)
    forms: dict[str, Values] = field(default_factory=dict)
    presets: list[Preset] = field(default_factory=list)
    taken: dict[str, str] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)

    def set(self, key: str, name: str, value: Any) -> None:
        """A setting of the program, which the file calls `key`."""
        self.settings[name] = value
        self.keys[name] = key
        self.taken[key] = KNOBS[name].label

    def put(self, form: str, name: str, value: Any) -> None:
        """A form's default."""
        self.forms.setdefault(form, {})[name] = value


def read_file(content: Mapping[str, Any]) -> Found:
    """Sort a settings file, of whichever of the three kinds it is."""
    if content.get("format") == FORMAT:
        return _own(content)
    if any(key.count("/") >= 2 for key in content):
        return _forms_of_a1111(content)
    return _options_of_a1111(content)


def _own(content: Mapping[str, Any]) -> Found:
    found = Found()
    for name, value in _mapping(content.get("settings")).items():
        if name in KNOBS:
            found.set(name, name, value)
        else:
            found.left[name] = _OTHER_NAME
    for name, value in _mapping(content.get("personal")).items():
        if name in PERSONAL:
            found.personal[name] = value
            found.taken[f"{name} (yours)"] = f"{KNOBS[name].label}, for you"
        else:
            found.left[name] = _OTHER_NAME
    for form, values in _mapping(content.get("forms")).items():
        found.forms[form] = dict(_mapping(values))
        found.taken[f"defaults of {form}"] = f"{len(found.forms[form])} fields"
    presets = content.get("presets")
    for entry in presets if isinstance(presets, list) else []:
        one = _mapping(entry)
        preset = Preset(str(one.get("name", "")), str(one.get("form", "")), dict(_mapping(one.get("values"))))
        found.presets.append(preset)
        found.taken[f"preset {preset.name}"] = f"of {preset.form}"
    return found


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


# A1111's config.json, or our own, which may be the same file


def _options_of_a1111(content: Mapping[str, Any]) -> Found:
    found = Found()
    for key, value in content.items():
        value = SPELLINGS.get(key, {}).get(value, value) if isinstance(value, str) else value
        if not _is_setting(found, key, value) and not _is_of_pictures(found, key, value):
            found.left[key] = _reason(key, value)
    return found


def _is_setting(found: Found, key: str, value: Any) -> bool:
    name = SETTING_OPTIONS.get(key, key)
    if key == "live_preview_refresh_period":
        name, value = "previews_per_second", _rate(value)
    if name not in KNOBS or value is None:
        return False
    found.set(key, name, value)
    return True


def _rate(milliseconds: Any) -> float | None:
    """A1111's pause between two previews as previews a second."""
    known = isinstance(milliseconds, int | float) and milliseconds > 0
    return round(min(max(1000 / milliseconds, 0.1), 20), 1) if known else None


def _is_of_pictures(found: Found, key: str, value: Any) -> bool:
    """Options that are parameters here: what requests of A1111's API begin with, and the forms."""
    if key == CHECKPOINT:
        found.options[key] = value
        found.taken[key] = "Checkpoint"
        return True
    if key in REQUEST_OPTIONS:
        name = REQUEST_OPTIONS[key]
        if not _fits(GenerationRequest, name, value):
            found.left[key] = _NO_VALUE
            return True
        if value != OWN_DEFAULTS.get(key, _REQUEST[name].default):
            for form in (_TOP_BAR,) if name in _ON_TOP else _FORMS:
                found.put(form, name, value)
        found.options[key] = value
        found.taken[key] = _REQUEST[name].label
        return True
    if key in STORED_OPTIONS:
        if key in PART_OPTIONS and value != STORED_OPTIONS[key]:
            part, name = PART_OPTIONS[key]
            for form in ("img2img",) if part in ("image", "inpaint") else _FORMS:
                found.put(form, f"{part}.{name}", value)
        found.options[key] = value
        found.taken[key] = "requests of A1111's API"
        return True
    return False


def _reason(key: str, value: Any) -> str:
    if key in FIXED_OPTIONS:
        same = value == FIXED_OPTIONS[key]
        return "is so here" if same else f"can only be {FIXED_OPTIONS[key]!r} here"
    if key.startswith("outdir_"):
        return "folders are chosen by the settings of the section Folders"
    if key == "live_preview_refresh_period":
        return "is no time"
    return _OTHER_NAME


# A1111's ui-config.json


def _forms_of_a1111(content: Mapping[str, Any]) -> Found:
    found = Found()
    for key, value in content.items():
        *place, label, what = key.split("/")
        form = next((name for name in _FORMS if name in place), None)
        known = _field(label) if form else None
        if what != "value":
            found.left[key] = "ends, steps and visibility of fields are the program's own"
        elif form is None or known is None:
            found.left[key] = _OTHER_NAME
        else:
            _take_field(found, key, form, *known, value)
    return found


def _take_field(found: Found, key: str, form: str, path: str, knob: Knob, value: Any) -> None:
    if path == "scheduler" and value == "automatic":
        value = "Automatic"
    part, _, name = path.rpartition(".")
    if isinstance(value, bool) is not (knob.kind is bool) or not _fits(_model(part), name, value):
        found.left[key] = _NO_VALUE
    elif value == knob.default:
        found.left[key] = "is the default here"
    else:
        if path == "sampler":
            value, schedule = split_sampler_name(value)
            if schedule is not None:
                found.put(form, "scheduler", schedule)
        found.put(form, path, value)
        found.taken[key] = f"{knob.label} in {form}"


def _model(part: str) -> type[BaseModel]:
    return PARTS[part] if part else GenerationRequest


def _fits(model: type[BaseModel], name: str, value: Any) -> bool:
    """Whether a parameter can have that value."""
    try:
        model.model_validate({name: value})
    except ValidationError as error:
        return all(one["loc"][:1] != (name,) for one in error.errors())
    return isinstance(value, str | int | float)


def _field(label: str) -> tuple[str, Knob] | None:
    """Our field of that label: its path, and its knob."""
    wanted = label.casefold()
    if path := _LABELS.get(wanted):
        part, _, name = path.rpartition(".")
        known = knobs(_model(part))
        return (path, known[name]) if name in known else None
    found = next((name for name, knob in _REQUEST.items() if knob.label.casefold() == wanted), None)
    if found is not None:
        return found, _REQUEST[found]
    for part in ("image", "hires", "inpaint"):
        for name, knob in knobs(PARTS[part]).items():
            if knob.label.casefold() == wanted:
                return f"{part}.{name}", knob
    return None
