"""Upscalers: those built in, and a real model file that goes through spandrel."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from modules.engine.postprocess import upscalers as module
from modules.engine.postprocess.tiles import Tiling, starts, tiled
from modules.engine.postprocess.upscaler import upscale
from modules.engine.postprocess.upscalers import Upscalers
from modules.schema.engine import UpscalerRef
from modules.schema.errors import ModelFileError, UnknownName
from tests.engine.postprocess.upscaler_files import make_esrgan

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    pixels = np.random.default_rng(1).integers(0, 256, (20, 28, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_esrgan(tmp_path_factory.mktemp("esrgan") / "double.pth")


def _ref(path: Path) -> UpscalerRef:
    return UpscalerRef(name=path.stem, path=str(path))


def _same(one: Image.Image, other: Image.Image) -> bool:
    return one.size == other.size and np.array_equal(np.array(one), np.array(other))


@pytest.mark.parametrize(
    ("length", "side", "overlap", "expected"),
    [
        (100, 0, 16, [0]),
        (100, 100, 16, [0]),
        (1024, 512, 64, [0, 256, 512]),
        (768, 512, 64, [0, 256]),
        (900, 512, 64, [0, 388]),
        (10, 4, 9, [0, 1, 2, 3, 4, 5, 6]),
    ],
)
def test_tiles_cover_everything(length: int, side: int, overlap: int, expected: list[int]) -> None:
    assert starts(length, side, overlap) == expected


@pytest.mark.parametrize("tiling", [Tiling(0), Tiling(7, 3), Tiling(16, 0), Tiling(9, 20)])
def test_tiles_leave_no_seam(tiling: Tiling) -> None:
    whole = torch.rand(1, 3, 19, 30)
    fractions = []
    work = tiled(whole, lambda tile: tile.repeat_interleave(2, 2).repeat_interleave(2, 3), 2, tiling)
    while True:
        try:
            fractions.append(next(work))
        except StopIteration as end:
            result = end.value
            break
    torch.testing.assert_close(result, whole.repeat_interleave(2, 2).repeat_interleave(2, 3))
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1


def test_overlapping_tiles_are_cross_faded() -> None:
    """Tiles that disagree meet in a slope, not in a step."""
    levels = iter([0.0, 1.0])
    work = tiled(torch.zeros(1, 1, 8, 24), lambda tile: torch.full_like(tile, next(levels)), 1, Tiling(16, 8))
    while True:
        try:
            next(work)
        except StopIteration as end:
            row = end.value[0, 0, 0]
            break
    assert (row[:8] == 0).all()
    assert (row[16:] == 1).all()
    assert (row.diff()[7:16] > 0).all()
    assert row.diff().max() < 0.2


@pytest.mark.parametrize(("name", "resample"), [("Lanczos", Image.Resampling.LANCZOS), ("Nearest", 0)])
def test_built_in(picture: Image.Image, name: str, resample: Image.Resampling) -> None:
    upscaler = Upscalers(CPU).get(UpscalerRef(name=name))
    assert _same(upscale(upscaler, picture, 61, 40), picture.resize((61, 40), resample))


def test_a_real_esrgan_file_runs(picture: Image.Image, model_file: Path) -> None:
    upscaler = Upscalers(CPU).get(_ref(model_file))
    assert _same(upscale(upscaler, picture, 56, 40), picture.resize((56, 40), Image.Resampling.NEAREST))


def test_tiles_of_a_model_give_the_same(picture: Image.Image, model_file: Path) -> None:
    upscaler = Upscalers(CPU).get(_ref(model_file), Tiling(12, 4))
    assert _same(upscale(upscaler, picture, 56, 40), picture.resize((56, 40), Image.Resampling.NEAREST))


def test_it_runs_until_the_size_is_reached(picture: Image.Image, tmp_path: Path) -> None:
    """A factor of 4 takes two passes of a 2x model; a size between is reached by Lanczos from the next larger one."""
    upscaler = Upscalers(CPU).get(_ref(make_esrgan(tmp_path / "double.safetensors")))
    four = picture.resize((112, 80), Image.Resampling.NEAREST)
    assert _same(upscale(upscaler, picture, 112, 80), four)
    assert _same(upscale(upscaler, picture, 84, 60), four.resize((84, 60), Image.Resampling.LANCZOS))
    assert _same(upscale(upscaler, picture, 14, 10), picture.resize((14, 10), Image.Resampling.LANCZOS))


def test_it_tells_how_far_it_is_and_can_be_left(picture: Image.Image, model_file: Path) -> None:
    pieces = Upscalers(CPU).get(_ref(model_file), Tiling(10, 2)).pieces(picture, 112, 80)
    seen = [next(pieces) for _ in range(8)]
    pieces.close()
    assert seen[0] == 0
    assert seen == sorted(seen)
    assert 0 < seen[-1] < 1


def test_a_grey_picture_is_taken_as_colour(model_file: Path) -> None:
    assert upscale(Upscalers(CPU).get(_ref(model_file)), Image.new("L", (8, 8), 90), 16, 16).getpixel((3, 3)) == (
        90,
        90,
        90,
    )


def test_models_are_kept_and_reloaded_when_they_change(model_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[Path] = []
    load: Callable[..., object] = module.load_model
    monkeypatch.setattr(module, "load_model", lambda path, device: loads.append(path) or load(path, device))
    store = Upscalers(CPU)
    store.get(_ref(model_file))
    store.get(_ref(model_file))
    assert len(loads) == 1


def test_what_is_no_upscaler_is_told(tmp_path: Path) -> None:
    store = Upscalers(CPU)
    with pytest.raises(UnknownName, match="Lanczso"):
        store.get(UpscalerRef(name="Lanczso"))
    with pytest.raises(ModelFileError, match="cannot be read"):
        store.get(_ref(tmp_path / "gone.pth"))
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(ModelFileError, match=r"other\.pth is of no kind"):
        store.get(_ref(tmp_path / "other.pth"))
    (tmp_path / "junk.pth").write_bytes(b"junk")
    with pytest.raises(ModelFileError, match=r"junk\.pth"):
        store.get(_ref(tmp_path / "junk.pth"))


def test_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
            return os.system, (f"touch {tmp_path}/owned",)

    (tmp_path / "evil.pth").write_bytes(pickle.dumps({"params": Evil()}, protocol=2))
    with pytest.raises(ModelFileError, match=r"evil\.pth"):
        Upscalers(CPU).get(_ref(tmp_path / "evil.pth"))
    assert not (tmp_path / "owned").exists()
