"""What a pass draws on when it does not begin with noise alone: encoded pictures, and the mask in latent pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from modules.engine.diffusion.masking import Blend, Mix, SoftMix
from modules.engine.diffusion.noise import generator
from modules.engine.diffusion.steps import Entry
from modules.engine.loading.model import LoadedModel
from modules.engine.original import LATENT_RESIZE, Original
from modules.engine.pixels.colour import filled
from modules.engine.pixels.difference import changed_mask
from modules.schema.parts import Inpaint, SoftInpaint
from modules.schema.request import GenerationRequest

# The encoder's noise has a stream of its own, which no other draw of a picture touches.
_ENCODER_SEED = 1 << 40


@dataclass(frozen=True, eq=False)
class Canvas:
    """Clean latents [B,C,h,w] that a pass begins with, and how.

    noise_multiplier, extra_noise: of the noise put on them. blend: how every estimate is mixed with the latents;
    last_blend: how the finished latent is. mask: [1,1,h,w], 1 is drawn anew. beside: what an inpainting UNet also
    sees.
    """

    latents: Tensor
    entry: Entry
    noise_multiplier: float = 1.0
    extra_noise: float = 0.0
    blend: Blend | None = None
    last_blend: Blend | None = None
    mask: Tensor | None = None
    beside: Tensor | None = None


def as_tensor(picture: Image.Image) -> Tensor:
    """An RGB picture as float32 [1,3,H,W] in -1..1."""
    return torch.from_numpy(np.array(picture, np.float32)).movedim(-1, 0)[None] / 127.5 - 1


def encoded(model: LoadedModel, pictures: Sequence[Image.Image], request: GenerationRequest, images: range) -> Tensor:
    """Latents [B,C,h,w] of `pictures`, one for all or one for each of `images`, each with its own seed's noise."""
    mean, deviation = model.encode(torch.cat([as_tensor(picture) for picture in pictures]))
    seeds = [request.image_seeds(index)[0] + _ENCODER_SEED for index in images]
    shape = tuple(mean.shape[1:])
    noise = torch.stack([generator(seed, request.rng, model.device).draw(shape) for seed in seeds])
    return mean + deviation * noise


def begin(request: GenerationRequest, original: Original, images: range, model: LoadedModel) -> Canvas:
    """The canvas of img2img for `images`."""
    image = request.image
    assert image is not None
    size = (request.height // model.family.latent_factor, request.width // model.family.latent_factor)
    seen = original.latent_mask
    mask = None if seen is None else latent_mask(seen, size, request).to(model.device)
    latents = encoded(model, [_content(request, original)], request, images)
    if image.resize_mode == LATENT_RESIZE and original.box is None:
        latents = F.interpolate(latents, size, mode="bilinear", antialias=False)
    if mask is not None and request.inpaint is not None:
        latents = _masked_content(request.inpaint, latents, mask, request, images)
    mix = None if mask is None else Mix(mask)
    return Canvas(
        latents=latents,
        entry=Entry(image.denoising_strength, image.exact_steps),
        noise_multiplier=image.noise_multiplier,
        extra_noise=image.extra_noise,
        blend=mix if mask is None or request.soft_inpaint is None else _soft(request.soft_inpaint, mask),
        last_blend=None if request.soft_inpaint else mix,
        mask=mask,
        beside=_beside(request, original, model) if model.inpainting else None,
    )


def latent_mask(mask: Image.Image, size: tuple[int, int], request: GenerationRequest) -> Tensor:
    """The mask in latent pixels (height, width), float32 [1,1,h,w]; rounded to 0 and 1 where the request says so."""
    small = np.asarray(mask.resize(size[::-1], Image.Resampling.BICUBIC), np.float32) / 255
    if request.inpaint is not None and request.inpaint.round_mask and request.soft_inpaint is None:
        small = np.around(small)
    return torch.from_numpy(small.copy())[None, None]


def _soft(options: SoftInpaint, mask: Tensor) -> SoftMix:
    return SoftMix(mask, options.schedule_bias, options.preservation_strength, options.transition_contrast_boost)


def _content(request: GenerationRequest, original: Original) -> Image.Image:
    if request.inpaint is None or original.latent_mask is None or request.inpaint.masked_content != "fill":
        return original.drawn
    return filled(original.drawn, original.latent_mask.resize(original.drawn.size))


def _masked_content(
    inpaint: Inpaint, latents: Tensor, mask: Tensor, request: GenerationRequest, images: range
) -> Tensor:
    """Noise or nothing under the mask, where that is asked for; the noise is that of the pictures' seeds alone."""
    if inpaint.masked_content == "latent nothing":
        return latents * (1 - mask)
    if inpaint.masked_content != "latent noise":
        return latents
    shape = tuple(latents.shape[1:])
    seeds = [request.image_seeds(index)[0] for index in images]
    noise = torch.stack([generator(seed, request.rng, latents.device).draw(shape) for seed in seeds])
    return latents * (1 - mask) + noise * mask


def _beside(request: GenerationRequest, original: Original, model: LoadedModel) -> Tensor:
    """Mask and latent of the picture without its masked part, [1,1+C,h,w], as inpainting UNets were trained."""
    factor = model.family.latent_factor
    size = (request.height, request.width)
    picture = as_tensor(original.drawn.resize(size[::-1], Image.Resampling.LANCZOS))
    weight = request.inpaint.mask_weight if request.inpaint else 1.0
    if original.mask is None:
        mask = torch.ones(1, 1, *size)
    else:
        mask = torch.from_numpy(np.array(original.mask, np.float32))[None, None] / 255
        mask = mask if request.inpaint and not request.inpaint.round_mask else mask.round()
    hidden = torch.lerp(picture, picture * (1 - mask), weight)
    small = F.interpolate(mask, (size[0] // factor, size[1] // factor), mode="nearest")
    return torch.cat([small.to(model.device), model.encode(hidden)[0]], 1)


def changed(request: GenerationRequest, canvas: Canvas | None, latents: Tensor) -> list[Image.Image | None]:
    """Soft inpainting's overlay mask of each picture of `latents`; None where the mask itself is the overlay."""
    if canvas is None or canvas.mask is None or request.soft_inpaint is None:
        return [None] * len(latents)
    distances = torch.linalg.vector_norm(latents.float() - canvas.latents, dim=1).cpu().numpy()
    mask = canvas.mask[0, 0].cpu().numpy()
    return [changed_mask(one, mask, request.soft_inpaint, (request.width, request.height)) for one in distances]
