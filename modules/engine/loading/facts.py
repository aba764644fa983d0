"""What tensor shapes cannot tell of a model: head counts, norm groups, activation, prediction type, native size.

Taken from the file's own metadata where it has them (`config`: JSON in diffusers' and transformers' terms, and the
`modelspec.*` fields), otherwise from the family. Nothing of it is trusted: a value of the wrong kind is refused.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modules.engine.families.family import Family
from modules.engine.loading.shapes import Mismatch, TextShape, UnetShape, VaeShape

Config = Mapping[str, Any]
PREDICTIONS = {"epsilon": "epsilon", "eps": "epsilon", "v": "v", "v_prediction": "v", "v-prediction": "v"}
ACTIVATIONS = ("quick_gelu", "gelu")
CLIP_HEAD_WIDTH = 64
_ATTENDING, _PLAIN = "CrossAttnDownBlock2D", "DownBlock2D"


@dataclass(frozen=True)
class Facts:
    """The free sections of a file's description; every reader of a value checks it."""

    unet: Config
    vae: Config
    text: Config
    top: Config
    resolution: str = ""


def from_metadata(metadata: Mapping[str, str]) -> Facts:
    """Raises `Mismatch` when the metadata's `config` is not a JSON object."""
    try:
        config = json.loads(metadata.get("config", "{}"))
    except (ValueError, RecursionError):
        raise Mismatch("has metadata whose `config` is not JSON") from None
    if not isinstance(config, dict):
        raise Mismatch("has metadata whose `config` is not a JSON object")
    parts = [config.get(name, {}) for name in ("unet", "vae", "text")]
    unet, vae, text = (part if isinstance(part, dict) else {} for part in parts)
    top = {"prediction_type": metadata.get("modelspec.prediction_type"), **config}
    return Facts(unet, vae, text, top, metadata.get("modelspec.resolution", ""))


def _whole(config: Config, key: str, default: int) -> int:
    value = config.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise Mismatch(f"gives {key} as {value!r}, which must be a whole number above 0")
    return value


def _number(config: Config, key: str, default: float) -> float:
    value = config.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Mismatch(f"gives {key} as {value!r}, which must be a number")
    return float(value)


def norm_groups(config: Config, channels: tuple[int, ...], part: str) -> int:
    groups = _whole(config, "norm_num_groups", 32)
    if any(c % groups for c in channels):
        raise Mismatch(f"has a {part} of {channels} channels, which {groups} norm groups do not divide")
    return groups


def unet_heads(facts: Facts, shape: UnetShape, family: Family) -> int:
    """Attention heads of every level (diffusers' configurations call the number `attention_head_dim`)."""
    heads = _whole(facts.unet, "attention_head_dim", family.unet_heads)
    attending = [c for c, attends in zip(shape.channels, shape.attention, strict=True) if attends]
    if any(c % heads for c in (*attending, shape.channels[-1])):
        raise Mismatch(f"has a UNet of {shape.channels} channels, which {heads} attention heads do not divide")
    return heads


