"""From picture to picture on the embedded model: what each parameter does to the pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from modules.engine.generate import generate
from modules.engine.loading.model import LoadedModel
from modules.engine.supplies import Supplies
from modules.schema.errors import BadRequest, UnknownName
from modules.schema.events import Finished, ImageDone, Progress
from modules.schema.infotext import parse, to_request, write
from modules.schema.parts import ImageInput, Inpaint, SoftInpaint
from modules.schema.request import GenerationRequest
from modules.schema.samplers import SAMPLERS
from tests.engine.pictures import Drawer, far, keep, pictures

pytestmark = pytest.mark.engine

BASE = GenerationRequest(
    prompt="a green triangle on a yellow background",
    steps=8,
    width=128,
    height=128,
    cfg_scale=4,
    seed=7,
    subseed=7,
    sampler="Euler",
)


@pytest.fixture(scope="module")
def source(draw: Drawer) -> np.ndarray:
    """A picture of the model's own kind, which it can encode and decode well."""
    return draw(BASE.replace(prompt="a red circle on a blue background", steps=12))


@pytest.fixture(scope="module")
def name(source: np.ndarray, folder: Path) -> str:
    return keep(folder, Image.fromarray(source.astype(np.uint8)))


@pytest.fixture(scope="module")
def left_half(folder: Path) -> str:
    """A mask whose left half is white."""
    mask = Image.new("L", (128, 128))
    mask.paste(255, (0, 0, 64, 128))
    return keep(folder, mask)


def image(name: str, **values: Any) -> GenerationRequest:
    return BASE.replace(image=ImageInput(picture=name, **values))


def inpaint(name: str, mask: str, strength: float = 1.0, **values: Any) -> GenerationRequest:
    return image(name, denoising_strength=strength).replace(inpaint=Inpaint(mask=mask, **values))


def test_distance_to_the_input_grows_with_denoising_strength(draw: Drawer, name: str, source: np.ndarray) -> None:
    distances = [far(draw(image(name, denoising_strength=s)), source) for s in (0.0, 0.3, 0.6, 1.0)]
    assert distances == sorted(distances)
    assert distances[0] < 6
    assert distances[-1] > 4 * distances[0] + 10


@pytest.mark.parametrize(
    "sampler", ["Euler a", "DPM++ 2M SDE", "DDIM", "UniPC", "PLMS", "DPM fast", "DPM adaptive", "LCM"]
)
def test_every_kind_of_sampler_stays_near_at_low_strength(
    draw: Drawer, name: str, source: np.ndarray, sampler: str
) -> None:
    near, other = (draw(image(name, denoising_strength=s).replace(sampler=sampler)) for s in (0.3, 1.0))
    assert far(near, source) < 0.5 * far(other, source)


@pytest.mark.parametrize("sampler", ["DPM adaptive", "DPM fast"])
def test_a_strength_that_leaves_no_step_gives_the_picture(
    draw: Drawer, name: str, source: np.ndarray, sampler: str
) -> None:
    assert far(draw(image(name, denoising_strength=0.1).replace(sampler=sampler)), source) < 8


@pytest.mark.parametrize("sampler", [s.label for s in SAMPLERS if s.domain == "timestep"] + ["Euler", "DPM fast"])
@pytest.mark.parametrize("exact", [False, True])
def test_strength_0_is_the_picture(draw: Drawer, name: str, source: np.ndarray, sampler: str, exact: bool) -> None:
    request = image(name, denoising_strength=0.0, exact_steps=exact).replace(sampler=sampler)
    assert far(draw(request), source) < 6


def test_a_quarter_of_the_strength_is_a_quarter_of_the_steps(model: LoadedModel, folder: Path, name: str) -> None:
    def count(**values: Any) -> int:
        events = generate(image(name, **values), model, previews_per_second=0, supplies=Supplies(folder))
        return max(e.step for e in events if isinstance(e, Progress))

    assert count(denoising_strength=0.25) == 3
    assert count(denoising_strength=0.25, exact_steps=True) == 8


def test_picture_k_of_a_batch_is_the_single_picture_of_its_seed(
    model: LoadedModel, draw: Drawer, folder: Path, name: str, left_half: str
) -> None:
    request = inpaint(name, left_half, masked_content="latent noise").replace(
        batch_size=2, sampler="Euler a", steps=4
    )
    events = list(generate(request, model, previews_per_second=0, supplies=Supplies(folder)))
    singles = [GenerationRequest(**e.request) for e in events if isinstance(e, ImageDone)]
    assert [single.seed for single in singles] == [7, 8]
    together = pictures(events)
    assert np.abs(draw(singles[1]) - together[1]).max() <= 2
    assert far(together[0][:, :56], together[1][:, :56]) > 3


