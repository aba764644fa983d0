"""What extensions add to a request: each has options of its own, declared with knobs like any parameter.

A request's `extensions` holds the options of those that are on, by the extension's name. What is listed here is known
to the form, the API, the flags, the PNG text and the X/Y/Z plot.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from modules.schema.errors import BadRequest
from modules.schema.frozen import Frozen
from modules.schema.infotext_reading import Reading
from modules.schema.knob import Knob, knobs
from modules.schema.registry import Registry

_NOT_IN_KEYS = re.compile(r"[^\w \-/]+")


class Options(Frozen):
    """Base of an extension's options.

    `settled`: its work at the door is done; the prompts hold it already. `texts`: further pairs for the PNG text.
    """

    settled: bool = False
    texts: dict[str, str] = {}


@dataclass(frozen=True)
class ExtensionFacts:
    """`name` is the key in a request, `label` the title on the page. `tabs`: where its options are shown.

    `at_the_door`: all of its work is done before a job is queued.
    """

    name: str
    label: str
    options: type[Options]
    tabs: tuple[str, ...] = ("txt2img", "img2img")
    aliases: tuple[str, ...] = ()
    at_the_door: bool = False
    help: str = ""

    @property
    def knobs(self) -> dict[str, Knob]:
        """Its parameters, by name."""
        return knobs(self.options)

    @property
    def key(self) -> str:
        """How its pairs in a PNG text begin."""
        return _NOT_IN_KEYS.sub(" ", self.label).strip()

    @property
    def switch(self) -> str:
        """The pair that says it is on."""
        return f"{self.key} enabled"

    def pair(self, knob: Knob) -> str:
        """The key of one of its parameters."""
        return knob.infotext or _NOT_IN_KEYS.sub(" ", f"{self.key} {knob.label.lower()}")


EXTENSIONS: Registry[ExtensionFacts] = Registry("extension", ())


def checked_options(values: Mapping[str, Any]) -> dict[str, Any]:
    """All options of the extensions that are on, with their defaults; raises UnknownName or BadRequest."""
    return {(facts := EXTENSIONS.get(name, "extensions")).name: _checked(facts, given).model_dump(mode="json")
            for name, given in values.items()}  # fmt: skip


def options_of(values: Mapping[str, Any], name: str) -> Options | None:
    """The options of an extension, None where it is off; raises BadRequest."""
    return _checked(EXTENSIONS.get(name), values[name]) if name in values else None


def _checked(facts: ExtensionFacts, given: Any) -> Options:
    if not isinstance(given, Mapping | Options):
        raise BadRequest(f"{facts.label}: its options are an object of names and values.", f"extensions.{facts.name}")
    try:
        return facts.options.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    field = f"extensions.{facts.name}.{name}"
    if first["type"] == "extra_forbidden":
        raise BadRequest(f"{facts.label} has no parameter named {name!r}.", field)
    label = facts.knobs[name].label if name in facts.knobs else name
    reason = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    raise BadRequest(f"{facts.label}: {label} is {first['input']!r} but should be {reason}.", field)


def extension_params(values: Mapping[str, Any]) -> dict[str, Any]:
    """The pairs of a PNG text: what is on, and what of it is not at its default."""
    found: dict[str, Any] = {}
    for name, given in values.items():
        if name not in EXTENSIONS or not isinstance(given, Mapping):
            continue
        facts = EXTENSIONS.get(name)
        if not given.get("settled"):
            found[facts.switch] = True
        elif facts.at_the_door:
            found.update(given.get("texts") or {})
            continue
        pairs = {facts.pair(knob): given.get(field, knob.default) for field, knob in facts.knobs.items()}
        defaults = {facts.pair(knob): knob.default for knob in facts.knobs.values()}
        found.update({key: value for key, value in pairs.items() if value not in (None, "", defaults[key])})
        found.update(given.get("texts") or {})
    return found


def read_extensions(reading: Reading) -> None:
    """Put the extensions that a text says are on into the reading's values; all others are off."""
    on: dict[str, Any] = {}
    for facts in EXTENSIONS:
        if (reading.take(facts.switch) or "").lower() not in ("true", "1"):
            continue
        own = Reading(reading.params, notices=reading.notices, used=reading.used)
        for knob in facts.knobs.values():
            raw = own.take(facts.pair(knob))
            if raw is not None:
                own.knob(knob, facts.pair(knob), raw)
        on[facts.name] = facts.options.model_validate(own.values).model_dump(mode="json")
    reading.values["extensions"] = on
