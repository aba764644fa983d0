"""Models made ready for a pass: the device, tiling, the prompt's networks, and its words. Tiling is undone when the
next one is made ready; networks stay with a model until other ones are asked for."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from modules.engine.conditioning import Conditioning, PromptEncoder, tokenizer
from modules.engine.diffusion.schedule import NoiseSchedule, downcast, zero_terminal_snr
from modules.engine.loading.model import LoadedModel
from modules.engine.networks.prompted import use_prompted
from modules.engine.supplies import Role, Supplies
from modules.engine.tiling import tiled
from modules.extensions.stages import JobStages
from modules.extensions.values import PassFacts
from modules.prompts.prompt import parse_prompt
from modules.schema.request import GenerationRequest


@dataclass(frozen=True, eq=False)
class Ready:
    """A model and what it needs to draw a certain request."""

    model: LoadedModel
    words: Conditioning
    schedule: NoiseSchedule


class Bench:
    """Holds one model ready at a time. Asking for the same again costs nothing."""

    def __init__(
        self, model: LoadedModel, supplies: Supplies, encoder: PromptEncoder, stages: JobStages | None = None
    ) -> None:
        self._stages = stages
        self._supplies = supplies
        self._encoder = encoder
        self._base = model
        self._stack = ExitStack()
        self._for: tuple[Role, GenerationRequest] | None = None
        self._ready: Ready | None = None
        self._notices: dict[str, bool] = {}
        self._hashes: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def model(self) -> LoadedModel:
        """The model that was made ready last."""
        return self._ready.model if self._ready else self._base

    def take(self, role: Role, request: GenerationRequest, after: GenerationRequest | None = None) -> Ready:
        """The model of `role`, ready for `request` (that of the pass), which follows the pass `after`."""
        if self._ready is None or self._for != (role, request):
            self._stack.close()
            model = self._model(role)
            self._stack.enter_context(tiled(model, request.tiling))
            words = self._staged(model, self._encode(request, model, after), request, after)
            self._ready = Ready(model, words, training_schedule(model, request))
            self._for = (role, request)
        return self._ready

    def told(self) -> list[str]:
        """Sentences for the user about networks and embeddings that were left out; each once."""
        new = [sentence for sentence, old in self._notices.items() if not old]
        self._notices |= dict.fromkeys(new, True)
        return new

    @property
    def facts(self) -> dict[str, str]:
        """What a picture's text says of the embeddings that its prompts named."""
        named = ", ".join(f"{name}: {digits}" for name, digits in self._hashes.items())
        return {"TI hashes": named} if named else {}

    def _encode(
        self, request: GenerationRequest, model: LoadedModel, after: GenerationRequest | None
    ) -> Conditioning:
        """The words of `request`, with its networks acting on `model` from now on."""
        tags = parse_prompt(request.prompt).tags
        prompted = use_prompted(model, tags, self._supplies.named, tokenizer().encode)
        vocabulary = prompted.vocabulary
        words = self._encoder.encode(request, model, first_pass=after, networks=prompted.key, embeddings=vocabulary)
        self._notices = {**dict.fromkeys(prompted.notices, False), **self._notices}
        self._hashes |= vocabulary.hashes
        return words

    def _staged(
        self, model: LoadedModel, words: Conditioning, request: GenerationRequest, after: GenerationRequest | None
    ) -> Conditioning:
        """The words as extensions make them, with the model as they change it until the next one is made ready."""
        if self._stages is None:
            return words
        facts = PassFacts(request, range(request.image_count), after is not None)
        self._stack.enter_context(self._stages.inside("model", "model", model, facts=facts))
        return self._stages.through("conditioning", "words", words, lambda new: hasattr(new, "at"), facts=facts)

    def _model(self, role: Role) -> LoadedModel:
        """The job's model is at hand unless another has taken its place on the device meanwhile."""
        changed = self._for is not None and self._for[0] != "base"
        if role != "base" or changed:
            if self._supplies.model is None:
                raise ValueError(f"no model for {role}")
            model = self._supplies.model(role)
            self._base = model if role == "base" else self._base
            return model
        return self._base


def training_schedule(model: LoadedModel, request: GenerationRequest) -> NoiseSchedule:
    """The model's noise schedule with the changes the request asks for."""
    schedule = model.schedule
    if request.downcast_alphas_cumprod:
        schedule = downcast(schedule)
    if request.noise_schedule == "Zero Terminal SNR":
        schedule = zero_terminal_snr(schedule)
    return schedule
