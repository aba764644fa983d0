"""A model family: the facts that all its checkpoints share. Families are data; none has a loop of its own."""

from __future__ import annotations

from dataclasses import dataclass

from modules.engine.diffusion.schedule import NoiseSchedule, scaled_linear

Rows = tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class Family:
    """Facts of a family.

    `latent_factor`: picture pixels a latent pixel; `latent_scale`: latents are multiplied by it after encoding.
    `prediction`: "epsilon" or "v". `unet_heads`: attention heads a level (0: width decides).
    `preview_rgb`: rows of latent channels, then a constant row, to RGB in -1..1; holds for autoencoders of the
    channels `preview_vae`. `network_prefixes`: how the names of layers begin in LoRA files and the like, and which
    part of the model ("unet", "text") then follows.
    """

    name: str
    label: str
    latent_channels: int = 4
    latent_factor: int = 8
    latent_scale: float = 0.18215
    prediction: str = "epsilon"
    beta_start: float = 0.00085
    beta_end: float = 0.012
    unet_heads: int = 8
    default_size: tuple[int, int] = (512, 512)
    text_encoders: tuple[str, ...] = ("clip",)
    ays_table: str = "sd1"
    preview_rgb: Rows = ()
    preview_vae: tuple[int, ...] = ()
    network_prefixes: tuple[tuple[str, str], ...] = ()

    def schedule(self) -> NoiseSchedule:
        """The noise schedule it was trained with."""
        return scaled_linear(self.beta_start, self.beta_end)
