"""Captioning a data set with a tiny BLIP."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
import torch

from modules.engine.captioning.captioners import Captioners
from modules.engine.captioning.jobs import CaptionJobs
from modules.schema.captioning import CaptionRequest
from modules.schema.engine import EngineJob, ModelRef
from modules.schema.errors import ModelFileError
from modules.schema.events import Event, Finished, Notice, Progress
from tests.captioners import WORDS, make_blip
from tests.catalog.datasets.pictures import noise, save

SHORT = {"interrogate_clip_max_length": 8, "interrogate_clip_min_length": 4}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_blip(tmp_path_factory.mktemp("blip"))


def run(model: Path, pictures: Iterable[Path], **values: object) -> list[Event]:
    files = {f"{number:016x}": str(path) for number, path in enumerate(pictures)}
    request = CaptionRequest(data_set="x", pictures=tuple(files), **SHORT, **values)
    job = EngineJob(id="1", request=request, model=ModelRef(checkpoint=""), files={"captioner": str(model), **files})
    return list(CaptionJobs(Captioners(torch.device("cpu"))).run(job))


def test_each_picture_gets_a_caption(model: Path, tmp_path: Path) -> None:
    pictures = [save(tmp_path, f"{number}.png", noise(number)) for number in range(3)]
    events = run(model, pictures)
    assert isinstance(events[-1], Finished) and events[-1].reason == "done"
    assert [event.step for event in events if isinstance(event, Progress)] == [0, 1, 2, 3]
    for path in pictures:
        words = path.with_suffix(".txt").read_text().split()
        assert words and set(words) <= set(WORDS[5:])


@pytest.mark.parametrize("existing", ["Replace", "Keep", "Prepend", "Append"])
def test_captions_that_are_there(model: Path, tmp_path: Path, existing: str) -> None:
    path = save(tmp_path, "a.png", noise(1))
    run(model, [path])
    seen = path.with_suffix(".txt").read_text()
    path.with_suffix(".txt").write_text("a fox")
    run(model, [path], existing=existing)
    told = {"Replace": seen, "Keep": "a fox", "Prepend": f"{seen}, a fox", "Append": f"a fox, {seen}"}[existing]
    assert path.with_suffix(".txt").read_text() == told


def test_a_picture_that_is_gone_is_told_and_left_out(model: Path, tmp_path: Path) -> None:
    events = run(model, [tmp_path / "gone.png", save(tmp_path, "a.png", noise(1))])
    assert [event.text for event in events if isinstance(event, Notice)][0].startswith("The picture")
    assert (tmp_path / "a.txt").is_file() and not (tmp_path / "gone.txt").exists()


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_broken_model_is_a_sentence(model: Path, tmp_path: Path, file: str) -> None:
    for path in model.iterdir():
        (tmp_path / path.name).write_bytes(b"x" if path.name == file else path.read_bytes())
    with pytest.raises(ModelFileError, match="cannot be loaded"):
        run(tmp_path, [save(tmp_path, "a.png", noise(1))])
