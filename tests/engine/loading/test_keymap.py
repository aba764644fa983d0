"""Our names against diffusers' own converters, for several sizes of network."""

from __future__ import annotations

import pytest
import torch
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

from modules.engine.families.sd1 import SD1
from modules.engine.loading.facts import Facts, unet_config, vae_config
from modules.engine.loading.keymap import (
    UNET_PREFIX,
    VAE_PREFIX,
    KeyMap,
    ema_name,
    modern_vae_name,
    unet_keymap,
    vae_keymap,
)
from modules.engine.loading.shapes import DIFFUSERS_VAE, UnetShape, VaeShape, unet_shape, vae_shape

NO_FACTS = Facts({}, {}, {}, {})
FULL = UnetShape(4, 4, (320, 640, 1280, 1280), 2, (True, True, True, False), 768, False)
UNETS = [
    FULL,
    UnetShape(9, 4, (320, 640, 1280, 1280), 2, (True, True, True, False), 768, False),
    UnetShape(4, 4, (96, 128, 192), 1, (True, True, False), 128, False),
    UnetShape(4, 4, (32, 64), 3, (False, True), 64, True),
    UnetShape(4, 4, (32,), 1, (True,), 64, False),
]
VAES = [VaeShape(3, 4, (128, 256, 512, 512), 2), VaeShape(3, 4, (32, 64, 96, 96), 1), VaeShape(3, 4, (32, 64), 3)]


def originals(network: torch.nn.Module, names: KeyMap, prefix: str) -> dict[str, torch.Tensor]:
    found = {name: names.to_original(name) for name in network.state_dict()}
    assert None not in found.values()
    assert len(set(found.values())) == len(found)
    return {prefix + str(found[k]): v for k, v in network.state_dict().items()}


def unet_of(shape: UnetShape) -> UNet2DConditionModel:
    with torch.device("meta"):
        return UNet2DConditionModel(**{**unet_config(shape, NO_FACTS, SD1), "attention_head_dim": 8})


@pytest.mark.parametrize("shape", UNETS)
def test_unet_names_agree_with_diffusers(shape: UnetShape) -> None:
    unet = unet_of(shape)
    stored = originals(unet, unet_keymap(shape), UNET_PREFIX)
    theirs = convert_ldm_unet_checkpoint(dict(stored), {**unet.config, "class_embed_type": None})
    ours = {unet_keymap(shape).to_network(k.removeprefix(UNET_PREFIX)): v for k, v in stored.items()}
    assert ours.keys() == theirs.keys() == unet.state_dict().keys()
    assert all(ours[k] is theirs[k] for k in ours)


@pytest.mark.parametrize("shape", UNETS)
def test_unet_sizes_are_read_from_shapes(shape: UnetShape) -> None:
    stored = originals(unet_of(shape), unet_keymap(shape), "")
    assert unet_shape({k: tuple(v.shape) for k, v in stored.items()}) == shape


@pytest.mark.parametrize("shape", VAES)
def test_vae_names_agree_with_diffusers(shape: VaeShape) -> None:
    with torch.device("meta"):
        vae = AutoencoderKL(**vae_config(shape, NO_FACTS, SD1))
    stored = originals(vae, vae_keymap(shape), VAE_PREFIX)
    theirs = convert_ldm_vae_checkpoint(dict(stored), vae.config)
    ours = {vae_keymap(shape).to_network(k.removeprefix(VAE_PREFIX)): v for k, v in stored.items()}
    assert ours.keys() == theirs.keys() == vae.state_dict().keys()
    assert all(ours[k] is theirs[k] for k in ours)


@pytest.mark.parametrize("shape", VAES)
def test_vae_sizes_are_read_from_shapes_in_both_layouts(shape: VaeShape) -> None:
    with torch.device("meta"):
        vae = AutoencoderKL(**vae_config(shape, NO_FACTS, SD1))
    stored = originals(vae, vae_keymap(shape), "")
    assert vae_shape({k: tuple(v.shape) for k, v in stored.items()}) == shape
    assert vae_shape({k: tuple(v.shape) for k, v in vae.state_dict().items()}, DIFFUSERS_VAE) == shape


def test_unknown_names_are_not_guessed() -> None:
    assert unet_keymap(FULL).to_network("input_blocks.99.0.in_layers.0.weight") is None
    assert unet_keymap(FULL).to_network("label_emb.0.0.weight") is None


def test_averaged_names() -> None:
    """The example of the format's description."""
    assert ema_name("input_blocks.0.0.weight") == "model_ema.diffusion_modelinput_blocks00weight"


def test_old_names_of_diffusers_autoencoders() -> None:
    middle = "decoder.mid_block.attentions.0."
    assert modern_vae_name(middle + "proj_attn.weight") == middle + "to_out.0.weight"
    assert modern_vae_name(middle + "query.bias") == middle + "to_q.bias"
    assert modern_vae_name(middle + "to_q.bias") == middle + "to_q.bias"
    assert modern_vae_name("decoder.conv_in.weight") == "decoder.conv_in.weight"
