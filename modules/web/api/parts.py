"""The optional parts of a request from A1111's flat fields: img2img, masks, hires fix, refiner."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

from modules.schema.errors import BadRequest
from modules.schema.frozen import Frozen
from modules.schema.knob import knobs
from modules.schema.parts import (
    SAME_CHECKPOINT,
    SAME_SAMPLER,
    SAME_SCHEDULER,
    Hires,
    ImageInput,
    Inpaint,
    MaskedContent,
    Refiner,
    ResizeMode,
    SoftInpaint,
)
from modules.schema.samplers import SCHEDULES, split_sampler_name
from modules.web.api.models import ImageToImage, TextToImage
from modules.web.api.option_table import PART_OPTIONS
from modules.web.errors import HttpProblem

Keep = Callable[[str], str]
"""Stores a picture that was sent as text (base64, or an address) and gives its name."""

SOFT_INPAINTING = "soft inpainting"
_NONE = (None, "", "None", "none")


def text_parts(
    body: TextToImage, values: Mapping[str, Any], pasted: Mapping[str, Frozen | None], keep: Keep
) -> dict[str, Any]:
    """Changes of a txt2img request, its size among them. `values`: the options; `pasted`: parts from an infotext,
    which hold where the body does not say otherwise."""
    given = body.model_fields_set
    parts: dict[str, Any] = {"image": None, "inpaint": None, "soft_inpaint": None}
    if body.enable_hr:
        parts.update(_hires(body, keep))
    elif "enable_hr" in given:
        parts["hires"] = None
    return {**parts, **_refiner(body, values, pasted.get("refiner"))}


def image_parts(
    body: ImageToImage, values: Mapping[str, Any], pasted: Mapping[str, Frozen | None], keep: Keep
) -> dict[str, Any]:
    """Changes of an img2img request."""
    if not body.init_images:
        raise HttpProblem(404, "Init image not found")
    if len(body.init_images) > max(body.batch_size, 1):
        raise BadRequest(
            f"There are {len(body.init_images)} init_images but batch_size is {body.batch_size}: set it to their "
            "number.",
            "init_images",
        )
    if body.latent_mask is not None and body.mask is None:
        raise BadRequest("A 'latent_mask' goes with a 'mask': send both, or 'mask' alone.", "latent_mask")
    return {
        "hires": None,
        "image": ImageInput(
            **{**_from_options("image", values), **_given(noise_multiplier=body.initial_noise_multiplier)},
            picture=keep(body.init_images[0]),
            denoising_strength=body.denoising_strength,
            resize_mode=_numbered(ResizeMode, body.resize_mode, "resize_mode"),
        ),
        "inpaint": _inpaint(body, values, keep) if body.mask is not None else None,
        "soft_inpaint": _soft_inpaint(body) if body.mask is not None else None,
        **_refiner(body, values, pasted.get("refiner")),
    }


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _from_options(part: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {field: values[key] for key, (owner, field) in PART_OPTIONS.items() if owner == part and key in values}


def _numbered(kind: Any, index: int, field: str) -> str:
    """A1111 numbers what has names here."""
    names = get_args(kind)
    if not 0 <= index < len(names):
        raise BadRequest(f"{field} is {index} but should be 0 to {len(names) - 1}.", field)
    return str(names[index])


def _inpaint(body: ImageToImage, values: Mapping[str, Any], keep: Keep) -> Inpaint:
    across = body.mask_blur_x if body.mask_blur is None else body.mask_blur
    down = body.mask_blur_y if body.mask_blur is None else body.mask_blur
    return Inpaint(
        **_from_options("inpaint", values),
        mask=keep(body.mask or ""),
        latent_mask=keep(body.latent_mask) if body.latent_mask is not None else "",
        mask_blur=across,
        mask_blur_y=None if across == down else down,
        mask_mode="Inpaint not masked" if body.inpainting_mask_invert else "Inpaint masked",
        masked_content=_numbered(MaskedContent, body.inpainting_fill, "inpainting_fill"),
        area="Only masked" if body.inpaint_full_res else "Whole picture",
        padding=body.inpaint_full_res_padding,
        round_mask=body.mask_round,
    )


def soft_arguments(body: TextToImage) -> Sequence[Any] | None:
    """Arguments of A1111's soft inpainting, which clients switch on as a script that is always on."""
    for name, script in (body.alwayson_scripts or {}).items():
        if name.casefold() == SOFT_INPAINTING and isinstance(script, dict):
            return list(script.get("args") or [])
    return None


def _soft_inpaint(body: ImageToImage) -> SoftInpaint | None:
    """Enabled, then the six numbers in order; or one object by label."""
    arguments = soft_arguments(body)
    if not arguments:
        return None
    fields = knobs(SoftInpaint)
    if isinstance(arguments[0], dict):
        labelled = arguments[0]
        on = labelled.get("Soft inpainting", False)
        values = {name: labelled[knob.label] for name, knob in fields.items() if knob.label in labelled}
    else:
        on, values = arguments[0], dict(zip(fields, arguments[1:], strict=False))
    return SoftInpaint(**values) if on else None


def _hires(body: TextToImage, keep: Keep) -> dict[str, Any]:
    """Hires fix; with the old `firstphase_width` and `_height` these are the first size, and the size the target."""
    width, height = body.hr_resize_x, body.hr_resize_y
    sizes: dict[str, int] = {}
    if body.firstphase_width and body.firstphase_height:
        width, height = body.width, body.height
        sizes = {"width": body.firstphase_width, "height": body.firstphase_height}
    sampler, schedule = split_sampler_name(body.hr_sampler_name or SAME_SAMPLER)
    if body.hr_scheduler and body.hr_scheduler != SAME_SCHEDULER:
        schedule = SCHEDULES.get(body.hr_scheduler, "hr_scheduler").label
    picture = body.firstpass_image
    hires = Hires(
        picture=keep(picture) if picture else "",
        upscaler=body.hr_upscaler or "Latent",
        scale=body.hr_scale,
        width=width,
        height=height,
        steps=body.hr_second_pass_steps,
        denoising_strength=0.75 if body.denoising_strength is None else body.denoising_strength,
        checkpoint=body.hr_checkpoint_name or SAME_CHECKPOINT,
        sampler=sampler,
        scheduler=schedule or SAME_SCHEDULER,
        prompt=body.hr_prompt,
        negative_prompt=body.hr_negative_prompt,
    )
    return {"hires": hires, **sizes}


def _refiner(body: TextToImage, values: Mapping[str, Any], pasted: Frozen | None) -> dict[str, Any]:
    if body.refiner_checkpoint in _NONE:
        named = "refiner_checkpoint" in body.model_fields_set
        return {"refiner": None if named else pasted}
    switch_at = _given(switch_at=body.refiner_switch_at)
    return {"refiner": Refiner(**_from_options("refiner", values), checkpoint=body.refiner_checkpoint, **switch_at)}
