"""Scripts: one request that stands for many, and what is made of their pictures."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from modules.schema.frozen import Frozen
from modules.schema.request import GenerationRequest


class ScriptRequest(Frozen):
    """`options` are those of the script called `script`; `base` is what its cells vary."""

    kind: Literal["script"] = "script"
    script: str
    base: GenerationRequest
    options: dict[str, Any] = Field(default_factory=dict)
    cells: int = Field(1, ge=0, description="How many requests it stands for; known once it is resolved.")
    images: int = Field(1, ge=0, description="How many pictures they draw, without grids.")

    @property
    def image_count(self) -> int:
        return self.images
