"""A knob: one parameter declared once, with everything that a form, a command line or a PNG text needs of it.

pydantic's own `Field` carries type, bounds and default; the rest (label, step, choices, infotext name) rides beside
them in the field's metadata and is read back by `knobs()`.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, Field
from pydantic.fields import FieldInfo

Choices = tuple[str, ...] | Callable[[], tuple[str, ...]] | None


@dataclass(frozen=True)
class Knob:
    """What is known of one parameter.

    `name` is the field's name (and the API's), `kind` its plain type, `flag` its command-line spelling.
    `minimum`/`maximum` are hard bounds; `soft_maximum` is where a slider ends (a typed number may go beyond).
    `prefix` goes before the name in the flag, for the parts of a request.
    """

    name: str
    kind: type
    default: Any
    label: str
    help: str
    section: str
    infotext: str | None
    minimum: float | None
    maximum: float | None
    soft_maximum: float | None
    step: float | None
    listed: Choices
    unit: str
    optional: bool
    hidden: bool
    prefix: str = ""

    @property
    def choices(self) -> tuple[str, ...] | None:
        """All values there are, where they can be listed; those of a registry as they are now."""
        return self.listed() if callable(self.listed) else self.listed

    @property
    def flag(self) -> str:
        return "--" + (self.prefix + self.name).replace("_", "-")


@dataclass(frozen=True)
class _Extra:
    section: str
    infotext: str | None
    step: float | None
    soft_maximum: float | None
    choices: Choices
    unit: str
    hidden: bool


def knob(
    default: Any,
    label: str,
    help: str,
    *,
    section: str = "main",
    infotext: str | None = None,
    ge: float | None = None,
    le: float | None = None,
    soft_le: float | None = None,
    step: float | None = None,
    choices: Choices = None,
    unit: str = "",
    hidden: bool = False,
) -> Any:
    """Declare a parameter: the one line that form, API, CLI, infotext and docs are made from."""
    extra = _Extra(section, infotext, step, soft_le, choices, unit, hidden)
    field = Field(default, title=label, description=help, ge=ge, le=le)
    field.metadata.append(extra)
    return field


def _plain_type(annotation: Any) -> tuple[type, bool]:
    """The type without `| None`, and whether None was allowed; a Literal is its values' type."""
    if get_origin(annotation) in (Union, types.UnionType):
        inner = [a for a in get_args(annotation) if a is not type(None)]
        return _plain_type(inner[0])[0], True
    if get_origin(annotation) is Literal:
        return type(get_args(annotation)[0]), False
    return get_origin(annotation) or annotation, False


def _bound(field: FieldInfo, attribute: str) -> float | None:
    return next((getattr(m, attribute) for m in field.metadata if hasattr(m, attribute)), None)


def knobs(model: type[BaseModel]) -> dict[str, Knob]:
    """Every field of `model` that was declared with `knob()`, in order."""
    found: dict[str, Knob] = {}
    for name, field in model.model_fields.items():
        extra = next((m for m in field.metadata if isinstance(m, _Extra)), None)
        if extra is None:
            continue
        kind, optional = _plain_type(field.annotation)
        choices = extra.choices
        if choices is None and get_origin(field.annotation) is Literal:
            choices = get_args(field.annotation)
        minimum, maximum = _bound(field, "ge"), _bound(field, "le")
        found[name] = Knob(
            name=name,
            kind=kind,
            default=field.default,
            label=field.title or name,
            help=field.description or "",
            section=extra.section,
            infotext=extra.infotext,
            minimum=minimum,
            maximum=maximum,
            soft_maximum=extra.soft_maximum if extra.soft_maximum is not None else maximum,
            step=extra.step,
            listed=choices,
            unit=extra.unit,
            optional=optional,
            hidden=extra.hidden,
            prefix=getattr(model, "FLAG_PREFIX", ""),
        )
    return found
