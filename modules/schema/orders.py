"""Everything that a job can be: pictures drawn, enlarged, plotted in many variants, or checkpoints merged.

The `kind` tells them apart; without one it is a `GenerationRequest`, so what was stored before there were kinds stays
readable.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, Tag, TypeAdapter

from modules.schema.extras import ExtrasRequest
from modules.schema.merge import MergeRequest
from modules.schema.request import GenerationRequest
from modules.schema.scripts import ScriptRequest

GENERATION = "generation"


def kind_of(value: Any) -> str:
    """The tag of an order, or of its JSON data."""
    if isinstance(value, dict):
        return str(value.get("kind", GENERATION))
    return str(getattr(value, "kind", GENERATION))


Order = Annotated[
    Annotated[GenerationRequest, Tag(GENERATION)]
    | Annotated[ExtrasRequest, Tag("extras")]
    | Annotated[MergeRequest, Tag("merge")]
    | Annotated[ScriptRequest, Tag("script")],
    Discriminator(kind_of),
]
AnyOrder = GenerationRequest | ExtrasRequest | MergeRequest | ScriptRequest
ORDER: TypeAdapter[AnyOrder] = TypeAdapter(Order)
"""Reads an order from JSON; raises pydantic's ValidationError."""

KINDS: dict[str, type[GenerationRequest] | type[ExtrasRequest] | type[MergeRequest] | type[ScriptRequest]] = {
    GENERATION: GenerationRequest,
    "extras": ExtrasRequest,
    "merge": MergeRequest,
    "script": ScriptRequest,
}
