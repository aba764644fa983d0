"""Chunks of tokens to what the network is conditioned on: CLIP's states, clip skip and emphasis."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from transformers import CLIPTextModel

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
def encode_chunk(text_encoder: CLIPTextModel, chunk: Chunk, clip_skip: int, device: torch.device) -> Tensor:
    """States float32 [77, D] of one chunk, before emphasis; see `encode_tokens`.

    One at a time: the same chunk gives the same bits, whatever stands beside it in the prompt.
    """
    return encode_tokens(text_encoder, torch.tensor([chunk.tokens], device=device), clip_skip)[0]


def encode_tokens(text_encoder: CLIPTextModel, tokens: Tensor, clip_skip: int) -> Tensor:
    """States float32 [B, T, D] of token ids [B, T].

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
    if clip_skip == 1:
        return text_encoder(input_ids=tokens).last_hidden_state.float()
    states = text_encoder(input_ids=tokens, output_hidden_states=True).hidden_states[-clip_skip]
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
