"""Extras jobs: sizes, blending, cutting, progress, interrupt; and their text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from modules.engine.postprocess.extras import Extras
from modules.engine.postprocess.faces import Face, FaceRestorers
from modules.engine.postprocess.upscalers import Upscalers
from modules.schema.captioning import CaptionOptions
from modules.schema.engine import EngineJob, ModelRef
from modules.schema.events import Event, Finished, ImageDone, Notice, Progress
from modules.schema.extras import ExtrasRequest
from tests.engine.postprocess.upscaler_files import make_esrgan

CPU = torch.device("cpu")
NAMES = ("a" * 64, "b" * 64)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    random = np.random.default_rng(2)
    for name, size in zip(NAMES, ((12, 16), (10, 10)), strict=True):
        Image.fromarray(random.integers(0, 256, (*size, 3), dtype=np.uint8)).save(folder / f"{name}.png")
    make_esrgan(folder / "double.pth")
    return folder


def _run(folder: Path, told: dict[int, str] | None = None, **options: Any) -> list[Event]:
    request = ExtrasRequest(**{"pictures": NAMES[:1], **options})
    upscalers = {"double": str(folder / "double.pth"), "GFPGAN": str(folder / "double.pth")}
    job = EngineJob(id="x", request=request, model=ModelRef(checkpoint=""), inputs=str(folder), upscalers=upscalers)
    events: list[Event] = []
    work = Extras(Upscalers(CPU), FaceRestorers(CPU), _captioner).run(job)
    try:
        command = None
        while True:
            events.append(work.send(command))
            command = (told or {}).get(len(events))
    except StopIteration:
        return events


def _captioner(name: str, folder: str, options: CaptionOptions) -> Callable[[Image.Image], str]:
    """Says the name, and the size that it sees."""
    assert isinstance(options, ExtrasRequest) and not folder
    return lambda picture: f"{name} {picture.width}x{picture.height}"


def _pictures(events: list[Event]) -> list[Image.Image]:
    done = [event for event in events if isinstance(event, ImageDone)]
    return [Image.frombytes("RGB", (event.width, event.height), event.pixels) for event in done]


def _source(folder: Path, index: int = 0) -> Image.Image:
    return Image.open(folder / f"{NAMES[index]}.png").convert("RGB")


def _equal(one: Image.Image, other: Image.Image) -> bool:
    return one.size == other.size and one.tobytes() == other.tobytes()


def test_a_model_enlarges_a_batch(folder: Path) -> None:
    events = _run(folder, pictures=NAMES, upscaler_1="double", scale=2)
    for index, picture in enumerate(_pictures(events)):
        source = _source(folder, index)
        assert _equal(picture, source.resize((source.width * 2, source.height * 2), Image.Resampling.NEAREST))
    fractions = [event.fraction for event in events if isinstance(event, Progress)]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert events[-1] == Finished("done", events[-1].seconds)  # type: ignore[union-attr]


def test_without_an_upscaler_the_picture_stays(folder: Path) -> None:
    assert _equal(_pictures(_run(folder))[0], _source(folder))


def test_two_are_blended(folder: Path) -> None:
    one = np.array(_pictures(_run(folder, upscaler_1="Nearest", scale=2))[0], dtype=float)
    two = np.array(_pictures(_run(folder, upscaler_1="Lanczos", scale=2))[0], dtype=float)
    both = _run(folder, upscaler_1="Nearest", upscaler_2="Lanczos", upscaler_2_visibility=0.25, scale=2)
    assert np.abs(np.array(_pictures(both)[0]) - (0.75 * one + 0.25 * two)).max() <= 1


@pytest.mark.parametrize(("crop", "size"), [(True, (40, 20)), (False, (40, 30))])
def test_a_size_is_covered_and_cut(folder: Path, crop: bool, size: tuple[int, int]) -> None:
    events = _run(folder, upscaler_1="Lanczos", resize_mode="Scale to", width=40, height=20, crop=crop)
    assert _pictures(events)[0].size == size


def test_it_stops_between_tiles(folder: Path) -> None:
    events = _run(folder, {2: "interrupt"}, pictures=NAMES, upscaler_1="double", scale=4, tile=8, tile_overlap=0)
    assert len(events) == 3
    assert isinstance(events[-1], Finished)
    assert events[-1].reason == "interrupted"


def test_skip_goes_on_with_the_next(folder: Path) -> None:
    events = _run(folder, {2: "skip"}, pictures=NAMES, upscaler_1="double", scale=2, tile=8, tile_overlap=0)
    assert [event.index for event in events if isinstance(event, ImageDone)] == [1]


def test_a_picture_without_a_face_stays_and_says_so(folder: Path) -> None:
    events = _run(folder, gfpgan_visibility=1)
    assert _equal(_pictures(events)[0], _source(folder))
    assert [event.text for event in events if isinstance(event, Notice)]


def test_eyes_come_to_their_places() -> None:
    matrix = Face((300.0, 200.0), (420.0, 260.0)).to_square()
    np.testing.assert_allclose(matrix @ [300, 200, 1], (192.98, 239.95))
    np.testing.assert_allclose(matrix @ [420, 260, 1], (318.90, 240.19))


def test_the_text_tells_what_was_done() -> None:
    request = ExtrasRequest(upscaler_1="Lanczos", resize_mode="Scale to", width=64, height=48)
    assert request.facts() == {
        "Postprocess upscale to": "64x48",
        "Postprocess crop to": "64x48",
        "Postprocess upscaler": "Lanczos",
    }
    assert ExtrasRequest().facts() == {}
    assert ExtrasRequest(codeformer_visibility=0.5).facts() == {
        "CodeFormer visibility": "0.5",
        "CodeFormer weight": "0",
    }


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ("None", "None", ""),
        ("BLIP", "None", "BLIP 32x24"),
        ("WD tagger", "BLIP", "WD tagger 32x24, BLIP 32x24"),
        ("None", "Sizes", "Sizes 32x24"),
        ("BLIP", "BLIP", "BLIP 32x24"),
    ],
)
def test_what_is_seen_in_the_finished_picture(folder: Path, first: str, second: str, words: str) -> None:
    events = _run(folder, captioner=first, captioner_2=second, scale=2.0, upscaler_1="Nearest")
    assert [event.caption for event in events if isinstance(event, ImageDone)] == [words]
