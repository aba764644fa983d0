"""Pictures that were sent are looked at: who is asked, what is told, and what goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from modules.engine.captioning.added import add_captioner
from modules.engine.captioning.captioners import Captioners
from modules.engine.captioning.jobs import CaptionJobs
from modules.schema.captioning import InterrogateRequest
from modules.schema.engine import EngineJob, ModelRef
from modules.schema.errors import BadRequest, ModelFileError, UnknownName
from modules.schema.events import Captioned, Event, Finished, Progress
from tests.captioners import WORDS, make_blip, make_tagger

NAMES = ("a" * 64, "b" * 64)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    make_blip(folder / "BLIP")
    make_tagger(folder / "WD tagger")
    return folder


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    Image.new("RGB", (30, 20), (255, 0, 0)).save(tmp_path / f"{NAMES[0]}.png")
    Image.new("RGBA", (20, 30), (0, 0, 255, 255)).save(tmp_path / f"{NAMES[1]}.png")
    return tmp_path


def events(captioner: str, folder: Path | None, inputs: Path, names: tuple[str, ...] = NAMES) -> Iterator[Event]:
    request = InterrogateRequest(pictures=names, captioner=captioner, interrogate_clip_max_length=8)
    files = {} if folder is None else {"captioner": str(folder)}
    job = EngineJob(id="1", request=request, model=ModelRef(checkpoint=""), inputs=str(inputs), files=files)
    return CaptionJobs(Captioners(torch.device("cpu"))).run(job)


def told(found: list[Event]) -> list[Captioned]:
    return [event for event in found if isinstance(event, Captioned)]


def test_tags_of_each_picture(models: Path, inputs: Path) -> None:
    found = list(events("WD tagger", models / "WD tagger", inputs))
    first, second = told(found)
    assert (first.index, first.captioner) == (0, "WD tagger") and "red theme" in first.text
    assert second.index == 1 and "blue sky" in second.text
    assert isinstance(found[-1], Finished) and found[-1].reason == "done"
    assert [event.stage for event in found if isinstance(event, Progress)] == ["loading", "captioning", "captioning"]


@pytest.mark.parametrize("name", ["BLIP", "BLIP: large"])
def test_a_sentence_by_blip(models: Path, inputs: Path, name: str) -> None:
    (caption,) = told(list(events(name, models / "BLIP", inputs, NAMES[:1])))
    assert caption.text and set(caption.text.split()) <= set(WORDS[5:])


def test_one_of_several_taggers(models: Path, inputs: Path) -> None:
    assert "red theme" in told(list(events("WD tagger: vit", models / "WD tagger", inputs)))[0].text


def test_an_extension_is_asked_by_its_name(inputs: Path) -> None:
    undo = add_captioner("Sizes", lambda picture: f"{picture.width} wide, {picture.mode}")
    try:
        assert [one.text for one in told(list(events("Sizes", None, inputs)))] == ["30 wide, RGB", "20 wide, RGB"]
    finally:
        undo()
    with pytest.raises(UnknownName, match="Sizes"):
        list(events("Sizes", None, inputs))


def test_it_can_be_stopped_between_two(models: Path, inputs: Path) -> None:
    running = events("WD tagger", models / "WD tagger", inputs)
    seen = [next(running), next(running), next(running)]
    assert isinstance(seen[1], Captioned)
    ending = running.send("interrupt")
    assert isinstance(ending, Finished) and ending.reason == "interrupted"


def test_a_picture_that_has_gone_is_a_sentence(models: Path, inputs: Path) -> None:
    (inputs / f"{NAMES[1]}.png").unlink()
    running = events("WD tagger", models / "WD tagger", inputs)
    with pytest.raises(BadRequest, match="choose it again"):
        list(running)


def test_a_model_of_the_other_kind_is_a_sentence(models: Path, inputs: Path) -> None:
    with pytest.raises(ModelFileError, match=r"model\.onnx|selected_tags"):
        list(events("WD tagger", models / "BLIP", inputs))
    with pytest.raises(ModelFileError, match="cannot be loaded"):
        list(events("BLIP", models / "WD tagger", inputs))
