"""The optional parts of a request: what begins with a picture, and what follows the first pass. None is off.

A picture is named by its content (`PictureHash`), not carried along: the service keeps input pictures by that name.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import StringConstraints

from modules.schema.frozen import Frozen
from modules.schema.knob import knob
from modules.schema.samplers import SAMPLERS, SCHEDULES

PictureHash = Annotated[str, StringConstraints(pattern=r"^(?:[0-9a-f]{64})?$")]
"""SHA-256 of an input picture's pixels in hex, or "" for "not chosen yet"."""

SAME_SAMPLER = "Use same sampler"
SAME_SCHEDULER = "Use same scheduler"
SAME_CHECKPOINT = "Use same checkpoint"

LATENT_UPSCALERS = (
    "Latent",
    "Latent (antialiased)",
    "Latent (bicubic)",
    "Latent (bicubic antialiased)",
    "Latent (nearest)",
    "Latent (nearest-exact)",
)
"""What enlarges the latent itself; any other upscaler enlarges the decoded picture."""

ResizeMode = Literal["Just resize", "Crop and resize", "Resize and fill", "Just resize (latent upscale)"]
MaskedContent = Literal["fill", "original", "latent noise", "latent nothing"]


class ImageInput(Frozen):
    """img2img: the picture to begin with."""

    picture: PictureHash = knob("", "Picture", "The picture to begin with.", section="image", hidden=True)
    denoising_strength: float = knob(
        0.75, "Denoising strength", "How much is drawn anew: 0 keeps the picture, 1 forgets it.", section="image",
        infotext="Denoising strength", ge=0, le=1, step=0.01,
    )  # fmt: skip
    resize_mode: ResizeMode = knob(
        "Just resize", "Resize mode", "How a picture of another size is fitted to width and height.", section="image",
        infotext="Resize mode",
    )  # fmt: skip
    upscaler: str = knob(
        "None", "Upscaler for img2img", "What enlarges a smaller picture first; None is Lanczos.", section="image",
        infotext="Upscaler for img2img",
    )  # fmt: skip
    exact_steps: bool = knob(
        False, "Do exactly the number of steps", "Otherwise about steps x denoising strength are done.",
        section="image", infotext="Exact steps",
    )  # fmt: skip
    noise_multiplier: float = knob(
        1.0, "Noise multiplier", "Strength of the noise put on the picture; less gives flatter areas.",
        section="image", infotext="Noise multiplier", ge=0, le=2, soft_le=1.5, step=0.001,
    )  # fmt: skip
    extra_noise: float = knob(
        0.0, "Extra noise", "Noise beyond what the steps will remove: more detail.", section="image",
        infotext="Extra noise", ge=0, le=1, step=0.01,
    )  # fmt: skip
    color_correction: bool = knob(
        False, "Colour correction", "Give the result the colours of the picture it began with.", section="image",
        infotext="Color correction",
    )  # fmt: skip
    background_color: Annotated[str, StringConstraints(pattern=r"^#[0-9a-fA-F]{6}$")] = knob(
        "#ffffff", "Background colour", "Lies under transparent parts of the picture.", section="image",
        infotext="Background color",
    )  # fmt: skip


class Inpaint(Frozen):
    """Draw anew only where a mask is white; needs an `ImageInput`."""

    mask: PictureHash = knob("", "Mask", "White is drawn anew; grey partly.", section="inpaint", hidden=True)
    latent_mask: PictureHash = knob(
        "", "Latent mask", "What is drawn anew of the mask's part, where that is to differ from what is shown; not "
        "blurred, not inverted.", section="inpaint", hidden=True,
    )  # fmt: skip
    mask_blur: float = knob(
        4.0, "Mask blur", "How far the mask's border is softened.", section="inpaint", infotext="Mask blur", ge=0,
        le=512, soft_le=64, step=1, unit="px",
    )  # fmt: skip
    mask_blur_y: float | None = knob(
        None, "Mask blur, up and down", "Where it is to differ from that to the sides; empty is the same.",
        section="inpaint", infotext="Mask blur Y", ge=0, le=512, soft_le=64, step=1, unit="px",
    )  # fmt: skip
    mask_mode: Literal["Inpaint masked", "Inpaint not masked"] = knob(
        "Inpaint masked", "Mask mode", "Whether the white or the black part is drawn anew.", section="inpaint",
        infotext="Mask mode",
    )  # fmt: skip
    masked_content: MaskedContent = knob(
        "original", "Masked content", "What the masked part begins with: colours from around it, itself, noise, "
        "nothing.", section="inpaint", infotext="Masked content",
    )  # fmt: skip
    area: Literal["Whole picture", "Only masked"] = knob(
        "Whole picture", "Inpaint area", "Only masked draws the mask and its surroundings at full size.",
        section="inpaint", infotext="Inpaint area",
    )  # fmt: skip
    padding: int = knob(
        32, "Only masked padding", "How much around the mask is seen with Only masked.", section="inpaint",
        infotext="Masked area padding", ge=0, le=2048, soft_le=256, step=4, unit="px",
    )  # fmt: skip
    round_mask: bool = knob(
        False, "Hard mask", "Take every grey of the mask as white or black, as A1111 does.", section="inpaint",
        infotext="Mask rounding",
    )  # fmt: skip
    keep_unmasked: bool = knob(
        True, "Keep the rest untouched", "Paste the original over what is not masked.", section="inpaint",
        infotext="Keep unmasked",
    )  # fmt: skip
    mask_weight: float = knob(
        1.0, "Inpainting conditioning mask strength", "For inpainting checkpoints: how much of the masked part is "
        "hidden from them.", section="inpaint", infotext="Conditional mask weight", ge=0, le=1, step=0.01,
    )  # fmt: skip


