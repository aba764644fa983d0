"""img2img, masks, hires fix and refiner in A1111's text, both ways."""

from __future__ import annotations

from typing import Any

import pytest

from modules.schema.infotext import parse, read_json, to_request, write, write_json
from modules.schema.knob import Knob, knobs
from modules.schema.parts import PARTS, Hires, ImageInput, Inpaint, Refiner, SoftInpaint
from modules.schema.request import GenerationRequest

PICTURE, MASK = "a" * 64, "b" * 64
COMPLETE: dict[str, GenerationRequest] = {
    "image": GenerationRequest(image=ImageInput(picture=PICTURE)),
    "inpaint": GenerationRequest(image=ImageInput(picture=PICTURE), inpaint=Inpaint(mask=MASK)),
    "soft_inpaint": GenerationRequest(
        image=ImageInput(picture=PICTURE), inpaint=Inpaint(mask=MASK), soft_inpaint=SoftInpaint()
    ),
    "hires": GenerationRequest(hires=Hires()),
    "refiner": GenerationRequest(refiner=Refiner(checkpoint="fine [0123456789]")),
}
ALL = [(part, name) for part, model in PARTS.items() for name in knobs(model)]
TAIL = "Steps: 20, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 512x512, Model: m"


def other(knob: Knob) -> Any:
    """A value that is not the default."""
    if knob.name in ("picture", "mask", "latent_mask"):
        return "c" * 64
    if knob.name == "background_color":
        return "#102030"
    if knob.name == "checkpoint":
        return "other [0123456789]"
    if knob.choices:
        return next(choice for choice in knob.choices if choice != knob.default)
    if knob.kind is bool:
        return not knob.default
    if knob.kind is str:
        return 'a "fox", red'
    low = knob.minimum or 0
    return knob.kind(next(v for v in (low + 1, low + 0.25) if v != knob.default and v <= (knob.maximum or v)))


def there_and_back(request: GenerationRequest) -> tuple[GenerationRequest, list[str]]:
    return to_request(parse(write(request, {})), GenerationRequest())


@pytest.mark.parametrize("part", PARTS)
def test_parts_survive_the_text(part: str) -> None:
    assert there_and_back(COMPLETE[part]) == (COMPLETE[part], [])


@pytest.mark.parametrize(("part", "name"), ALL)
def test_every_knob_of_a_part_survives_the_text_and_the_json(part: str, name: str) -> None:
    whole = COMPLETE[part]
    value = other(knobs(PARTS[part])[name])
    changes = {name: value} | ({"scale": 2.0} if name in ("width", "height") else {})
    request = whole.replace(**{part: getattr(whole, part).replace(**changes)})
    assert there_and_back(request) == (request, [])
    assert read_json(write_json(request, {})).request == request


def test_the_keys_of_a1111() -> None:
    text = write(
        COMPLETE["inpaint"].replace(inpaint=Inpaint(mask=MASK, area="Only masked", masked_content="fill")), {}
    )
    for pair in ("Denoising strength: 0.75", "Mask blur: 4", "Inpaint area: Only masked", "Masked content: fill"):
        assert pair in text
    assert "Mask mode" not in text
    hires = write(GenerationRequest(hires=Hires(steps=10, prompt="a, b")), {})
    for pair in (
        "Denoising strength: 0.7",
        "Hires upscale: 2",
        "Hires steps: 10",
        "Hires upscaler: Latent",
        'Hires prompt: "a, b"',
    ):
        assert pair in hires
    assert "Hires sampler" not in hires
    assert "Hires resize: 1024x768" in write(GenerationRequest(hires=Hires(width=1024, height=768)), {})
    assert "Refiner: fine [0123456789], Refiner switch at: 0.8" in write(COMPLETE["refiner"], {})


def test_texts_of_a1111_are_read() -> None:
    hires = "Hires upscale: 1.5, Hires upscaler: Latent (nearest), Hires sampler: DPM++ 2M Karras"
    text = f"x\n{TAIL}, Denoising strength: 0.4, {hires}"
    request, notices = to_request(parse(text), GenerationRequest())
    assert request.hires == Hires(denoising_strength=0.4, scale=1.5, upscaler="Latent (nearest)", sampler="DPM++ 2M")
    assert (request.image, notices) == (None, [])
    text = f"x\n{TAIL}, Denoising strength: 0.4, Mask blur: 8, Mask mode: Inpaint not masked"
    request, notices = to_request(parse(text), GenerationRequest())
    assert request.image == ImageInput(denoising_strength=0.4)
    assert request.inpaint == Inpaint(mask_blur=8, mask_mode="Inpaint not masked")
    assert notices == []


def test_a_picture_that_is_chosen_already_stays() -> None:
    base = COMPLETE["inpaint"]
    request, _ = to_request(parse(f"x\n{TAIL}, Denoising strength: 0.3"), base)
    assert request.image == ImageInput(picture=PICTURE, denoising_strength=0.3)
    assert to_request(parse(f"x\n{TAIL}"), base)[0].image == base.image
    assert to_request(parse(f"x\n{TAIL}, Hires upscale: 2"), base)[0].image is None
    assert to_request(parse(f"x\n{TAIL}"), COMPLETE["hires"])[0].hires is None


def test_the_hires_fix_of_old_texts() -> None:
    line = TAIL.replace("512x512", "1280x720")
    request, notices = to_request(
        parse(f"x\n{line}, Denoising strength: 0.7, First pass size: 0x0"), GenerationRequest()
    )
    assert (request.width, request.height) == (704, 384)
    assert request.hires is not None
    assert (request.hires.width, request.hires.height) == (1280, 720)
    assert notices == []


def test_sizes_beyond_all_bounds_are_told() -> None:
    request, notices = to_request(parse(f"x\n{TAIL}, Hires resize: {'9' * 5000}x64"), GenerationRequest())
    assert request.hires == Hires(height=64)
    assert len(notices) == 1


def test_values_that_cannot_be_are_told() -> None:
    text = f"x\n{TAIL}, Denoising strength: 7, Hires upscale: much, Hires sampler: Eulr"
    request, notices = to_request(parse(text), GenerationRequest())
    assert request.hires == Hires(denoising_strength=1.0)
    assert len(notices) == 3
