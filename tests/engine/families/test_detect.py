"""A checkpoint is known by its tensors: SD 1 is taken, every other family and kind is refused by its name."""

from __future__ import annotations

import pytest

from modules.engine.families.detect import detect
from modules.engine.families.sd1 import SD1
from modules.schema.errors import ModelFileError

UNET = "model.diffusion_model."
CONVOLUTION = UNET + "input_blocks.0.0.weight"
CLIP = "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight"
OPEN_CLIP = "cond_stage_model.model.transformer.resblocks.0.attn.in_proj_weight"
SDXL_TEXT = "conditioner.embedders.1.model.ln_final.weight"
REFINER_TEXT = "conditioner.embedders.0.model.ln_final.weight"


def convolution(channels: int) -> dict[str, tuple[int, ...]]:
    return {CONVOLUTION: (320, channels, 3, 3)}


@pytest.mark.parametrize("channels", [4, 9])
def test_sd1_and_its_inpainting_models_are_sd1(channels: int) -> None:
    assert detect({**convolution(channels), CLIP: (49408, 768)}, "a.safetensors") is SD1


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        ({UNET + "x_embedder.proj.weight": (1536, 16, 2, 2)}, "Stable Diffusion 3"),
        ({**convolution(4), SDXL_TEXT: (1280,)}, "Stable Diffusion XL"),
        ({**convolution(9), SDXL_TEXT: (1280,)}, "Stable Diffusion XL inpainting"),
        ({**convolution(4), REFINER_TEXT: (1280,)}, "Stable Diffusion XL refiner"),
        ({**convolution(4), REFINER_TEXT: (1024,)}, "Stable Diffusion 2"),
        ({**convolution(4), OPEN_CLIP: (3072, 1024)}, "Stable Diffusion 2"),
        ({**convolution(9), OPEN_CLIP: (3072, 1024)}, "Stable Diffusion 2 inpainting"),
        ({**convolution(8), CLIP: (49408, 768)}, "InstructPix2Pix"),
        ({**convolution(4), "cond_stage_model.roberta.embeddings.word_embeddings.weight": (1, 1)}, "AltDiffusion"),
    ],
)
def test_other_families_are_refused_by_name(shapes: dict[str, tuple[int, ...]], words: str) -> None:
    with pytest.raises(ModelFileError, match=words) as caught:
        detect(shapes, "a.safetensors")
    assert str(caught.value).startswith("a.safetensors ")
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        ({"lora_unet_down_blocks_0_attentions_0_proj_in.lora_up.weight": (320, 4)}, "a LoRA; it belongs into"),
        ({"encoder.conv_in.weight": (1, 3, 3, 3), "decoder.conv_in.weight": (1, 4, 3, 3)}, "a VAE; it belongs into"),
        ({"something.else": (1,), "and.more": (2,)}, "not a checkpoint"),
        ({}, "not a checkpoint"),
    ],
)
def test_other_kinds_of_files_are_refused_by_kind(shapes: dict[str, tuple[int, ...]], words: str) -> None:
    with pytest.raises(ModelFileError, match=words):
        detect(shapes, "a.safetensors")
