"""Sizes that follow from a request: what hires fix enlarges to."""

from __future__ import annotations

from dataclasses import dataclass

from modules.schema.parts import Hires

LATENT = 8
"""Picture pixels a latent pixel; sides are multiples of it."""


@dataclass(frozen=True)
class HiresSize:
    """`width` x `height` of the result; the first pass is enlarged to `upscaled`, whose middle is taken.

    `crop`: how much wider and higher `upscaled` is, in latent pixels.
    """

    width: int
    height: int
    upscaled: tuple[int, int]
    crop: tuple[int, int]


def hires_size(width: int, height: int, hires: Hires) -> HiresSize:
    """The sizes of a second pass over a first one of width x height, by A1111's rules.

    By the factor; or to one side, the other following; or to both, the enlarged picture covering them.
    """
    target_w, target_h = hires.width, hires.height
    if not target_w and not target_h:
        upscaled = int(width * hires.scale), int(height * hires.scale)
    elif not target_h or (target_w and target_w * height >= target_h * width):
        upscaled = target_w, target_w * height // width
    else:
        upscaled = target_h * width // height, target_h
    cut = (
        (upscaled[0] - target_w) // LATENT if target_w and target_h else 0,
        (upscaled[1] - target_h) // LATENT if target_w and target_h else 0,
    )
    latent = max(upscaled[0] // LATENT, 1), max(upscaled[1] // LATENT, 1)
    return HiresSize(
        width=(latent[0] - cut[0]) * LATENT,
        height=(latent[1] - cut[1]) * LATENT,
        upscaled=(latent[0] * LATENT, latent[1] * LATENT),
        crop=cut,
    )
