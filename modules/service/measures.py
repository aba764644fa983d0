"""How large a job is: what its speed is learned under, and how many units of that it has."""

from __future__ import annotations

from dataclasses import dataclass

from modules.schema.captioning import CaptionRequest, InterrogateRequest
from modules.schema.engine import ModelRef
from modules.schema.extras import ExtrasRequest
from modules.schema.merge import MergeRequest
from modules.schema.orders import AnyOrder
from modules.schema.parts import SAME_SAMPLER, Hires
from modules.schema.request import GenerationRequest
from modules.schema.samplers import SAMPLERS
from modules.schema.scripts import ScriptRequest
from modules.schema.sizes import hires_size


@dataclass(frozen=True)
class Measure:
    """`units` of `what`; an empty `what`: nothing is known of how long such a job takes."""

    what: str = ""
    units: float = 0.0


def measure(order: AnyOrder, model: ModelRef) -> Measure:
    """Size of a job. A picture's is network calls x pixels of its checkpoint and precision."""
    if isinstance(order, GenerationRequest):
        return Measure(_pictures(order, model), _work(order))
    if isinstance(order, ScriptRequest):
        return Measure(_pictures(order.base, model), _work(order.base) * order.image_count / order.base.image_count)
    if isinstance(order, ExtrasRequest):
        return Measure(f"extras {order.upscaler_1}", len(order.pictures))
    if isinstance(order, CaptionRequest | InterrogateRequest):
        return Measure(f"caption {order.captioner}", len(order.pictures))
    return Measure("merge", 1.0) if isinstance(order, MergeRequest) else Measure()


def _pictures(request: GenerationRequest, model: ModelRef) -> str:
    return f"{request.precision} {model.checkpoint}"


def _work(request: GenerationRequest) -> float:
    """Network calls x pixels x pictures, over all its passes."""
    calls = request.steps * SAMPLERS.get(request.sampler).calls_per_step
    if request.image is not None and not request.image.exact_steps:
        calls = max(calls * request.image.denoising_strength, 1)
    hires = request.hires
    first = 0 if hires is not None and hires.picture else calls * request.width * request.height
    return (first + _hires_work(request, hires)) * request.image_count


def _hires_work(request: GenerationRequest, hires: Hires | None) -> float:
    if hires is None:
        return 0.0
    size = hires_size(request.width, request.height, hires)
    sampler = request.sampler if hires.sampler == SAME_SAMPLER else hires.sampler
    calls = (hires.steps or request.steps) * SAMPLERS.get(sampler).calls_per_step
    return calls * size.width * size.height
