"""Stable Diffusion 1 and its miniatures: CLIP text encoder, epsilon prediction, 4 latent channels at 1/8 size."""

from __future__ import annotations

from modules.catalog.families_facts import FAMILIES
from modules.engine.families.family import Family

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
)
