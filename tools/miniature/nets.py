"""The miniature's three networks: their sizes, and the autoencoder's passes with the fast layers.

The classes are diffusers' and transformers' own, so names and layout are those that the product loads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from diffusers.models.attention_processor import Attention
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor
from transformers.models.clip.configuration_clip import CLIPTextConfig
from transformers.models.clip.modeling_clip import CLIPTextModel

from modules.engine.families.sd1 import SD1
from modules.prompts.chunks import CHUNK_LENGTH
from modules.prompts.tokens import BOS, EOS
from tools.miniature import fast

NATIVE = 128
VOCABULARY = EOS + 1


@dataclass(frozen=True)
class Sizes:
    """Everything that decides the networks' shapes."""

    unet_channels: tuple[int, ...] = (64, 192)
    unet_attention: tuple[bool, ...] = (True, True)
    unet_layers: int = 1
    unet_heads: int = 2
    unet_groups: int = 32
    vae_channels: tuple[int, ...] = (32, 32, 64, 128)
    vae_layers: int = 1
    vae_groups: int = 8
    text_width: int = 128
    text_layers: int = 6
    text_heads: int = 4

    def unet(self) -> dict[str, Any]:
        """Arguments of `UNet2DConditionModel`."""
        down = tuple("CrossAttnDownBlock2D" if a else "DownBlock2D" for a in self.unet_attention)
        up = tuple("CrossAttnUpBlock2D" if a else "UpBlock2D" for a in reversed(self.unet_attention))
        return {
            "sample_size": NATIVE // SD1.latent_factor,
            "in_channels": SD1.latent_channels,
            "out_channels": SD1.latent_channels,
            "layers_per_block": self.unet_layers,
            "block_out_channels": self.unet_channels,
            "norm_num_groups": self.unet_groups,
            "down_block_types": down,
            "up_block_types": up,
            "cross_attention_dim": self.text_width,
            "attention_head_dim": self.unet_heads,
        }

    def vae(self) -> dict[str, Any]:
        """Arguments of `AutoencoderKL`."""
        levels = len(self.vae_channels)
        return {
            "in_channels": 3,
            "out_channels": 3,
            "latent_channels": SD1.latent_channels,
            "sample_size": NATIVE,
            "norm_num_groups": self.vae_groups,
            "layers_per_block": self.vae_layers,
            "scaling_factor": SD1.latent_scale,
            "block_out_channels": self.vae_channels,
            "down_block_types": ("DownEncoderBlock2D",) * levels,
            "up_block_types": ("UpDecoderBlock2D",) * levels,
        }

    def text(self) -> dict[str, Any]:
        """Arguments of `CLIPTextConfig`."""
        return {
            "vocab_size": VOCABULARY,
            "hidden_size": self.text_width,
            "intermediate_size": 4 * self.text_width,
            "num_hidden_layers": self.text_layers,
            "num_attention_heads": self.text_heads,
            "max_position_embeddings": CHUNK_LENGTH,
            "hidden_act": "quick_gelu",
            "bos_token_id": BOS,
            "eos_token_id": EOS,
            "pad_token_id": EOS,
            "projection_dim": self.text_width,
        }


def working_dtype(device: torch.device) -> torch.dtype:
    """What is computed in: bf16 where it is fast."""
    fast = device.type != "cpu" or torch.cpu.get_capabilities().get("amx_bf16")
    return torch.bfloat16 if fast else torch.float32


def build_unet(sizes: Sizes) -> UNet2DConditionModel:
    return UNet2DConditionModel(**sizes.unet())


def build_vae(sizes: Sizes) -> AutoencoderKL:
    return AutoencoderKL(**sizes.vae())


def build_text(sizes: Sizes, vocabulary: int | None = None) -> CLIPTextModel:
    """`vocabulary`: rows of the embedding in training, where only a few tokens are used."""
    config = {**sizes.text(), **({"vocab_size": vocabulary} if vocabulary else {})}
    return CLIPTextModel(CLIPTextConfig(**config))


def encode(vae: AutoencoderKL, pictures: Tensor) -> Tensor:
    """The mean of the code of pictures [B,3,H,W] in -1..1: [B,4,H/8,W/8], not yet scaled."""
    encoder = vae.encoder
    x = encoder.conv_in(pictures)
    for level in encoder.down_blocks:
        for block in level.resnets:
            x = residual(block, x)
        for halving in level.downsamplers or ():
            x = halving.conv(torch.nn.functional.pad(x, (0, 1, 0, 1)))
    x = _middle(encoder.mid_block, x)
    x = encoder.conv_out(fast.group_norm(x, encoder.conv_norm_out))
    return vae.quant_conv(x).chunk(2, 1)[0]


def decode(vae: AutoencoderKL, codes: Tensor) -> Tensor:
    """Pictures [B,3,H,W] of codes [B,4,H/8,W/8]."""
    decoder = vae.decoder
    x = _middle(decoder.mid_block, decoder.conv_in(vae.post_quant_conv(codes)))
    for level in decoder.up_blocks:
        for block in level.resnets:
            x = residual(block, x)
        for doubling in level.upsamplers or ():
            x = doubling.conv(torch.nn.functional.interpolate(x, scale_factor=2.0, mode="nearest"))
    return decoder.conv_out(fast.group_norm(x, decoder.conv_norm_out))


def residual(block: ResnetBlock2D, x: Tensor, time: Tensor | None = None) -> Tensor:
    """Residual block; `time` [B,T]: the time embedding after its SiLU."""
    shift = None if time is None else block.time_emb_proj(time)
    hidden = block.conv1(fast.group_norm(x, block.norm1))
    hidden = block.conv2(fast.group_norm(hidden, block.norm2, shift))
    return hidden + (x if block.conv_shortcut is None else block.conv_shortcut(x))


def _middle(middle: Any, x: Tensor) -> Tensor:
    x = residual(middle.resnets[0], x)
    x = _attend(middle.attentions[0], x)
    return residual(middle.resnets[1], x)


def _attend(layer: Attention, x: Tensor) -> Tensor:
    """The autoencoder's one attention layer."""
    batch, width, height, breadth = x.shape
    tokens = fast.group_norm(x, layer.group_norm, act=False).permute(0, 2, 3, 1).reshape(batch, -1, width)
    query, key, value = (
        project(tokens).unflatten(2, (layer.heads, -1)).transpose(1, 2)
        for project in (layer.to_q, layer.to_k, layer.to_v)
    )
    mixed = layer.to_out[0](fast.attention(query, key, value).transpose(1, 2).reshape(batch, -1, width))
    return x + mixed.view(batch, height, breadth, width).permute(0, 3, 1, 2)
