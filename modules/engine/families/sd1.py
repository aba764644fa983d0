"""Stable Diffusion 1 and its miniatures: CLIP text encoder, epsilon prediction, 4 latent channels at 1/8 size."""

from __future__ import annotations

from modules.catalog.families_facts import FAMILIES
from modules.engine.families.family import Family

_UNET_PREFIXES = ("lora_unet_", "oft_unet_", "lycoris_", "lycoris_unet_", "unet.", "diffusion_model.", "")
_TEXT_PREFIXES = ("lora_te_", "lora_te1_", "oft_te_", "lycoris_", "lycoris_te_", "text_encoder.", "te.", "")
# What PEFT and old tools put before all of these.
_WRAPPERS = ("", "base_model.model.", "base_model.model.base_model.model.", "model.")

SD1 = Family(
    name="sd1",
    label=FAMILIES["sd1"].label,
    default_size=(FAMILIES["sd1"].native, FAMILIES["sd1"].native),
    # Least-squares fit of pictures to SD 1.4 latents, published by K. Turner in the discussion "Decoding latents to
    # RGB without upscaling" of the Hugging Face forum (2022); the constant row is zero in it.
    preview_rgb=(
        (0.298, 0.207, 0.208),
        (0.187, 0.286, 0.173),
        (-0.158, 0.189, 0.264),
        (-0.184, -0.271, -0.473),
        (0.0, 0.0, 0.0),
    ),
    preview_vae=(128, 256, 512, 512),
    network_prefixes=tuple(
        (wrapper + prefix, part)
        for wrapper in _WRAPPERS
        for part, prefixes in (("unet", _UNET_PREFIXES), ("text", _TEXT_PREFIXES))
        for prefix in prefixes
    ),
)
