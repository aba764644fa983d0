"""Everything that a job can be: pictures drawn, enlarged, plotted, captioned, checkpoints merged, training.

The `kind` tells them apart; without one it is a `GenerationRequest`, so what was stored before there were kinds stays
readable.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, Tag, TypeAdapter

from modules.schema.captioning import CaptionRequest, InterrogateRequest
from modules.schema.extras import ExtrasRequest
from modules.schema.merge import MergeRequest
from modules.schema.request import GenerationRequest
from modules.schema.scripts import ScriptRequest
from modules.schema.training import TrainingRequest

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
    | Annotated[ScriptRequest, Tag("script")]
    | Annotated[TrainingRequest, Tag("training")]
    | Annotated[CaptionRequest, Tag("caption")]
    | Annotated[InterrogateRequest, Tag("interrogate")],
    Discriminator(kind_of),
]
AnyOrder = (
    GenerationRequest
    | ExtrasRequest
    | MergeRequest
    | ScriptRequest
    | TrainingRequest
    | CaptionRequest
    | InterrogateRequest
)
ORDER: TypeAdapter[AnyOrder] = TypeAdapter(Order)
"""Reads an order from JSON; raises pydantic's ValidationError."""

KINDS: dict[str, type[AnyOrder]] = {
    GENERATION: GenerationRequest,
    "extras": ExtrasRequest,
    "merge": MergeRequest,
    "script": ScriptRequest,
    "training": TrainingRequest,
    "caption": CaptionRequest,
    "interrogate": InterrogateRequest,
}
