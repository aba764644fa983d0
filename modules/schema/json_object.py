"""Reading JSON from outside: an object or nothing, whatever the text is."""

from __future__ import annotations

import json
from typing import Any, cast


def parse_object(text: str | bytes) -> dict[str, Any] | None:
    """The JSON object that `text` is; None for anything else, damaged or too deep."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", data) if isinstance(data, dict) else None