def test_the_text_of_a_picture_gives_it_again(
    model: LoadedModel, draw: Drawer, folder: Path, name: str, left_half: str
) -> None:
    request = inpaint(name, left_half, mask_blur=3, masked_content="fill", strength=0.6).replace(
        sampler="Euler a", steps=4
    )
    (event,) = [
        e
        for e in generate(request, model, previews_per_second=0, supplies=Supplies(folder))
        if isinstance(e, ImageDone)
    ]
    ran = GenerationRequest(**event.request)
    read, notices = to_request(parse(write(ran, event.facts)), GenerationRequest())
    assert notices == []
    assert read.replace(subseed=ran.subseed, checkpoint=ran.checkpoint) == ran
    assert np.array_equal(draw(read.replace(subseed=ran.subseed)), pictures([event])[0])


def test_only_the_masked_half_changes(draw: Drawer, name: str, source: np.ndarray, left_half: str) -> None:
    result = draw(inpaint(name, left_half, mask_blur=2))
    assert np.array_equal(result[:, 72:], source[:, 72:])
    assert far(result[:, :56], source[:, :56]) > 25
    other = draw(inpaint(name, left_half, mask_blur=2, mask_mode="Inpaint not masked"))
    assert np.array_equal(other[:, :56], source[:, :56])
    assert far(other[:, 72:], source[:, 72:]) > 25


def test_only_masked_leaves_all_else_bit_identical_and_keeps_the_size(
    draw: Drawer, folder: Path, source: np.ndarray
) -> None:
    large = Image.fromarray(source.astype(np.uint8)).resize((300, 200), Image.Resampling.LANCZOS)
    mask = Image.new("L", large.size)
    mask.paste(255, (200, 100, 260, 150))
    before = np.asarray(large).astype(int)
    result = draw(inpaint(keep(folder, large), keep(folder, mask), area="Only masked", mask_blur=4, padding=16))
    assert result.shape == before.shape
    touched = np.zeros(before.shape[:2], bool)
    touched[85:165, 185:275] = True
    assert np.array_equal(result[~touched], before[~touched])
    assert far(result[105:145, 205:255], before[105:145, 205:255]) > 15


def test_a_soft_mask_is_soft(draw: Drawer, folder: Path, name: str, source: np.ndarray) -> None:
    """A mask that fades from left to right changes less and less; a hard one of it changes all or nothing."""
    ramp = np.tile(np.linspace(255, 0, 128).astype(np.uint8), (128, 1))
    mask = keep(folder, Image.fromarray(ramp))
    request = inpaint(name, mask, mask_blur=0, keep_unmasked=False)
    soft, hard = draw(request), draw(request.replace(inpaint=request.inpaint.replace(round_mask=True)))
    changes = [far(soft[:, x : x + 32], source[:, x : x + 32]) for x in (0, 32, 64, 96)]
    assert changes[0] > changes[1] > changes[3]
    middle = np.s_[:, 40:56]
    assert far(soft[middle], source[middle]) < 0.85 * far(hard[middle], source[middle])


@pytest.mark.parametrize("content", ["fill", "latent noise", "latent nothing"])
def test_masked_content_decides_what_is_begun_with(
    draw: Drawer, name: str, source: np.ndarray, left_half: str, content: str
) -> None:
    usual = inpaint(name, left_half, strength=0.4)
    changed = draw(usual.replace(inpaint=usual.inpaint.replace(masked_content=content)))
    assert far(changed[:, :56], draw(usual)[:, :56]) > 2
    assert np.array_equal(changed[:, 80:], source[:, 80:])


def test_soft_inpainting_shows_the_change_and_keeps_the_rest(
    draw: Drawer, name: str, source: np.ndarray, left_half: str
) -> None:
    usual = inpaint(name, left_half, mask_blur=8)
    result = draw(usual.replace(soft_inpaint=SoftInpaint()))
    assert far(result[:, :40], source[:, :40]) > 15
    assert far(result[:, 100:], source[:, 100:]) < 1
    assert not np.array_equal(result, draw(usual))


