"""Hires fix, refiner and inpainting checkpoints, on the embedded model and tiny ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from modules.engine.generate import generate
from modules.engine.loading.load import load_model
from modules.engine.loading.model import LoadedModel
from modules.engine.loading.placement import pick_device
from modules.engine.loading.store import Store
from modules.engine.supplies import Role, Supplies
from modules.schema.engine import ModelRef
from modules.schema.events import Finished, ImageDone, Progress
from modules.schema.parts import LATENT_UPSCALERS, Hires, ImageInput, Inpaint, Refiner
from modules.schema.request import GenerationRequest
from tests.engine.pictures import MINIATURE, Drawer, far, keep, pictures
from tests.tiny import NATIVE_64, write_tiny_sd1

pytestmark = pytest.mark.engine

BASE = GenerationRequest(
    prompt="a red circle on a blue background",
    steps=8,
    width=128,
    height=128,
    cfg_scale=4,
    seed=7,
    subseed=7,
    sampler="Euler",
)
HIRES = BASE.replace(hires=Hires(steps=3, denoising_strength=0.4, scale=1.5))
# Where only matters what is done, not what it looks like.
SMALL = BASE.replace(width=64, height=64)
QUICK = SMALL.replace(steps=4, hires=Hires(steps=2, denoising_strength=0.5, scale=1.5))


@pytest.fixture(scope="module")
def first(draw: Drawer) -> np.ndarray:
    return draw(BASE)


@pytest.fixture(scope="module")
def finished(first: np.ndarray, folder: Path) -> str:
    return keep(folder, Image.fromarray(first.astype(np.uint8)))


def smaller(picture: np.ndarray, size: tuple[int, int] = (128, 128)) -> np.ndarray:
    return np.asarray(Image.fromarray(picture.astype(np.uint8)).resize(size, Image.Resampling.BOX)).astype(int)


def alike(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of two pictures."""
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def with_hires(base: GenerationRequest = HIRES, **values: Any) -> GenerationRequest:
    assert base.hires is not None
    return base.replace(hires=base.hires.replace(**values))


@pytest.mark.parametrize(
    ("upscaler", "scale"),
    [("Latent", 2), ("Lanczos", 2), *((name, 1.25) for name in (*LATENT_UPSCALERS[1:], "Nearest"))],
)
def test_a_larger_size_keeps_the_composition(
    draw: Drawer, first: np.ndarray, finished: str, upscaler: str, scale: float
) -> None:
    """Both passes for one upscaler of each kind; the others begin with what the first pass gave."""
    result = draw(with_hires(upscaler=upscaler, scale=scale, picture="" if scale == 2 else finished))
    assert result.shape == (int(128 * scale), int(128 * scale), 3)
    assert alike(smaller(result), first) > 0.7


def test_strength_0_is_the_first_pass_enlarged(draw: Drawer, first: np.ndarray) -> None:
    result = draw(with_hires(upscaler="Lanczos", denoising_strength=0.0, scale=1.25))
    assert alike(smaller(result), first) > 0.97


def test_both_sides_given_crop_what_is_too_much(draw: Drawer) -> None:
    assert draw(with_hires(QUICK, width=96, height=64)).shape == (64, 96, 3)
    assert draw(with_hires(QUICK, width=96, height=64, upscaler="Lanczos")).shape == (64, 96, 3)


@pytest.mark.parametrize(
    "change",
    [
        {"denoising_strength": 0.8},
        {"prompt": "a green field"},
        {"cfg_scale": 9.0},
        {"sampler": "Euler a"},
        {"steps": 3},
        {"negative_prompt": "blue"},
        {"scheduler": "Karras"},
    ],
    ids=str,
)
def test_each_knob_changes_the_second_pass(draw: Drawer, change: dict[str, Any], quick: np.ndarray) -> None:
    assert not np.array_equal(draw(with_hires(QUICK, **change)), quick)


@pytest.fixture(scope="module")
def quick(draw: Drawer) -> np.ndarray:
    return draw(QUICK)


def test_a_finished_picture_takes_the_place_of_the_first_pass(
    model: LoadedModel, folder: Path, finished: str, draw: Drawer
) -> None:
    request = with_hires(picture=finished, scale=1.25)
    events = list(generate(request, model, previews_per_second=0, supplies=Supplies(folder)))
    assert max(e.step for e in events if isinstance(e, Progress)) == 3
    assert alike(pictures(events)[0], draw(with_hires(scale=1.25))) > 0.95


def test_progress_goes_over_both_passes_and_never_back(model: LoadedModel) -> None:
    events = [e for e in generate(QUICK, model, previews_per_second=0) if isinstance(e, Progress)]
    fractions = [e.fraction for e in events]
    assert fractions == sorted(fractions)
    assert {e.steps for e in events} == {6}
    assert max(e.step for e in events) == 6
    first_part = next(e.fraction for e in events if e.step == 4)
    assert first_part < 0.6, "a step at a larger size costs more"


def run_until(request: GenerationRequest, model: LoadedModel, step: int) -> list[Any]:
    """All events, with an interrupt in answer to that step."""
    job = generate(request, model, previews_per_second=0)
    events: list[Any] = [next(job)]
    while not isinstance(events[-1], Finished):
        last = events[-1]
        hit = isinstance(last, Progress) and last.step == step and last.stage != "decoding"
        events.append(job.send("interrupt" if hit else None))
    return events