class SoftInpaint(Frozen):
    """Soft inpainting: blends by how much each place has changed; needs an `Inpaint`."""

    FLAG_PREFIX: ClassVar[str] = "soft_"

    schedule_bias: float = knob(
        1.0, "Schedule bias", "When the original is preserved: above 1 early in the steps, below 1 late.",
        section="soft inpainting", infotext="Schedule bias", ge=0, le=8, step=0.1,
    )  # fmt: skip
    preservation_strength: float = knob(
        0.5, "Preservation strength", "How strongly half-masked content is preserved.", section="soft inpainting",
        infotext="Preservation strength", ge=0, le=8, step=0.05,
    )  # fmt: skip
    transition_contrast_boost: float = knob(
        4.0, "Transition contrast boost", "Amplifies contrast that blending would lose.", section="soft inpainting",
        infotext="Transition contrast boost", ge=1, le=32, step=0.5,
    )  # fmt: skip
    mask_influence: float = knob(
        0.0, "Mask influence", "How much the mask itself decides what is pasted back.", section="soft inpainting",
        infotext="Mask influence", ge=0, le=1, step=0.05,
    )  # fmt: skip
    difference_threshold: float = knob(
        0.5, "Difference threshold", "How much a place may change before it is opaque.", section="soft inpainting",
        infotext="Difference threshold", ge=0, le=8, step=0.25,
    )  # fmt: skip
    difference_contrast: float = knob(
        2.0, "Difference contrast", "How sharp the border between kept and changed is.", section="soft inpainting",
        infotext="Difference contrast", ge=0, le=8, step=0.25,
    )  # fmt: skip


class Hires(Frozen):
    """Hires fix: a second pass over the enlarged result of the first."""

    FLAG_PREFIX: ClassVar[str] = "hires_"

    picture: PictureHash = knob(
        "", "First pass picture", "A finished picture to enlarge; then there is no first pass.", section="hires",
        hidden=True,
    )  # fmt: skip
    upscaler: str = knob(
        "Latent", "Upscaler", "What enlarges the first pass: a latent mode, Lanczos, Nearest, None or a model.",
        section="hires", infotext="Hires upscaler",
    )  # fmt: skip
    scale: float = knob(2.0, "Upscale by", "How much larger the picture gets.", section="hires",
                        infotext="Hires upscale", ge=1, le=16, soft_le=4, step=0.05)  # fmt: skip
    width: int = knob(0, "Resize width to", "Width of the result; 0 follows the height, or the factor.",
                      section="hires", ge=0, le=16384, soft_le=2048, step=8, unit="px")  # fmt: skip
    height: int = knob(0, "Resize height to", "Height of the result; 0 follows the width, or the factor.",
                       section="hires", ge=0, le=16384, soft_le=2048, step=8, unit="px")  # fmt: skip
    steps: int = knob(0, "Hires steps", "Steps of the second pass; 0 is as many as the first.", section="hires",
                      infotext="Hires steps", ge=0, le=1000, soft_le=150, step=1)  # fmt: skip
    denoising_strength: float = knob(
        0.7, "Denoising strength", "How much the second pass draws anew.", section="hires",
        infotext="Denoising strength", ge=0, le=1, step=0.01,
    )  # fmt: skip
    checkpoint: str = knob(SAME_CHECKPOINT, "Hires checkpoint", "Model of the second pass.", section="hires",
                           infotext="Hires checkpoint")  # fmt: skip
    sampler: str = knob(SAME_SAMPLER, "Hires sampling method", "Sampler of the second pass.", section="hires",
                        infotext="Hires sampler", choices=lambda: (SAME_SAMPLER, *SAMPLERS.labels()))  # fmt: skip
    scheduler: str = knob(SAME_SCHEDULER, "Hires schedule type", "Schedule of the second pass.", section="hires",
                          infotext="Hires schedule type",
                          choices=lambda: (SAME_SCHEDULER, *SCHEDULES.labels()))  # fmt: skip
    prompt: str = knob("", "Hires prompt", "Prompt of the second pass; empty is the same.", section="hires",
                       infotext="Hires prompt")  # fmt: skip
    negative_prompt: str = knob("", "Hires negative prompt", "Negative prompt of the second pass; empty is the same.",
                                section="hires", infotext="Hires negative prompt")  # fmt: skip
    cfg_scale: float | None = knob(None, "Hires CFG scale", "CFG scale of the second pass; empty is the same.",
                                   section="hires", infotext="Hires CFG Scale", ge=0, le=100, soft_le=30,
                                   step=0.5)  # fmt: skip


class Refiner(Frozen):
    """Another checkpoint for the last part of the steps."""

    FLAG_PREFIX: ClassVar[str] = "refiner_"

    checkpoint: str = knob("", "Refiner", "Model that finishes the picture.", section="refiner",
                           infotext="Refiner")  # fmt: skip
    switch_at: float = knob(0.8, "Switch at", "How far the noise has fallen when it takes over.", section="refiner",
                            infotext="Refiner switch at", ge=0.01, le=1, step=0.01)  # fmt: skip
    by_steps: bool = knob(False, "Switch by sampling steps", "Count steps instead of noise, as A1111 up to 1.8.",
                          section="refiner", infotext="Refiner switch by sampling steps")  # fmt: skip
    with_hires: Literal["first pass", "second pass", "both passes"] = knob(
        "second pass", "Hires refiner", "Which pass of hires fix it finishes.", section="refiner",
        infotext="Hires refiner",
    )  # fmt: skip


PARTS: dict[str, type[Frozen]] = {
    "image": ImageInput,
    "inpaint": Inpaint,
    "soft_inpaint": SoftInpaint,
    "hires": Hires,
    "refiner": Refiner,
}
"""The request's optional parts by their field's name."""