def test_colour_correction_brings_colours_back(draw: Drawer, name: str, source: np.ndarray) -> None:
    """A picture drawn yellow over a blue one is blue again, as bright as it was drawn."""

    def blueness(picture: np.ndarray) -> float:
        return float((picture[..., 2] - picture[..., 0]).mean())

    plain = draw(image(name, denoising_strength=0.9))
    corrected = draw(image(name, denoising_strength=0.9, color_correction=True))
    assert blueness(source) > 60
    assert blueness(plain) < -40
    assert blueness(corrected) > blueness(plain) + 100


@pytest.mark.parametrize(
    "mode", ["Just resize", "Crop and resize", "Resize and fill", "Just resize (latent upscale)"]
)
def test_resize_modes_give_the_size(draw: Drawer, name: str, source: np.ndarray, mode: str) -> None:
    result = draw(image(name, denoising_strength=0.2, resize_mode=mode).replace(width=192, height=128))
    assert result.shape == (128, 192, 3)
    wide = np.asarray(Image.fromarray(source.astype(np.uint8)).resize((192, 128))).astype(int)
    if mode == "Just resize":
        assert far(result, wide) < 50  # another ground is 150 away


@pytest.mark.parametrize(
    "change", [{"noise_multiplier": 0.7}, {"extra_noise": 0.4}, {"exact_steps": True}], ids=lambda change: str(change)
)
def test_each_knob_changes_the_picture(draw: Drawer, name: str, change: dict[str, Any]) -> None:
    quick = {"width": 64, "height": 64, "steps": 4}
    assert not np.array_equal(draw(image(name, **change).replace(**quick)), draw(image(name).replace(**quick)))


@pytest.mark.parametrize("area", ["Whole picture", "Only masked"])
def test_an_empty_mask_is_a_sentence(draw: Drawer, folder: Path, name: str, area: str) -> None:
    empty = keep(folder, Image.new("L", (128, 128)))
    with pytest.raises(BadRequest, match="The mask is empty"):
        draw(inpaint(name, empty, area=area))
    with pytest.raises(BadRequest, match="covers everything"):
        draw(inpaint(name, keep(folder, Image.new("L", (9, 9), 255)), area=area, mask_mode="Inpaint not masked"))


def test_a_picture_that_is_gone_is_a_sentence(draw: Drawer) -> None:
    with pytest.raises(BadRequest, match="not there any more"):
        draw(image("0" * 64))
    with pytest.raises(BadRequest, match="choose one"):
        draw(image(""))


def test_transparent_parts_show_the_background_colour(draw: Drawer, folder: Path) -> None:
    glass = keep(folder, Image.new("RGBA", (128, 128), (0, 0, 0, 0)))
    red = draw(image(glass, denoising_strength=0.0, background_color="#ff0000"))
    white = draw(image(glass, denoising_strength=0.0))
    assert red.reshape(-1, 3).mean(0)[0] > 190
    assert red.reshape(-1, 3).mean(0)[1] < 70
    assert white.mean() > 215


def test_interrupt_keeps_the_mask(
    model: LoadedModel, folder: Path, name: str, source: np.ndarray, left_half: str
) -> None:
    job = generate(inpaint(name, left_half), model, previews_per_second=0, supplies=Supplies(folder))
    events = [next(job)]
    while not isinstance(events[-1], Finished):
        last = events[-1]
        events.append(job.send("interrupt" if isinstance(last, Progress) and last.step == 3 else None))
    assert max(e.step for e in events if isinstance(e, Progress)) == 3
    assert np.array_equal(pictures(events)[0][:, 80:], source[:, 80:])


def test_faces_are_restored_before_the_rest_is_pasted_back(
    model: LoadedModel, folder: Path, name: str, source: np.ndarray, left_half: str
) -> None:
    """A stand-in for a model makes everything grey: that is seen under the mask only."""

    def grey(request: GenerationRequest, picture: Image.Image) -> tuple[Image.Image, int]:
        assert request.codeformer_weight == 0.5
        return picture.convert("L").convert("RGB"), 1

    request = inpaint(name, left_half, mask_blur=2).replace(face_restoration="CodeFormer")
    supplies = Supplies(folder, faces=grey)
    (result,) = pictures(list(generate(request, model, previews_per_second=0, supplies=supplies)))
    assert np.ptp(result[:, :56], axis=2).max() == 0
    assert np.array_equal(result[:, 72:], source[:, 72:])
    with pytest.raises(UnknownName, match="CodeFormer"):
        list(generate(request, model, previews_per_second=0, supplies=Supplies(folder)))
