"""The words of a request as the tensors the UNet attends to, for every step."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from modules.engine.diffusion.guidance import Words
from modules.engine.loading.model import LoadedModel
from modules.engine.networks.embeddings import Vocabulary
from modules.engine.text.encode import encode_chunk, encode_texts
from modules.engine.text.encodings import Encodings
from modules.prompts.chunks import Chunk, chunk_prompt
from modules.prompts.prompt import Piece, parse_negative, parse_prompt
from modules.prompts.schedule import Timing
from modules.prompts.tokens import ClipTokenizer, load_tokenizer
from modules.schema.request import GenerationRequest
from modules.schema.samplers import SAMPLERS


@dataclass(frozen=True, eq=False)
class Stages:
    """One prompt over the steps: `texts[k]` [1,T,D] is used up to and including model call `ends[k]` (from 0)."""

    ends: tuple[int, ...]
    texts: tuple[Tensor, ...]

    def at(self, call: int) -> Tensor:
        """What is used at a call; the last for calls beyond the end."""
        return self.texts[min(bisect_left(self.ends, call), len(self.ends) - 1)]

    @property
    def length(self) -> int:
        """T, the same for all texts."""
        return self.texts[0].shape[1]

    def changed(self, change: Callable[[Tensor], Tensor]) -> Stages:
        """Each text changed; stages of one text go on sharing a tensor."""
        made = {id(text): change(text) for text in dict.fromkeys(self.texts)}
        return Stages(self.ends, tuple(made[id(text)] for text in self.texts))


class Conditioning:
    """All prompts over the steps. `uncond` None: guidance does not use the negative."""

    def __init__(self, pieces: Sequence[Stages], weights: Sequence[float], uncond: Stages | None) -> None:
        self._pieces = pieces
        self._weights = tuple(weights)
        self._uncond = uncond
        self._made: dict[tuple[int, ...], Words] = {}

    def at(self, call: int) -> Words:
        """The words of model call `call` of a run (from 0), the same object for the same words."""
        pieces = tuple(piece.at(call) for piece in self._pieces)
        uncond = self._uncond.at(call) if self._uncond else None
        key = tuple(map(id, (*pieces, uncond)))
        if key not in self._made:
            self._made[key] = Words(pieces, uncond, self._weights)
        return self._made[key]


def timing_of(request: GenerationRequest, first_pass: GenerationRequest | None = None) -> Timing:
    """How times written in the prompts of `request` become model calls; for a hires pass, which follows `first_pass`.

    They refer to all steps that were asked for, however many of them img2img walks.
    """
    calls = request.steps * SAMPLERS.get(request.sampler).calls_per_step
    if first_pass is None:
        return Timing(calls, old=request.use_old_scheduling)
    first_calls = first_pass.steps * SAMPLERS.get(first_pass.sampler).calls_per_step
    return Timing(first_calls, old=True) if request.use_old_scheduling else Timing(calls, first_calls)


@cache
def tokenizer() -> ClipTokenizer:
    return load_tokenizer()


class PromptEncoder:
    """Requests to conditioning; keeps what was encoded last."""

    def __init__(self, capacity: int = 256) -> None:
        self._encodings = Encodings(capacity)

    def encode(
        self,
        request: GenerationRequest,
        model: LoadedModel,
        *,
        first_pass: GenerationRequest | None = None,
        networks: Hashable = (),
        embeddings: Vocabulary | None = None,
    ) -> Conditioning:
        """Prompt and negative prompt of `request` through the model's text encoder.

        `first_pass`: the request of the pass before, where this is a hires pass. `embeddings`: words of the model
        beside its own. `networks`: all else that decides what the text encoder makes of a chunk: what has changed
        its weights, which files the embeddings are.
        """
        work = _Work(tokenizer(), self._encodings, request, model, networks, embeddings)
        timing = timing_of(request, first_pass)
        pieces = parse_prompt(request.prompt).pieces
        weights = [piece.weight for piece in pieces]
        positive = [work.stages(piece, timing) for piece in pieces]
        one_sided = request.cfg_scale == 1.0 and sum(weights) == 1.0
        if one_sided and SAMPLERS.get(request.sampler).name != "ddim_cfgpp":
            return Conditioning(_repeated(positive), weights, None)
        (piece,) = parse_negative(request.negative_prompt).pieces
        positive, negative = work.padded(_repeated(positive), work.stages(piece, timing))
        return Conditioning(positive, weights, negative)


@dataclass(frozen=True)
class _Work:
    """What stays the same while the prompts of one request are encoded."""

    tokenizer: ClipTokenizer
    encodings: Encodings
    request: GenerationRequest
    model: LoadedModel
    networks: Hashable
    embeddings: Vocabulary | None

    def stages(self, piece: Piece, timing: Timing) -> Stages:
        """One piece over the steps; stages of the same text share one tensor."""
        stages = piece.texts(timing)
        times = Counter(text for _, text in stages)
        chunks = [self.chunks(text) for text in times]
        encoded = encode_texts(self.states, chunks, list(times.values()), self.request.emphasis, self.chunks("")[0])
        by_text = {text: states.unsqueeze(0) for text, states in zip(times, encoded, strict=True)}
        return Stages(tuple(end for end, _ in stages), tuple(by_text[text] for _, text in stages))

    def chunks(self, text: str) -> list[Chunk]:
        return chunk_prompt(
            text,
            self.tokenizer,
            emphasis=self.request.emphasis,
            comma_backtrack=self.request.comma_padding_backtrack,
            embeddings=self.embeddings,
        )

    def states(self, chunk: Chunk) -> Tensor:
        """[77,D] of a chunk before emphasis."""
        skip, device = self.request.clip_skip, self.model.device
        key = (chunk.tokens, chunk.embeddings, skip, device, self.networks)
        encoder, vectors = self.model.text_encoder, self.embeddings.vectors if self.embeddings else {}
        return self.encodings.get(encoder, key, lambda: encode_chunk(encoder, chunk, skip, device, vectors))

    def padded(self, positive: list[Stages], negative: Stages) -> tuple[list[Stages], Stages]:
        """Prompts and negative made equally long where the request asks for it."""
        if self.request.pad_cond_uncond_v0:
            length = positive[0].length
            return positive, _longer(negative, length, None).changed(lambda text: text[:, :length])
        if not self.request.pad_cond_uncond:
            return positive, negative
        empty = self.states(self.chunks("")[0])
        longest = max(stages.length for stages in (*positive, negative))
        *filled, last = (_longer(stages, longest, empty) for stages in (*positive, negative))
        return filled, last


def _repeated(pieces: list[Stages]) -> list[Stages]:
    """Pieces of one length: shorter ones repeat their last vector, as in A1111."""
    longest = max(piece.length for piece in pieces)
    return [_longer(piece, longest, None) for piece in pieces]


def _longer(stages: Stages, length: int, filling: Tensor | None) -> Stages:
    """The texts made `length` vectors long with `filling` [77,D] over and over, or their own last vector."""
    missing = length - stages.length
    if missing <= 0:
        return stages

    def filled(text: Tensor) -> Tensor:
        end = text[:, -1:] if filling is None else filling[None]
        return torch.cat((text, end.repeat(1, missing // end.shape[1], 1)), 1)

    return stages.changed(filled)
