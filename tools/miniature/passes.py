"""Forward passes of the UNet and the text encoder with the fast layers, over the libraries' own modules."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn
from transformers.models.clip.modeling_clip import CLIPTextModel

from tools.miniature import fast
from tools.miniature.nets import residual


def run_unet(unet: UNet2DConditionModel, x: Tensor, t: Tensor, words: Tensor) -> Tensor:
    """Raw output [B,4,h,w] for noisy latents `x`, timesteps `t` [B] and encoded words [B,T,D]."""
    time = F.silu(unet.time_embedding(unet.time_proj(t).to(x.dtype)))
    x = unet.conv_in(x)
    kept = [x]
    for level in unet.down_blocks:
        for block, transformer in _pairs(level):
            x = residual(block, x, time)
            x = x if transformer is None else _transform(transformer, x, words)
            kept.append(x)
        for halving in level.downsamplers or ():
            x = halving.conv(x)
            kept.append(x)
    middle = unet.mid_block
    x = residual(middle.resnets[0], x, time)
    x = residual(middle.resnets[1], _transform(middle.attentions[0], x, words), time)
    for level in unet.up_blocks:
        for block, transformer in _pairs(level):
            x = residual(block, torch.cat([x, kept.pop()], 1), time)
            x = x if transformer is None else _transform(transformer, x, words)
        for doubling in level.upsamplers or ():
            x = doubling.conv(F.interpolate(x, size=kept[-1].shape[2:], mode="nearest"))
    return unet.conv_out(fast.group_norm(x, unet.conv_norm_out))


def _pairs(level: nn.Module) -> list[tuple[Any, Any]]:
    """The residual blocks of a level, each with the transformer after it or None."""
    blocks = list(level.resnets)
    transformers = list(getattr(level, "attentions", None) or [None] * len(blocks))
    return list(zip(blocks, transformers, strict=True))


def _transform(layer: Any, x: Tensor, words: Tensor) -> Tensor:
    """Self-attention, cross-attention and feed-forward over the pixels of `x`."""
    batch, width, height, breadth = x.shape
    tokens = fast.group_norm(x, layer.norm, act=False).permute(0, 2, 3, 1).reshape(batch, -1, width)
    tokens = _pointwise(layer.proj_in, tokens)
    for block in layer.transformer_blocks:
        tokens = tokens + _attend(block.attn1, fast.layer_norm(tokens, block.norm1), None)
        tokens = tokens + _attend(block.attn2, fast.layer_norm(tokens, block.norm2), words)
        wide, narrow = block.ff.net[0].proj, block.ff.net[2]
        tokens = tokens + narrow(fast.geglu(wide(fast.layer_norm(tokens, block.norm3))))
    tokens = _pointwise(layer.proj_out, tokens)
    return x + tokens.view(batch, height, breadth, -1).permute(0, 3, 1, 2)


def _pointwise(layer: nn.Conv2d | nn.Linear, tokens: Tensor) -> Tensor:
    """A 1x1 convolution over tokens [B,N,C]."""
    return F.linear(tokens, layer.weight.flatten(1), layer.bias)


def _attend(layer: Any, tokens: Tensor, words: Tensor | None) -> Tensor:
    heads = layer.heads
    if words is None:
        joined = torch.cat([layer.to_q.weight, layer.to_k.weight, layer.to_v.weight])
        query, key, value = _heads(F.linear(tokens, joined), 3, heads)
    else:
        query = _heads(layer.to_q(tokens), 1, heads)[0]
        key, value = _heads(F.linear(words, torch.cat([layer.to_k.weight, layer.to_v.weight])), 2, heads)
    return layer.to_out[0](fast.attention(query, key, value).transpose(1, 2).flatten(2))


def _heads(x: Tensor, parts: int, heads: int) -> Tensor:
    """[B,N,parts*C] to [parts,B,heads,N,C/heads]."""
    return x.unflatten(2, (parts, heads, -1)).permute(2, 0, 3, 1, 4)


def run_text(text: CLIPTextModel, tokens: Tensor) -> Tensor:
    """Last hidden states [B,T,D] after the final norm, of rows of the embedding [B,T]."""
    embeddings = text.embeddings
    x = embeddings.token_embedding(tokens) + embeddings.position_embedding.weight[: tokens.shape[1]]
    for layer in text.encoder.layers:
        attention = layer.self_attn
        parts = (attention.q_proj, attention.k_proj, attention.v_proj)
        joined, biases = torch.cat([p.weight for p in parts]), torch.cat([p.bias for p in parts])
        mixed = F.linear(fast.layer_norm(x, layer.layer_norm1), joined, biases)
        query, key, value = _heads(mixed, 3, attention.num_heads)
        mixed = fast.attention(query, key, value, causal=True)
        x = x + attention.out_proj(mixed.transpose(1, 2).flatten(2))
        hidden = layer.mlp.fc1(fast.layer_norm(x, layer.layer_norm2))
        x = x + layer.mlp.fc2(hidden * torch.sigmoid(1.702 * hidden))
    return fast.layer_norm(x, text.final_layer_norm)
