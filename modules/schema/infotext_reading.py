"""Values gathered from a text's parameters, each checked against what its knob allows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modules.schema.knob import Knob


@dataclass
class Reading:
    """Values for a request, gathered from a text's parameters, and what could not be taken."""

    params: Mapping[str, str]
    values: dict[str, Any] = field(default_factory=dict[str, Any])
    notices: list[str] = field(default_factory=list[str])
    used: set[str] = field(default_factory=set[str])

    def take(self, key: str) -> str | None:
        """The value of a key, also where it looked like a size and was split."""
        self.used.update((key, f"{key}-1", f"{key}-2"))
        if key in self.params:
            return self.params[key].strip()
        first, second = self.params.get(f"{key}-1"), self.params.get(f"{key}-2")
        return None if first is None or second is None else f"{first}x{second}"

    def skip(self, key: str, raw: str, reason: str) -> None:
        self.notices.append(f"{key} {raw!r} was not taken from the text: {reason}.")

    def number(self, knob: Knob, key: str, raw: str) -> None:
        try:
            value: float = int(raw) if knob.kind is int and len(raw) < 40 else float(raw)
        except ValueError:
            value = _float(raw)
        if not math.isfinite(value):
            self.skip(key, raw[:40], "it is not a number")
            return
        low, high = knob.minimum, knob.maximum
        bounded = max(value, low) if low is not None else value
        bounded = min(bounded, high) if high is not None else bounded
        if bounded != value:
            self.notices.append(f"{key} {raw[:40]} is out of bounds; {bounded:g} is used.")
        self.values[knob.name] = int(bounded) if knob.kind is int else float(bounded)

    def switch(self, knob: Knob, key: str, raw: str) -> None:
        value = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(raw.lower())
        if value is None:
            self.skip(key, raw, "it is neither True nor False")
        else:
            self.values[knob.name] = value

    def choice(self, knob: Knob, key: str, raw: str) -> None:
        choices = knob.choices or ()
        value = next((choice for choice in choices if choice.casefold() == raw.casefold()), None)
        if value is None:
            self.skip(key, raw, f"it is none of {', '.join(choices)}")
        else:
            self.values[knob.name] = value

    def knob(self, knob: Knob, key: str, raw: str) -> None:
        if knob.kind is bool:
            self.switch(knob, key, raw)
        elif knob.kind in (int, float):
            self.number(knob, key, raw)
        elif knob.choices:
            self.choice(knob, key, raw)
        else:
            self.values[knob.name] = raw


def _float(raw: str) -> float:
    try:
        return float(raw)
    except (ValueError, OverflowError):
        return math.nan
