"""Kinds and families from names and shapes."""

from __future__ import annotations

import pytest

from modules.catalog import families_facts as facts
from modules.catalog.families_facts import Identity, identify, kind_of
from tests.catalog.model_files import SD1, UNET_ONLY, changed

INPUT = "model__diffusion_model__input_blocks__0__0__weight"
UNET = "model.diffusion_model."


@pytest.mark.parametrize(
    ("shapes", "family"),
    [
        (SD1, "sd1"),
        (
            changed(cond_stage_model__model__transformer__resblocks__0__attn__in_proj_weight=(3072, 1024)),
            "sd2",
        ),
        (changed(conditioner__embedders__1__model__ln_final__weight=(1280,)), "sdxl"),
        (changed(conditioner__embedders__0__model__ln_final__weight=(1280,)), "sdxl-refiner"),
        (changed(conditioner__embedders__0__model__ln_final__weight=(1024,)), "sd2"),
        (changed(model__diffusion_model__x_embedder__proj__weight=(1, 2)), "sd3"),
        (changed(depth_model__model__pretrained__act_postprocess3__0__project__0__bias=(1,)), "sd2-depth"),
        (changed(embedder__model__ln_final__weight=(768,)), "sd2-unclip"),
        ({**UNET_ONLY, "cond_stage_model.roberta.a": (1,)}, "alt-diffusion"),
        (UNET_ONLY, "sd1"),
        ({UNET + "a.attn2.to_k.weight": (8, 2048)}, "sdxl"),
        ({UNET + "a.attn2.to_k.weight": (8, 7), UNET + "a.proj_in.weight": (8, 8)}, "sd2"),
    ],
)
def test_family(shapes: dict[str, tuple[int, ...]], family: str) -> None:
    identity = identify(shapes)
    assert identity is not None
    assert identity.family == family
    assert kind_of(shapes) is facts.CHECKPOINT


def test_identity_of_a_whole_training_file() -> None:
    assert identify(changed(model_ema__decay=())) == Identity("sd1", 4, text_encoder=True, vae=True, ema=True)


def test_input_channels_tell_inpainting_and_instruct() -> None:
    inpaint, instruct = identify(changed(**{INPUT: (8, 9, 3, 3)})), identify(changed(**{INPUT: (8, 8, 3, 3)}))
    assert inpaint is not None and inpaint.inpainting and not inpaint.instruct
    assert instruct is not None and instruct.instruct and not instruct.inpainting


def test_missing_parts_are_seen() -> None:
    identity = identify(UNET_ONLY)
    assert identity is not None and not identity.text_encoder and not identity.vae


@pytest.mark.parametrize(
    ("shapes", "kind"),
    [
        ({"lora_unet_down_blocks_0.lora_down.weight": (4, 8), "lora_unet_down_blocks_0.alpha": ()}, facts.LORA),
        ({"unet.down_blocks.0.attn.lora_A.weight": (4, 8)}, facts.LORA),
        ({"encoder.conv_in.weight": (1, 3, 3, 3), "decoder.conv_in.weight": (1, 4, 3, 3)}, facts.VAE_FILE),
        ({"first_stage_model.decoder.conv_in.weight": (1, 4, 3, 3)}, facts.VAE_FILE),
        ({"emb_params": (2, 768)}, facts.EMBEDDING),
        ({"clip_l": (2, 768), "clip_g": (2, 1280)}, facts.EMBEDDING),
        ({"<cat-toy>": (768,)}, facts.EMBEDDING),
        ({"string_to_param": ()}, facts.EMBEDDING),
        ({"activation_func": ()}, facts.HYPERNETWORK),
        ({"control_model.input_hint_block.0.weight": (1, 3, 3, 3)}, facts.CONTROLNET),
        ({"input_blocks.0.0.weight": (8, 4, 3, 3)}, facts.BARE_UNET),
        ({"text_model.encoder.layers.0.mlp.fc1.weight": (2, 2)}, facts.TEXT_ENCODER),
        ({"conv_first.weight": (64, 3, 3, 3)}, facts.UPSCALER),
        ({"layers.0.weight": (2, 2), "layers.1.weight": (2, 2)}, facts.UNKNOWN),
        ({}, facts.UNKNOWN),
    ],
)
def test_kind(shapes: dict[str, tuple[int, ...]], kind: facts.Kind) -> None:
    assert kind_of(shapes) is kind
    assert identify(shapes) is None
