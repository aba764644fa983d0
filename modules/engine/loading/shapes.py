"""Sizes of the networks, read from the shapes of a file's tensors (original layout, part prefix removed).

What shapes cannot tell (head counts, norm groups) is in `facts.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

Shapes = Mapping[str, tuple[int, ...]]


class Mismatch(Exception):
    """The tensors are not what is needed; the message goes on after the file's name ("has no ...")."""


@dataclass(frozen=True)
class UnetShape:
    """`channels`: of each level from the outermost in; `layers`: residual blocks a level on the way in;
    `attention`: which levels attend to the words, of width `cross_dim`."""

    in_channels: int
    out_channels: int
    channels: tuple[int, ...]
    layers: int
    attention: tuple[bool, ...]
    cross_dim: int
    linear_projection: bool


@dataclass(frozen=True)
class VaeShape:
    """`channels`: of each level from the picture's side; `layers`: residual blocks a level of the encoder."""

    picture_channels: int
    latent_channels: int
    channels: tuple[int, ...]
    layers: int


@dataclass(frozen=True)
class TextShape:
    """Of a CLIP text encoder; `inner` is the width inside its feed-forward layers."""

    vocabulary: int
    positions: int
    width: int
    inner: int
    layers: int


def unet_shape(shapes: Shapes) -> UnetShape:
    """Raises `Mismatch` when the tensors are not those of a Stable Diffusion UNet."""
    levels = _input_levels(shapes)
    layers = {len(level) for level in levels}
    if not levels or len(layers) != 1 or 0 in layers:
        raise Mismatch("has an incomplete UNet: its input blocks do not form levels of equal depth")
    attention = tuple(level[0][1] for level in levels)
    cross = next((shapes[n] for n in shapes if n.endswith("attn2.to_k.weight")), None)
    middle = _need(shapes, "middle_block.1.proj_in.weight", "UNet")
    if cross is None or len(cross) != 2:
        raise Mismatch("has a UNet without cross-attention, which cannot follow a prompt")
    return UnetShape(
        in_channels=_need(shapes, "input_blocks.0.0.weight", "UNet", 4)[1],
        out_channels=_need(shapes, "out.2.weight", "UNet")[0],
        channels=tuple(level[0][0] for level in levels),
        layers=layers.pop(),
        attention=attention,
        cross_dim=cross[1],
        linear_projection=len(middle) == 2,
    )


def _input_levels(shapes: Shapes) -> list[list[tuple[int, bool]]]:
    """For each level its residual blocks as (channels, attends)."""
    levels: list[list[tuple[int, bool]]] = [[]]
    for number in range(1, _count(shapes, r"input_blocks\.(\d+)\.")):
        if f"input_blocks.{number}.0.op.weight" in shapes:
            levels.append([])
        elif (resnet := f"input_blocks.{number}.0.in_layers.2.weight") in shapes:
            levels[-1].append((shapes[resnet][0], f"input_blocks.{number}.1.norm.weight" in shapes))
    return levels


@dataclass(frozen=True)
class VaeNames:
    """How a layout names the encoder's residual blocks: `encoder.{level}.N.{block}.M`."""

    level: str
    block: str


ORIGINAL_VAE = VaeNames("down", "block")
DIFFUSERS_VAE = VaeNames("down_blocks", "resnets")


def vae_shape(shapes: Shapes, names: VaeNames = ORIGINAL_VAE) -> VaeShape:
    """Raises `Mismatch` when the tensors are not those of a Stable Diffusion autoencoder."""
    head = f"encoder.{names.level}"
    levels = _count(shapes, rf"encoder\.{names.level}\.(\d+)\.")
    layers = _count(shapes, rf"encoder\.{names.level}\.0\.{names.block}\.(\d+)\.")
    channels = [
        _need(shapes, f"{head}.{level}.{names.block}.0.conv1.weight", "autoencoder")[0] for level in range(levels)
    ]
    if not channels:
        raise Mismatch("has no complete autoencoder (VAE)")
    return VaeShape(
        picture_channels=_need(shapes, "encoder.conv_in.weight", "autoencoder", 4)[1],
        latent_channels=_need(shapes, "decoder.conv_in.weight", "autoencoder", 4)[1],
        channels=tuple(channels),
        layers=layers,
    )


def text_shape(shapes: Shapes) -> TextShape:
    """Raises `Mismatch` when the tensors (network's names) are not those of a CLIP text encoder."""
    vocabulary, width = _need(shapes, "embeddings.token_embedding.weight", "text encoder", 2)
    return TextShape(
        vocabulary=vocabulary,
        positions=_need(shapes, "embeddings.position_embedding.weight", "text encoder")[0],
        width=width,
        inner=_need(shapes, "encoder.layers.0.mlp.fc1.weight", "text encoder")[0],
        layers=_count(shapes, r"encoder\.layers\.(\d+)\."),
    )


def _count(shapes: Shapes, pattern: str) -> int:
    """One more than the largest number that `pattern` captures at the start of a name; 0 without any."""
    found = (re.match(pattern, name) for name in shapes)
    return max((int(match[1]) + 1 for match in found if match), default=0)


def _need(shapes: Shapes, name: str, part: str, dimensions: int = 0) -> tuple[int, ...]:
    """The shape of a tensor that must be there, with so many `dimensions` (0: at least one)."""
    if name not in shapes:
        raise Mismatch(f"has no complete {part}: the tensor {name} is missing")
    shape = shapes[name]
    if len(shape) != (dimensions or max(1, len(shape))):
        raise Mismatch(f"has a broken {part}: the tensor {name} has the shape {shape}")
    return shape
