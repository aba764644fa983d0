"""Chunks of tokens to what the network is conditioned on: CLIP's states, clip skip and emphasis."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import CLIPTextModel

from modules.prompts.chunks import Chunk
from modules.schema.errors import BadRequest


@torch.no_grad()
def encode_prompts(
    text_encoder: CLIPTextModel,
    chunks_per_prompt: Sequence[Sequence[Chunk]],
    *,
    clip_skip: int,
    emphasis: str,
    device: torch.device,
) -> list[Tensor]:
    """Each prompt's states, float32 [77 * its chunks, D].

    All chunks go through the encoder in one batch, equal ones once. `clip_skip` 1 is the encoder's output, n > 1 the
    states n - 1 layers earlier under the final layer norm. Raises BadRequest where the encoder has fewer layers.
    """
    tokens = list(dict.fromkeys(chunk.tokens for chunks in chunks_per_prompt for chunk in chunks))
    states = encode_tokens(text_encoder, torch.tensor(tokens, device=device), clip_skip)
    by_tokens = dict(zip(tokens, states, strict=True))
    return [
        torch.cat([emphasise(by_tokens[chunk.tokens], chunk.weights, emphasis) for chunk in chunks])
        for chunks in chunks_per_prompt
    ]


def encode_tokens(text_encoder: CLIPTextModel, tokens: Tensor, clip_skip: int) -> Tensor:
    """States float32 [B, T, D] of token ids [B, T]; see `encode_prompts` for `clip_skip` and errors."""
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


def emphasise(states: Tensor, weights: Sequence[float], mode: str) -> Tensor:
    """`states` [T, D] of one chunk times each token's weight.

    "Original" then restores the mean over the chunk (an old rule of A1111, kept for its pictures), "No norm" does
    not; "Ignore" and "None" leave the states alone.
    """
    if mode in ("Ignore", "None") or all(weight == 1.0 for weight in weights):
        return states
    weighted = states * torch.tensor(weights, dtype=states.dtype, device=states.device)[:, None]
    return weighted if mode == "No norm" else weighted * (states.mean() / weighted.mean())