def test_interrupts_act_within_a_step_in_each_pass(model: LoadedModel) -> None:
    sizes = {}
    for step in (2, 4, 5):
        events = run_until(QUICK, model, step)
        assert max(e.step for e in events if isinstance(e, Progress)) == step
        (done,) = [e for e in events if isinstance(e, ImageDone)]
        assert done.partial
        sizes[step] = done.width
    assert sizes == {2: 64, 4: 64, 5: 96}


def test_pictures_of_a_batch_are_those_of_their_seeds(model: LoadedModel, draw: Drawer) -> None:
    request = with_hires(QUICK, upscaler="Lanczos").replace(batch_size=2)
    events = list(generate(request, model, previews_per_second=0))
    singles = [GenerationRequest(**e.request) for e in events if isinstance(e, ImageDone)]
    assert np.abs(draw(singles[1]) - pictures(events)[1]).max() <= 2


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    """The embedded model, changed so that everything it draws is visibly different."""
    changed = Store(capacity=1, device=pick_device("cpu")).get(ModelRef(checkpoint=str(MINIATURE)), "fp32")
    with torch.no_grad():
        changed.unet.conv_out.bias.add_(0.3)
    return changed


def with_models(model: LoadedModel, other: LoadedModel, asked: list[Role]) -> Supplies:
    def of(role: Role) -> LoadedModel:
        asked.append(role)
        return model if role == "base" else other

    return Supplies(model=of)


def test_the_refiner_takes_over_late(model: LoadedModel, other: LoadedModel, draw: Drawer) -> None:
    distances, asked, unrefined = [], [], draw(SMALL)
    for at in (0.95, 0.5, 0.01):
        request = SMALL.replace(refiner=Refiner(checkpoint="other", switch_at=at))
        supplies = with_models(model, other, asked)
        (picture,) = pictures(list(generate(request, model, previews_per_second=0, supplies=supplies)))
        distances.append(far(picture, unrefined))
    assert distances == sorted(distances)
    assert 0 < distances[0] < distances[2]
    assert asked == ["refiner"] * 3
    late = SMALL.replace(refiner=Refiner(checkpoint="other", switch_at=1.0))
    (same,) = pictures(list(generate(late, model, previews_per_second=0, supplies=with_models(model, other, asked))))
    assert np.array_equal(same, unrefined)


def test_each_batch_begins_with_the_base_again(model: LoadedModel, other: LoadedModel) -> None:
    asked: list[Role] = []
    request = SMALL.replace(refiner=Refiner(checkpoint="other", switch_at=0.5), batch_count=2)
    events = list(generate(request, model, previews_per_second=0, supplies=with_models(model, other, asked)))
    single = GenerationRequest(**[e for e in events if isinstance(e, ImageDone)][1].request)
    (alone,) = pictures(list(generate(single, model, previews_per_second=0, supplies=with_models(model, other, []))))
    assert asked == ["refiner", "base", "refiner"]
    assert np.abs(alone - pictures(events)[1]).max() <= 2


@pytest.mark.parametrize(
    ("with_hires", "expected"),
    [
        ("first pass", ["refiner", "base"]),
        ("second pass", ["refiner"]),
        ("both passes", ["refiner", "base", "refiner"]),
    ],
)
def test_which_pass_is_refined(model: LoadedModel, other: LoadedModel, with_hires: str, expected: list[Role]) -> None:
    asked: list[Role] = []
    request = QUICK.replace(refiner=Refiner(checkpoint="other", switch_at=0.9, with_hires=with_hires))
    list(generate(request, model, previews_per_second=0, supplies=with_models(model, other, asked)))
    assert asked == expected


def test_a_checkpoint_of_its_own_for_the_second_pass(
    model: LoadedModel, other: LoadedModel, quick: np.ndarray
) -> None:
    asked: list[Role] = []
    request = with_hires(QUICK, checkpoint="other")
    supplies = with_models(model, other, asked)
    (picture,) = pictures(list(generate(request, model, previews_per_second=0, supplies=supplies)))
    assert asked == ["hires"]
    assert far(picture, quick) > 1


def test_inpainting_checkpoints_see_mask_and_picture(tmp_path: Path) -> None:
    """What the nine-channel UNet is given beside the latent: the mask, and the picture without what it covers."""
    path = write_tiny_sd1(tmp_path / "paint.safetensors", inpaint=True, metadata=NATIVE_64)
    model = load_model(ModelRef(checkpoint=str(path)), torch.device("cpu"), torch.float32)
    seen: list[torch.Tensor] = []
    model.unet.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))
    gradient = np.tile(np.arange(64, dtype=np.uint8)[:, None, None] * 4, (1, 64, 3))
    mask = Image.new("L", (64, 64))
    mask.paste(255, (0, 0, 32, 64))
    request = BASE.replace(
        width=64,
        height=64,
        steps=2,
        image=ImageInput(picture=keep(tmp_path, Image.fromarray(gradient)), denoising_strength=1.0),
        inpaint=Inpaint(mask=keep(tmp_path, mask), mask_blur=0),
    )
    list(generate(request, model, previews_per_second=0, supplies=Supplies(tmp_path)))
    masks = seen[0][:, 4]
    assert torch.equal(masks[0, :, :4], torch.ones(8, 4))
    assert torch.equal(masks[0, :, 4:], torch.zeros(8, 4))
    covered, whole = seen[0][:, 5:], []
    weak = request.replace(inpaint=request.inpaint.replace(mask_weight=0.0))
    seen.clear()
    list(generate(weak, model, previews_per_second=0, supplies=Supplies(tmp_path)))
    whole = seen[0][:, 5:]
    assert (covered[..., :2] - whole[..., :2]).abs().mean() > (covered[..., 6:] - whole[..., 6:]).abs().mean()
