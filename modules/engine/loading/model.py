"""A loaded checkpoint: its networks on a device, and the few things one does with them to draw a picture."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor
from transformers.models.clip.modeling_clip import CLIPTextModel

from modules.engine.diffusion.schedule import NoiseSchedule
from modules.engine.families.family import Family
from modules.engine.loading.changed import ChangedWeights
from modules.engine.loading.lean import LeanAttention
from modules.engine.loading.packing import NarrowConv2d, PackedConv2d, PackedLinear
from modules.engine.loading.preview import as_pixels, fit_matrix, preview
from modules.schema.errors import NotANumber

PRECISION_NAMES = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}


@dataclass(eq=False)
class LoadedModel:
    """Networks and facts of one checkpoint.

    `native_size`: width and height it was trained at. `prediction`: "epsilon" or "v". `latent_scale`: latents are
    the encoder's output times it. `preview_matrix`: float32 [5,3], or None: fitted at the first preview.
    `info`: what a picture's text says of the model, by infotext key. `changed`: weights that differ from the file's
    (LoRA). `attached`: what other parts of the engine keep with this model, by their type.
    """

    family: Family
    unet: UNet2DConditionModel
    text_encoder: CLIPTextModel
    vae: AutoencoderKL
    schedule: NoiseSchedule
    device: torch.device
    dtype: torch.dtype
    vae_dtype: torch.dtype
    native_size: tuple[int, int]
    prediction: str
    latent_scale: float
    preview_matrix: Tensor | None
    info: dict[str, Any]
    changed: ChangedWeights = field(default_factory=ChangedWeights, repr=False)
    attached: dict[type, Any] = field(default_factory=dict, repr=False)
    _blanks: dict[torch.Size, Tensor] = field(default_factory=dict, repr=False)
    _casts: list[tuple[Tensor, Tensor]] = field(default_factory=list, repr=False)

    @property
    def inpainting(self) -> bool:
        """Whether the UNet also takes a mask and a masked picture."""
        return bool(self.unet.config.in_channels == self.family.latent_channels * 2 + 1)

    @torch.no_grad()
    def network(self, x: Tensor, t: Tensor, cross: Tensor, beside: Tensor | None = None) -> Tensor:
        """`predict` without gradients."""
        return self.predict(x, t, cross, beside)

    def predict(self, x: Tensor, t: Tensor, cross: Tensor, beside: Tensor | None = None) -> Tensor:
        """The UNet's raw output, float32 [B,C,h,w].

        `x`: scaled latents [B,C,h,w]; `t`: timesteps [B], whole or not; `cross`: encoded words [B,T,D]. `beside`:
        what an inpainting UNet also sees, mask and masked picture [1,1+C,h,w]; without it everything is masked.
        """
        if self.inpainting:
            x = torch.cat([x, self._blank(x) if beside is None else beside.to(x).expand(len(x), -1, -1, -1)], 1)
        words = self._cast(cross)
        return self.unet(x.to(self.dtype), t, encoder_hidden_states=words, return_dict=False)[0].float()

    def _cast(self, cross: Tensor) -> Tensor:
        """`cross` in the UNet's format: the same tensor for the same tensor, which attention knows its words by."""
        if cross.dtype == self.dtype:
            return cross
        if torch.is_grad_enabled():
            return cross.to(self.dtype)
        for given, cast in self._casts:
            if given is cross:
                return cast
        self._casts = [(cross, cross.to(self.dtype)), *self._casts[:1]]
        return self._casts[0][1]

    def forget_words(self) -> None:
        """Drop everything computed from words: the weights it went through have changed."""
        self._casts.clear()
        for processor in self.unet.attn_processors.values():
            if isinstance(processor, LeanAttention):
                processor.forget()

    @torch.no_grad()
    def decode(self, latents: Tensor) -> tuple[Tensor, list[str]]:
        """Pictures of latents [B,C,h,w]: uint8 [B,H,W,3] on the CPU, and sentences the user should read.

        Each picture is decoded alone, so that it is the same in every batch. Where the decoder gives NaN it is run
        again in fp32; raises `NotANumber` when that does not help.
        """
        if not torch.isfinite(latents).all():
            raise NotANumber(
                f"The model gave values that are no numbers in {PRECISION_NAMES[self.dtype]}; choose precision fp32."
            )
        scaled = latents / self.latent_scale
        pictures = [_decode(self.vae, one, self.vae_dtype) for one in scaled.split(1)]
        broken = [k for k, picture in enumerate(pictures) if not torch.isfinite(picture).all()]
        notices = []
        if broken:
            self._decode_exactly(scaled, pictures, broken)
            notices.append(
                f"The VAE gave NaN in {PRECISION_NAMES[self.vae_dtype]}; {len(broken)} of {len(pictures)} pictures "
                "were decoded again in fp32."
            )
        return as_pixels(torch.cat(pictures).movedim(1, -1)).cpu(), notices

    def _decode_exactly(self, scaled: Tensor, pictures: list[Tensor], broken: list[int]) -> None:
        """Replace the `broken` ones of `pictures`, decoding in fp32 with a copy of the autoencoder."""
        again = self.vae_dtype != torch.float32
        exact = plain_copy(self.vae).float() if again else self.vae
        for k in broken:
            if again:
                pictures[k] = _decode(exact, scaled[k : k + 1], torch.float32)
            if not torch.isfinite(pictures[k]).all():
                raise NotANumber("The VAE gave values that are no numbers even in fp32; choose another VAE.")

    @torch.no_grad()
    def encode(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """(mean, deviation) of the latents of RGB pictures [B,3,H,W] in -1..1: float32 [B,C,h,w] in the UNet's scale.

        H and W are multiples of the latent factor. As in `decode` each is encoded alone, and again in fp32 where the
        encoder gives NaN.
        """
        found = [self._encode_one(one) for one in pictures.split(1)]
        mean, deviation = (torch.cat(parts) * self.latent_scale for parts in zip(*found, strict=True))
        return mean, deviation

    def _encode_one(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        mean, deviation = _encode(self.vae, picture.to(self.device), self.vae_dtype)
        if not torch.isfinite(mean).all() and self.vae_dtype != torch.float32:
            mean, deviation = _encode(plain_copy(self.vae).float(), picture.to(self.device), torch.float32)
        if not torch.isfinite(mean).all():
            raise NotANumber("The VAE gave values that are no numbers for this picture; choose another VAE.")
        return mean, deviation

    @torch.no_grad()
    def preview_rgb(self, x0: Tensor) -> Tensor:
        """uint8 [B,h,w,3] of x0 estimates [B,C,h,w], one pixel a latent pixel, on the CPU."""
        if self.preview_matrix is None:
            self.preview_matrix = fit_matrix(self.vae, self.latent_scale, self.family.latent_factor).to(self.device)
        return preview(x0, self.preview_matrix).cpu()

    def move(self, device: torch.device) -> None:
        """Take all networks to another device."""
        self.unet.to(device)
        self.text_encoder.to(device)
        self.vae.to(device)
        self.preview_matrix = None if self.preview_matrix is None else self.preview_matrix.to(device)
        self._blanks.clear()
        self.device = device

    def _blank(self, x: Tensor) -> Tensor:
        """Mask of ones and the latent of a mid-grey picture, [B,1+C,h,w]: text-to-image on an inpainting model."""
        size = x.shape[2:]
        if size not in self._blanks:
            factor = self.family.latent_factor
            grey = torch.zeros(1, 3, size[0] * factor, size[1] * factor, device=self.device, dtype=self.vae_dtype)
            latent = self.vae.encode(grey).latent_dist.mode().float() * self.latent_scale
            self._blanks[size] = torch.cat([torch.ones_like(latent[:, :1]), latent], 1)
        return self._blanks[size].to(x.dtype).expand(len(x), -1, -1, -1)


def _decode(vae: AutoencoderKL, latent: Tensor, dtype: torch.dtype) -> Tensor:
    """float32 [1,3,H,W] in about -1..1."""
    return vae.decode(latent.to(dtype), return_dict=False)[0].float()


def _encode(vae: AutoencoderKL, picture: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """(mean, deviation), float32 [1,C,h,w] in the autoencoder's own scale."""
    latent = vae.encode(picture.to(dtype)).latent_dist
    return latent.mean.float(), latent.std.float()


def plain_copy(vae: AutoencoderKL) -> AutoencoderKL:
    """A copy whose packed layers are plain ones, which can change their number format."""
    packed = (layer for layer in vae.modules() if isinstance(layer, PackedConv2d | PackedLinear | NarrowConv2d))
    return copy.deepcopy(vae, {id(layer): layer.plain() for layer in packed})
