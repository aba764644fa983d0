"""A1111's grammar of rates that change: `0.005:100, 1e-3:1000, 1e-5`, each rate with its last step."""

from __future__ import annotations

import math
from dataclasses import dataclass

from modules.schema.errors import BadRequest


@dataclass(frozen=True)
class Segment:
    """`rate` holds up to and with step `last` (1-based)."""

    rate: float
    last: int


def parse_rates(text: str, steps: int, current: int = 0, field: str = "learn_rate") -> tuple[Segment, ...]:
    """The segments that are left after step `current` of `steps`; raises `BadRequest`.

    Entries without a step, or with step -1, run to the end and close the list; entries that are over are dropped.
    """
    segments: list[Segment] = []
    for entry in filter(None, (part.strip() for part in text.split(","))):
        rate, last = _entry(entry, field)
        if last is None:
            segments.append(Segment(rate, steps))
            break
        if last > current:
            segments.append(Segment(rate, min(last, steps)))
            if last >= steps:
                break
    if not segments:
        raise BadRequest(
            f"The rate {text!r} says nothing for the steps after {current}: write a number such as 0.005, or numbers "
            "with their last steps such as 0.005:100, 1e-3.", field,
        )  # fmt: skip
    return tuple(segments)


def rate_at(segments: tuple[Segment, ...], step: int) -> float | None:
    """The rate of step `step` (1-based), or None when the list is over."""
    return next((segment.rate for segment in segments if step <= segment.last), None)


def _entry(entry: str, field: str) -> tuple[float, int | None]:
    parts = entry.split(":")
    try:
        rate = float(parts[0])
        last = int(parts[1]) if len(parts) == 2 else -1
        if not math.isfinite(rate):
            raise ValueError(entry)
    except ValueError:
        raise BadRequest(
            f"{entry!r} is no rate: write a number such as 0.005, or a number and its last step such as 0.005:100.",
            field,
        ) from None
    return rate, None if last == -1 else last
