"""Extensions in a pass: guidance with their stages. Jobs without extensions never come here."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import Tensor

from modules.engine.diffusion.guidance import Guidance, Timeline, Words
from modules.engine.diffusion.prediction import Estimate
from modules.engine.diffusion.sampling import Plan
from modules.extensions.stages import JobStages
from modules.extensions.values import Call, Estimates, PassFacts

IN_EVERY_CALL = ("model_output", "denoised")


class StagedGuidance(Guidance):
    """`Guidance` whose estimates, and what it mixes of them, go through the extensions of a job."""

    def __init__(
        self,
        denoise: Estimate,
        words: Timeline,
        cfg_scale: float,
        *,
        stages: JobStages,
        facts: PassFacts,
        total_calls: int,
        **options: Any,
    ) -> None:
        super().__init__(denoise, words, cfg_scale, total_calls=total_calls, **options)
        self._stages = stages
        self._facts = facts
        self._calls_in_all = total_calls
        self._cfg_scale = cfg_scale
        self._memory: dict[str, Any] = {}
        self._call: Call | None = None

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        self._call = self._begin(x, sigma)
        return self._finish(super().__call__(x, sigma))

    def both(self, x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        """For CFG++: only the guided estimate goes through `denoised`."""
        self._call = self._begin(x, sigma)
        guided, negative = super().both(x, sigma)
        return self._finish(guided), negative

    def _begin(self, x: Tensor, sigma: float) -> Call:
        total, scale = self._calls_in_all, self._cfg_scale
        return Call(self.calls, total, float(sigma), x, scale, self._facts, memory=self._memory)

    def _finish(self, guided: Tensor) -> Tensor:
        return self._stages.through("denoised", "denoised", guided, lambda new: _alike(new, guided), call=self._call)

    def _estimates(self, x: Tensor, sigma: float, words: Words, *, with_negative: bool) -> list[Tensor]:
        found = super()._estimates(x, sigma, words, with_negative=with_negative)
        assert self._call is not None
        negative = found[-1] if with_negative and words.uncond is not None else None
        pieces = tuple(found[:-1] if negative is not None else found)
        old = Estimates(pieces, negative, tuple(words.weights))
        call = replace(self._call, estimates=old)
        new = self._stages.through("model_output", "estimates", old, lambda one: _same_shapes(one, old), call=call)
        self._call = replace(self._call, estimates=new)
        return [*new.pieces, *([] if new.negative is None else [new.negative])]


def _alike(new: object, old: Tensor) -> bool:
    return isinstance(new, Tensor) and new.shape == old.shape and new.device == old.device


def _same_shapes(new: object, old: Estimates) -> bool:
    if not isinstance(new, Estimates) or len(new.pieces) != len(old.pieces):
        return False
    if (new.negative is None) != (old.negative is None):
        return False
    pairs = [*zip(new.pieces, old.pieces, strict=True)]
    if new.negative is not None and old.negative is not None:
        pairs.append((new.negative, old.negative))
    return all(_alike(one, other) for one, other in pairs)


def with_sigmas(stages: JobStages | None, steps: Plan, facts: PassFacts) -> Plan:
    """The plan with the noise levels that extensions make of it; as many steps as there are levels then."""
    if stages is None or not steps.sigmas or not stages.has("sigmas"):
        return steps

    def fits(new: object) -> bool:
        levels = list(new) if isinstance(new, tuple | list) else []
        falling = all(a > b for a, b in zip(levels, levels[1:], strict=False))
        return len(levels) >= 2 and falling and levels[-1] >= 0

    sigmas = tuple(float(level) for level in stages.through("sigmas", "sigmas", steps.sigmas, fits, facts=facts))
    if len(sigmas) == len(steps.sigmas):
        return replace(steps, sigmas=sigmas)
    count = len(sigmas) - 1
    return replace(steps, sigmas=sigmas, total_steps=count, total_calls=count * steps.facts.calls_per_step)


def started(stages: JobStages | None, latent: Tensor, facts: PassFacts) -> Tensor:
    """The latent of the first step."""
    if stages is None:
        return latent
    return stages.through("start_latent", "latent", latent, lambda new: _alike(new, latent), facts=facts)
