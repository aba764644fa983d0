"""The words of a request as the tensors the UNet attends to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from modules.engine.loading.model import LoadedModel
from modules.engine.text.encode import encode_prompts
from modules.prompts.chunks import chunk_prompt
from modules.prompts.tokens import ClipTokenizer, load_tokenizer
from modules.schema.request import GenerationRequest
from modules.schema.samplers import SAMPLERS


@dataclass(frozen=True)
class Conditioning:
    """`cond` and `uncond`: float32 [1, 77 k, D]; `uncond` is None where guidance does not use it (CFG scale 1,
    but for CFG++)."""

    cond: Tensor
    uncond: Tensor | None


@cache
def _tokenizer() -> ClipTokenizer:
    return load_tokenizer()


def encode_request(request: GenerationRequest, model: LoadedModel) -> Conditioning:
    """Prompt and negative prompt of `request` through the model's text encoder."""
    one_sided = request.cfg_scale == 1.0 and SAMPLERS.get(request.sampler).name != "ddim_cfgpp"
    texts = [request.prompt] if one_sided else [request.prompt, request.negative_prompt]
    chunks = [
        chunk_prompt(text, _tokenizer(), emphasis=request.emphasis, comma_backtrack=request.comma_padding_backtrack)
        for text in texts
    ]
    if request.pad_cond_uncond:
        empty = chunk_prompt("", _tokenizer())
        longest = max(len(c) for c in chunks)
        chunks = [c + empty * (longest - len(c)) for c in chunks]
    encoded = encode_prompts(
        model.text_encoder, chunks, clip_skip=request.clip_skip, emphasis=request.emphasis, device=model.device
    )
    tensors = [torch.unsqueeze(states, 0) for states in encoded]
    return Conditioning(tensors[0], tensors[1] if len(tensors) > 1 else None)
