"""Chunks of tokens to what the network is conditioned on: CLIP's states, clip skip and emphasis."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from transformers import CLIPTextModel
from transformers.masking_utils import create_causal_mask

from modules.prompts.chunks import Chunk
from modules.schema.errors import BadRequest


def encode_texts(
    states: Callable[[Chunk], Tensor],
    texts: Sequence[Sequence[Chunk]],
    times: Sequence[int],
    emphasis: str,
    empty: Chunk,
) -> list[Tensor]:
    """The texts that one prompt has in the course of the steps, each float32 [77 * chunks of the longest, D].

    `states` gives a chunk's [77, D]. Shorter texts are filled up with `empty` chunks. `times`: how many stages of the
    prompt have each text; see `emphasise`.
    """
    longest = max(len(chunks) for chunks in texts)
    filled = [[*chunks, *[empty] * (longest - len(chunks))] for chunks in texts]
    columns = [
        emphasise([states(chunk) for chunk in column], [chunk.weights for chunk in column], times, emphasis)
        for column in zip(*filled, strict=True)
    ]
    return [torch.cat(parts) for parts in zip(*columns, strict=True)]


@torch.no_grad()
def encode_chunk(
    text_encoder: CLIPTextModel,
    chunk: Chunk,
    clip_skip: int,
    device: torch.device,
    vectors: Mapping[str, Tensor] | None = None,
) -> Tensor:
    """States float32 [77, D] of one chunk, before emphasis; see `encode_rows`.

    `vectors`: the embeddings that the chunk names, [n, D] each. One chunk at a time: the same chunk gives the same
    bits, whatever stands beside it in the prompt.
    """
    rows = look_up(text_encoder, torch.tensor([chunk.tokens], device=device))
    for place in chunk.embeddings:
        given = (vectors or {})[place.name][place.first_vector : place.first_vector + place.count]
        rows[0, place.position : place.position + place.count] = given.to(rows)
    return encode_rows(text_encoder, rows, clip_skip)[0]


def look_up(text_encoder: CLIPTextModel, tokens: Tensor) -> Tensor:
    """The encoder's own vectors [B, T, D] of token ids [B, T]: where embeddings are written in."""
    return text_encoder.embeddings.token_embedding(tokens)


def encode_tokens(text_encoder: CLIPTextModel, tokens: Tensor, clip_skip: int) -> Tensor:
    """States float32 [B, T, D] of token ids [B, T]; see `encode_rows`."""
    return encode_rows(text_encoder, look_up(text_encoder, tokens), clip_skip)


def encode_rows(text_encoder: CLIPTextModel, rows: Tensor, clip_skip: int) -> Tensor:
    """States float32 [B, T, D] of one vector a token, [B, T, D], before positions are added.

    `clip_skip` 1 is the encoder's output, n > 1 the states n - 1 layers earlier under the final layer norm. Raises
    BadRequest where the encoder has fewer layers.
    """
    layers = text_encoder.config.num_hidden_layers
    if not 1 <= clip_skip <= layers:
        raise BadRequest(
            f"Clip skip {clip_skip} is not possible: this checkpoint's text encoder has {layers} layers, so choose 1 "
            f"to {layers}.",
            "clip_skip",
        )
    states = text_encoder.embeddings(inputs_embeds=rows)
    mask = create_causal_mask(
        config=text_encoder.config, inputs_embeds=states, attention_mask=None, past_key_values=None
    )
    for layer in text_encoder.encoder.layers[: layers + 1 - clip_skip]:
        states = layer(states, mask, is_causal=True)
    return text_encoder.final_layer_norm(states).float()


def emphasise(
    states: Sequence[Tensor], weights: Sequence[Sequence[float]], times: Sequence[int], mode: str
) -> list[Tensor]:
    """The same chunk of each text of a prompt, `states` [T, D], times each token's weight.

    "Original" then restores the mean (an old rule of A1111, kept for its pictures): one mean over all stages of the
    prompt, so a text counts as many `times` as there are stages with it. "No norm" does not; "Ignore" and "None"
    leave the states alone.
    """
    if mode in ("Ignore", "None") or all(weight == 1.0 for row in weights for weight in row):
        return list(states)
    weighted = [
        plain * torch.tensor(row, dtype=plain.dtype, device=plain.device)[:, None]
        for plain, row in zip(states, weights, strict=True)
    ]
    if mode == "No norm":
        return weighted
    factor = _mean(states, times) / _mean(weighted, times)
    return [each * factor for each in weighted]


def _mean(states: Sequence[Tensor], times: Sequence[int]) -> Tensor:
    total = torch.stack([each.mean() * count for each, count in zip(states, times, strict=True)]).sum()
    return total / sum(times)