def text_heads(facts: Facts, shape: TextShape) -> int:
    heads = _whole(facts.text, "num_attention_heads", max(1, shape.width // CLIP_HEAD_WIDTH))
    if shape.width % heads:
        raise Mismatch(f"has a text encoder of width {shape.width}, which {heads} attention heads do not divide")
    return heads


def text_activation(facts: Facts) -> str:
    name = facts.text.get("hidden_act", "quick_gelu")
    if name not in ACTIVATIONS:
        raise Mismatch(f"names the activation {name!r}; known are {' and '.join(ACTIVATIONS)}")
    return str(name)


def latent_scale(facts: Facts, family: Family) -> float:
    scale = _number(facts.vae, "scaling_factor", family.latent_scale)
    if scale <= 0:
        raise Mismatch(f"gives scaling_factor as {scale}, which must be above 0")
    return scale


def prediction(facts: Facts, family: Family) -> str:
    """ "epsilon" or "v"."""
    named = facts.top.get("prediction_type")
    if named is None:
        return family.prediction
    if not isinstance(named, str) or named not in PREDICTIONS:
        raise Mismatch(f"names the prediction type {named!r}; known are epsilon and v")
    return PREDICTIONS[named]


def betas(facts: Facts, family: Family) -> tuple[float, float]:
    """First and last beta of the training schedule."""
    if facts.top.get("beta_schedule", "scaled_linear") != "scaled_linear":
        raise Mismatch(
            f"was trained with the noise schedule {facts.top['beta_schedule']!r}; only scaled_linear is known"
        )
    start = _number(facts.top, "beta_start", family.beta_start)
    end = _number(facts.top, "beta_end", family.beta_end)
    if not 0 < start <= end < 1:
        raise Mismatch(f"gives betas from {start} to {end}, which must rise between 0 and 1")
    return start, end


def zero_terminal(facts: Facts) -> bool:
    """Whether the training schedule ended in pure noise (diffusers' name for it)."""
    return facts.top.get("rescale_betas_zero_snr") is True


def native_size(facts: Facts, family: Family) -> tuple[int, int]:
    """Width and height the model was trained at."""
    match = re.fullmatch(r"(\d{2,5})x(\d{2,5})", facts.resolution.strip())
    return (int(match[1]), int(match[2])) if match else family.default_size


def preview_matrix(facts: Facts) -> tuple[tuple[float, ...], ...] | None:
    """Five rows of three: four latent channels and a constant, to RGB in -1..1; None when the file has none."""
    rows = facts.top.get("preview_rgb")
    if rows is None:
        return None
    try:
        matrix = tuple(tuple(float(v) for v in row) for row in rows)
    except (TypeError, ValueError):
        matrix = ()
    if len(matrix) != 5 or any(len(row) != 3 or not all(map(math.isfinite, row)) for row in matrix):
        raise Mismatch("gives preview_rgb, which must be 5 rows of 3 numbers")
    return matrix


def unet_shape_of(config: Config) -> UnetShape:
    """The sizes that a diffusers UNet's `config.json` gives."""
    channels, types = config.get("block_out_channels"), config.get("down_block_types")
    if not isinstance(channels, list) or not isinstance(types, list) or len(channels) != len(types) or not channels:
        raise Mismatch("has a UNet whose config.json gives no block_out_channels and down_block_types")
    unknown = sorted({str(kind) for kind in types} - {_ATTENDING, _PLAIN})
    if unknown:
        raise Mismatch(f"has a UNet with blocks of the unknown kind {unknown[0]}")
    return UnetShape(
        in_channels=_whole(config, "in_channels", 4),
        out_channels=_whole(config, "out_channels", 4),
        channels=tuple(_whole({"block_out_channels": c}, "block_out_channels", 1) for c in channels),
        layers=_whole(config, "layers_per_block", 2),
        attention=tuple(kind == _ATTENDING for kind in types),
        cross_dim=_whole(config, "cross_attention_dim", 768),
        linear_projection=config.get("use_linear_projection") is True,
    )


def unet_config(shape: UnetShape, facts: Facts, family: Family) -> dict[str, Any]:
    """Arguments of diffusers' `UNet2DConditionModel`."""
    return {
        "in_channels": shape.in_channels,
        "out_channels": shape.out_channels,
        "block_out_channels": shape.channels,
        "layers_per_block": shape.layers,
        "down_block_types": tuple(_ATTENDING if a else _PLAIN for a in shape.attention),
        "up_block_types": tuple("CrossAttnUpBlock2D" if a else "UpBlock2D" for a in reversed(shape.attention)),
        "cross_attention_dim": shape.cross_dim,
        "attention_head_dim": unet_heads(facts, shape, family),
        "norm_num_groups": norm_groups(facts.unet, shape.channels, "UNet"),
        "use_linear_projection": shape.linear_projection,
        "sample_size": native_size(facts, family)[0] // family.latent_factor,
    }


def vae_config(shape: VaeShape, facts: Facts, family: Family) -> dict[str, Any]:
    """Arguments of diffusers' `AutoencoderKL`."""
    levels = len(shape.channels)
    return {
        "in_channels": shape.picture_channels,
        "out_channels": shape.picture_channels,
        "latent_channels": shape.latent_channels,
        "block_out_channels": shape.channels,
        "layers_per_block": shape.layers,
        "down_block_types": ("DownEncoderBlock2D",) * levels,
        "up_block_types": ("UpDecoderBlock2D",) * levels,
        "norm_num_groups": norm_groups(facts.vae, shape.channels, "autoencoder"),
        "scaling_factor": latent_scale(facts, family),
    }


def text_config(shape: TextShape, facts: Facts) -> dict[str, Any]:
    """Arguments of transformers' `CLIPTextConfig`."""
    return {
        "vocab_size": shape.vocabulary,
        "max_position_embeddings": shape.positions,
        "hidden_size": shape.width,
        "intermediate_size": shape.inner,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": text_heads(facts, shape),
        "hidden_act": text_activation(facts),
        "projection_dim": shape.width,
        "bos_token_id": 49406,
        "eos_token_id": 49407,
        "pad_token_id": 49407,
    }
