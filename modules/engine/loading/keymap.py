"""Names of tensors: the original layout of Stable Diffusion 1 files, and that of the networks we run.

A name is `block.leaf.parameter`. Blocks are numbered differently in the two layouts, so their table depends on the
network's shape; leaves (the layers inside a residual or attention block) are renamed by one fixed table. Both tables
are one to one, so the same map reads original files and writes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from modules.engine.loading.shapes import UnetShape, VaeShape

UNET_PREFIX = "model.diffusion_model."
VAE_PREFIX = "first_stage_model."
TEXT_PREFIX = "cond_stage_model.transformer."
EMA_PREFIX = "model_ema."

_UNET_LEAVES = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "emb_layers.1": "time_emb_proj",
    "skip_connection": "conv_shortcut",
}
_VAE_LEAVES = {"nin_shortcut": "conv_shortcut"}
_VAE_ATTENTION = {"norm": "group_norm", "q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}
# diffusers' own names of the same layers before its version 0.17; files of that age are still the common ones.
_OLD_VAE_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


@dataclass(frozen=True)
class KeyMap:
    """`blocks` and `leaves`: original name to the running network's name."""

    blocks: Mapping[str, str]
    leaves: Mapping[str, str]

    def to_network(self, name: str) -> str | None:
        """The network's name of an original tensor (without the part's prefix); None when it belongs to no block."""
        return _rename(name, self.blocks, self.leaves)

    def to_original(self, name: str) -> str | None:
        """The original name of one of the network's tensors; None when it belongs to no block."""
        return _rename(name, _inverse(self.blocks), _inverse(self.leaves))


def _inverse(table: Mapping[str, str]) -> dict[str, str]:
    return {new: old for old, new in table.items()}


def _rename(name: str, blocks: Mapping[str, str], leaves: Mapping[str, str]) -> str | None:
    for block, rest in _splits(name):
        if block in blocks:
            return f"{blocks[block]}.{_rename_leaf(rest, leaves)}"
    return None


def _rename_leaf(rest: str, leaves: Mapping[str, str]) -> str:
    for leaf, parameter in _splits(rest):
        if leaf in leaves:
            return f"{leaves[leaf]}.{parameter}"
    return rest


def _splits(name: str) -> Iterator[tuple[str, str]]:
    """`a.b.c` as ("a", "b.c"), ("a.b", "c")."""
    position = name.find(".")
    while position >= 0:
        yield name[:position], name[position + 1 :]
        position = name.find(".", position + 1)


def unet_keymap(shape: UnetShape) -> KeyMap:
    """The UNet's blocks: input blocks, a middle block and output blocks, each numbered through in running order."""
    blocks = {
        "time_embed.0": "time_embedding.linear_1",
        "time_embed.2": "time_embedding.linear_2",
        "input_blocks.0.0": "conv_in",
        "middle_block.0": "mid_block.resnets.0",
        "middle_block.1": "mid_block.attentions.0",
        "middle_block.2": "mid_block.resnets.1",
        "out.0": "conv_norm_out",
        "out.2": "conv_out",
    }
    blocks |= _input_blocks(shape) | _output_blocks(shape)
    return KeyMap(blocks, _UNET_LEAVES)


def _input_blocks(shape: UnetShape) -> dict[str, str]:
    blocks: dict[str, str] = {}
    number = 1
    for level, attends in enumerate(shape.attention):
        for layer in range(shape.layers):
            blocks[f"input_blocks.{number}.0"] = f"down_blocks.{level}.resnets.{layer}"
            if attends:
                blocks[f"input_blocks.{number}.1"] = f"down_blocks.{level}.attentions.{layer}"
            number += 1
        if level + 1 < len(shape.channels):
            blocks[f"input_blocks.{number}.0.op"] = f"down_blocks.{level}.downsamplers.0.conv"
            number += 1
    return blocks


def _output_blocks(shape: UnetShape) -> dict[str, str]:
    blocks: dict[str, str] = {}
    number = 0
    for level, attends in enumerate(reversed(shape.attention)):
        for layer in range(shape.layers + 1):
            blocks[f"output_blocks.{number}.0"] = f"up_blocks.{level}.resnets.{layer}"
            if attends:
                blocks[f"output_blocks.{number}.1"] = f"up_blocks.{level}.attentions.{layer}"
            if layer == shape.layers and level + 1 < len(shape.channels):
                place = 2 if attends else 1
                blocks[f"output_blocks.{number}.{place}.conv"] = f"up_blocks.{level}.upsamplers.0.conv"
            number += 1
    return blocks


def vae_keymap(shape: VaeShape) -> KeyMap:
    """The autoencoder's blocks; the decoder's levels are numbered from the picture's side in the original."""
    blocks = {"quant_conv": "quant_conv", "post_quant_conv": "post_quant_conv"}
    levels = len(shape.channels)
    for half in ("encoder", "decoder"):
        blocks |= {
            f"{half}.conv_in": f"{half}.conv_in",
            f"{half}.conv_out": f"{half}.conv_out",
            f"{half}.norm_out": f"{half}.conv_norm_out",
            f"{half}.mid.block_1": f"{half}.mid_block.resnets.0",
            f"{half}.mid.block_2": f"{half}.mid_block.resnets.1",
        }
        blocks |= {
            f"{half}.mid.attn_1.{old}": f"{half}.mid_block.attentions.0.{new}" for old, new in _VAE_ATTENTION.items()
        }
    for level in range(levels):
        up = levels - 1 - level
        for layer in range(shape.layers):
            blocks[f"encoder.down.{level}.block.{layer}"] = f"encoder.down_blocks.{level}.resnets.{layer}"
        for layer in range(shape.layers + 1):
            blocks[f"decoder.up.{level}.block.{layer}"] = f"decoder.up_blocks.{up}.resnets.{layer}"
        blocks[f"encoder.down.{level}.downsample.conv"] = f"encoder.down_blocks.{level}.downsamplers.0.conv"
        blocks[f"decoder.up.{level}.upsample.conv"] = f"decoder.up_blocks.{up}.upsamplers.0.conv"
    return KeyMap(blocks, _VAE_LEAVES)


def modern_vae_name(name: str) -> str:
    """A diffusers autoencoder's tensor name with the attention layers' present names."""
    head, found, tail = name.partition(".mid_block.attentions.0.")
    for old, new in _OLD_VAE_ATTENTION.items():
        if found and tail.startswith(old + "."):
            return head + found + new + tail.removeprefix(old)
    return name


def text_name(name: str) -> str:
    """The text encoder's tensor name in the network, with or without the `text_model.` of most files."""
    return name.removeprefix("text_model.")


def ema_name(name: str) -> str:
    """Where a full training file keeps the averaged copy of the UNet's tensor `name` (without the UNet's prefix)."""
    return EMA_PREFIX + "diffusion_model" + name.replace(".", "")
