"""Gradio components of a script's `ui` as parameters: so they are in the page, the API, the PNG text and X/Y/Z."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import create_model

from modules.schema.extension_options import Options
from modules.schema.frozen import Frozen
from modules.schema.knob import knob

_NUMBERS = ("Slider", "Number")
_TEXTS = ("Textbox", "TextArea", "Code", "ColorPicker")
_CHOICES = ("Dropdown", "Radio")
_GROUPS = ("CheckboxGroup",)
_WORDS = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class Argument:
    """One of a script's arguments. `field` "" is no parameter: always `value`. `index`: the choice's number is
    meant; `several`: a list of choices, written with commas."""

    field: str
    value: Any = None
    choices: tuple[Any, ...] = ()
    index: bool = False
    several: bool = False

    def of(self, options: Frozen) -> Any:
        """What the script is given."""
        if not self.field:
            return self.value
        value = getattr(options, self.field)
        if self.several:
            return [part.strip() for part in value.split(",") if part.strip()]
        if self.choices:
            place = [str(choice) for choice in self.choices].index(value)
            return place if self.index else self.choices[place]
        return value


def arguments_of(
    title: str, components: Sequence[Any], base: type[Frozen] = Options
) -> tuple[type[Frozen], list[Argument], list[str]]:
    """(the class of the script's options, its arguments in order, remarks on components that cannot be used)."""
    fields: dict[str, Any] = {}
    arguments: list[Argument] = []
    remarks: list[str] = []
    for number, component in enumerate(components):
        kind = _kind(component)
        label = str(getattr(component, "label", None) or f"Argument {number + 1}")
        name = _free(label, fields, number)
        made = _parameter(component, kind, label)
        if made is None:
            arguments.append(Argument("", getattr(component, "value", None)))
            remarks.append(f"{title}: its {kind} {label!r} cannot be set here; the script gets its first value.")
            continue
        annotation, declared, extra = made
        fields[name] = (annotation, declared)
        arguments.append(Argument(name, **extra))
    model = create_model(_name(title), __base__=base, **fields)
    return model, arguments, remarks


def _kind(component: Any) -> str:
    """The Gradio component that it is, also where A1111 has a class of its own made from that."""
    known = (*_NUMBERS, *_TEXTS, *_CHOICES, *_GROUPS, "Checkbox")
    return next((one.__name__ for one in type(component).__mro__ if one.__name__ in known), type(component).__name__)


def _parameter(component: Any, kind: str, label: str) -> tuple[Any, Any, dict[str, Any]] | None:
    """(type, declaration, what else its argument needs) of a component; None for one that is no value."""
    about = str(getattr(component, "info", None) or "")
    value = getattr(component, "value", None)
    if kind == "Checkbox":
        return bool, knob(bool(value), label, about, section="a1111"), {}
    if kind in _NUMBERS:
        return _number(component, label, about)
    if kind in _TEXTS:
        return str, knob(str(value or ""), label, about, section="a1111"), {}
    if kind in _GROUPS or (kind in _CHOICES and getattr(component, "multiselect", False)):
        first = ", ".join(map(str, value)) if isinstance(value, list) else str(value or "")
        return str, knob(first, label, about, section="a1111"), {"several": True}
    if kind in _CHOICES:
        choices = tuple(pair[1] if isinstance(pair, tuple) else pair for pair in component.choices or ())
        if not choices or getattr(component, "allow_custom_value", False):
            return str, knob(str(value or ""), label, about, section="a1111"), {}
        texts = tuple(str(choice) for choice in choices)
        first = str(value) if str(value) in texts else texts[0]
        extra = {"choices": choices, "index": getattr(component, "type", "") == "index"}
        return str, knob(first, label, about, section="a1111", choices=texts), extra
    return None


def _number(component: Any, label: str, about: str) -> tuple[Any, Any, dict[str, Any]]:
    low, high = getattr(component, "minimum", None), getattr(component, "maximum", None)
    step = getattr(component, "step", None)
    value = getattr(component, "value", None) or 0
    whole = getattr(component, "precision", None) == 0 or (
        _kind(component) == "Slider" and all(isinstance(n, int) for n in (low, high, step or 1, value))
    )
    kind: type = int if whole else float
    bounds = {"ge": low, "le": high, "step": step or (1 if whole else None)}
    return kind, knob(kind(value), label, about, section="a1111", **bounds), {}


def _free(label: str, taken: dict[str, Any], number: int) -> str:
    """A field name that is still free."""
    name = _WORDS.sub("_", label.lower()).strip("_") or f"argument_{number + 1}"
    name = name if name[0].isalpha() and name not in Options.model_fields else f"a_{name}"
    return f"{name}_{number + 1}" if name in taken or hasattr(Options, name) else name


def _name(title: str) -> str:
    return "".join(word.title() for word in _WORDS.split(title.lower())) + "Options"
