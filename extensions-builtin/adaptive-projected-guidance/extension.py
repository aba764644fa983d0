"""Adaptive projected guidance: Sadat, Hilliges and Weber, "Eliminating Oversaturation and Artifacts of High Guidance
Scales in Diffusion Models", arXiv 2410.02416, algorithm 1.

Guidance steps from the estimate of the negative prompt to that of the prompt, and beyond. The part of that step that
lies along the estimate itself raises contrast and saturation; the part across it is what follows the prompt. APG
keeps the second and weakens the first, limits the step's length, and lets opposite steps cancel each other.
"""

from __future__ import annotations

from typing import Any

from modules.extensions import Call, Options, hook, knob

_KEY = "adaptive-projected-guidance"
_SMALLEST = 1e-12


class ApgOptions(Options):
    parallel: float = knob(0.0, "Parallel part", "How much of the saturating part is kept; 1 is plain CFG.",
                           section="apg", ge=0, le=1, step=0.05)  # fmt: skip
    length: float = knob(15.0, "Longest step", "Longer guidance steps are shortened to this; 0 is no limit.",
                         section="apg", ge=0, le=1000, soft_le=50, step=0.5)  # fmt: skip
    momentum: float = knob(-0.5, "Momentum", "Share of the last step that is added; negative ones hold it back.",
                           section="apg", ge=-1, le=0.95, step=0.05)  # fmt: skip


@hook
def options() -> type[Options]:
    return ApgOptions


@hook
def denoised(denoised: Any, options: ApgOptions, call: Call) -> Any:
    """The guided estimate as equation 5 of the paper has it; plain where there is no negative prompt in the call."""
    estimates = call.estimates
    if estimates is None or estimates.negative is None:
        return None
    negative = estimates.negative
    step = sum((piece - negative) * weight for piece, weight in zip(estimates.pieces, estimates.weights, strict=True))
    positive = negative + step
    step = step + options.momentum * call.memory.get(_KEY, 0.0)
    call.memory[_KEY] = step
    if options.length:
        step = step * (options.length / (_length(step) + _SMALLEST)).clamp(max=1.0)
    direction = positive / (_length(positive) + _SMALLEST)
    along = (step * direction).sum(dim=(1, 2, 3), keepdim=True) * direction
    guided = positive + (call.scale - 1) * (step - along + options.parallel * along)
    return guided.to(denoised.dtype)


def _length(x: Any) -> Any:
    """Of every picture's [C,h,w] as one vector, [B,1,1,1]."""
    return x.float().square().sum(dim=(1, 2, 3), keepdim=True).sqrt()
