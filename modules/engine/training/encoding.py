"""Texts of a training to what the UNet attends to: the way of generation, with gradients to what is learned."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers.models.clip.modeling_clip import CLIPTextModel

from modules.engine.loading.model import LoadedModel
from modules.engine.networks.embeddings import shelf_of
from modules.engine.text.encode import encode_rows, encode_texts, look_up
from modules.prompts.chunks import Chunk, chunk_prompt
from modules.prompts.embedding_names import EmbeddingNames
from modules.prompts.tokens import ClipTokenizer
from modules.schema.engine import NamedFile
from modules.schema.request import GenerationRequest

_KEPT = 256


class TrainingText:
    """Encodes texts in which the new word (and words of the embeddings in `files`) may stand.

    `word`: the new word and its count of vectors; None where the model itself learns. `learns_to_read`: whether the
    text encoder's answers change with every step. `request` has clip skip and the rules of emphasis.

    A chunk that nothing learned acts on is encoded once, and all others of a batch together.
    """

    def __init__(
        self,
        model: LoadedModel,
        tokenizer: ClipTokenizer,
        request: GenerationRequest,
        files: Sequence[NamedFile],
        word: tuple[str, int] | None,
        learns_to_read: bool,
    ) -> None:
        self._tokenizer = tokenizer
        self._request = request
        self._word = word[0] if word else ""
        self._learns_to_read = learns_to_read
        self.encoder = _exact(model.text_encoder)
        self._device = model.device
        others = [
            (file.name, Path(file.path)) for file in files if file.kind == "embedding" and file.name != self._word
        ]
        self._others: Mapping[str, Tensor] = shelf_of(model).vocabulary(others, {}, tokenizer.encode).vectors
        counts = {name: len(vectors) for name, vectors in self._others.items()}
        self._names = EmbeddingNames({**counts, **(dict([word]) if word else {})}, tokenizer.encode)
        self._chunks: dict[str, list[Chunk]] = {}
        self._states: OrderedDict[Chunk, Tensor] = OrderedDict()

    def has_word(self, text: str) -> bool:
        """Whether the new word is found in `text`."""
        return any(self._is_learned(chunk) for chunk in self._of(text))

    def encode(self, texts: Sequence[str], vectors: Tensor | None) -> Tensor:
        """float32 [B, T, D] of B texts; `vectors` [n, D] are the new word's."""
        chunked = [self._of(text) for text in texts]
        (empty,) = self._of("")
        longest = max(map(len, chunked))
        filled = [[*chunks, *[empty] * (longest - len(chunks))] for chunks in chunked]
        states = self._encode({chunk for chunks in filled for chunk in chunks} | {empty}, vectors)
        emphasis = self._request.emphasis
        return torch.stack([encode_texts(states.__getitem__, [chunks], [1], emphasis, empty)[0] for chunks in filled])

    def forget(self) -> None:
        """The text encoder's weights are not what they were."""
        self._states.clear()

    def _of(self, text: str) -> list[Chunk]:
        if text not in self._chunks:
            if len(self._chunks) > 16 * _KEPT:
                self._chunks.clear()
            self._chunks[text] = chunk_prompt(
                text,
                self._tokenizer,
                emphasis=self._request.emphasis,
                comma_backtrack=self._request.comma_padding_backtrack,
                embeddings=self._names,
            )
        return self._chunks[text]

    def _is_learned(self, chunk: Chunk) -> bool:
        return bool(self._word) and any(place.name == self._word for place in chunk.embeddings)

    def _encode(self, chunks: set[Chunk], vectors: Tensor | None) -> dict[Chunk, Tensor]:
        ordered = sorted(chunks, key=lambda chunk: (chunk.tokens, chunk.weights, chunk.embeddings))
        changing = [chunk for chunk in ordered if self._learns_to_read or self._is_learned(chunk)]
        found = dict(zip(changing, self._run(changing, vectors), strict=True)) if changing else {}
        for chunk in ordered:
            if chunk not in found:
                found[chunk] = self._constant(chunk)
        return found

    def _constant(self, chunk: Chunk) -> Tensor:
        if chunk not in self._states:
            with torch.no_grad():
                self._states[chunk] = self._run([chunk], None)[0]
            if len(self._states) > _KEPT:
                self._states.popitem(last=False)
        self._states.move_to_end(chunk)
        return self._states[chunk]

    def _run(self, chunks: Sequence[Chunk], vectors: Tensor | None) -> Tensor:
        """[n, 77, D]."""
        tokens = torch.tensor([chunk.tokens for chunk in chunks], device=self._device)
        with torch.no_grad():
            rows = look_up(self.encoder, tokens).clone()
        for row, chunk in enumerate(chunks):
            for place in chunk.embeddings:
                given = vectors if place.name == self._word and vectors is not None else self._others[place.name]
                part = given[place.first_vector : place.first_vector + place.count]
                rows[row, place.position : place.position + place.count] = part.to(rows)
        return encode_rows(self.encoder, rows, self._request.clip_skip)


def _exact(text_encoder: CLIPTextModel) -> CLIPTextModel:
    """The encoder in float32: a step's change of a vector is often smaller than half precision can tell."""
    if text_encoder.dtype == torch.float32:
        return text_encoder
    return copy.deepcopy(text_encoder).float()


Encode = Callable[[Sequence[str], Tensor | None], Tensor]
