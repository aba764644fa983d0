"""The base of all values that travel: requests, their parts, settings, orders."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict

LONGEST_TEXT = 1_000_000
"""Characters of any text in a value: more than a book of prompts, less than would fill the memory."""


class Frozen(BaseModel):
    """A value: immutable, no unknown fields, and `replace` validates (pydantic's own copy does not)."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False, str_max_length=LONGEST_TEXT
    )

    def replace(self, **changes: Any) -> Self:
        """The same value with `changes`, validated."""
        return type(self).model_validate({**dict(self), **changes})
