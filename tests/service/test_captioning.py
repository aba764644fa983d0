"""Captioners at the door: which models, which pictures, how they speak, and the way back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from modules.prompts.tokens import load_tokenizer
from modules.schema.captioning import CAPTIONERS, CaptionerFacts, CaptionRequest, InterrogateRequest
from modules.schema.errors import BadRequest, NoCaptioner, NotFound, UnknownName
from modules.schema.events import Captioned, ImageSaved
from modules.schema.extras import ExtrasRequest
from modules.schema.orders import ORDER
from modules.schema.settings import Settings
from modules.service.accounts import GUEST
from modules.service.app import App
from modules.service.captioning import CaptionDoor
from modules.service.datasets import Datasets
from modules.service.inputs import InputPictures
from tests.catalog.datasets.pictures import noise, save
from tests.service.helpers import ANN, to_end

FILES = ("config.json", "model.safetensors", "tokenizer.json")


def put_blip(folder: Path, kind: str = "blip") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        (folder / name).write_text(json.dumps({"model_type": kind}))


def put_tagger(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(b"x")
    (folder / "selected_tags.csv").write_text("name,category\n")


@pytest.fixture
def door(tmp_path: Path) -> CaptionDoor:
    save(tmp_path / "datasets" / "own", "a fox.png", noise(1))
    datasets = Datasets(tmp_path, tmp_path / "cache", load_tokenizer)
    return CaptionDoor(datasets, InputPictures(tmp_path / "inputs"), tmp_path / "models", Settings())


@pytest.fixture
def added() -> Iterator[str]:
    facts = CaptionerFacts("Sizes")
    CAPTIONERS.add(facts)
    yield facts.name
    CAPTIONERS.remove(facts)


def request(door: CaptionDoor) -> CaptionRequest:
    return CaptionRequest(data_set="own", pictures=tuple(p.id for p in door.datasets.pictures("own")))


# Who there is


def test_without_a_model_it_says_what_to_put_where(door: CaptionDoor, tmp_path: Path) -> None:
    blip, tagger = door.views()
    assert str(tmp_path / "models" / "BLIP") in blip.problem and "model.safetensors" in blip.problem
    assert str(tmp_path / "models" / "WD-tagger") in tagger.problem and "selected_tags.csv" in tagger.problem
    with pytest.raises(NoCaptioner, match="BLIP"):
        door.caption(request(door))
    put_blip(tmp_path / "models" / "BLIP", "clip")
    assert door.views()[0].problem
    with pytest.raises(NoCaptioner, match="WD tagger"):
        door.find("WD tagger: vit")


@pytest.mark.parametrize(
    ("file", "name"),
    [("torch_deepdanbooru/model-resnet_custom_v3.pt", "WD tagger"), ("BLIP/model_base_caption.pth", "BLIP")],
)
def test_a1111s_own_files_are_told_to_be_of_another_format(
    door: CaptionDoor, tmp_path: Path, file: str, name: str
) -> None:
    path = tmp_path / "models" / file
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x")
    with pytest.raises(NoCaptioner, match=f"A1111's {path.name} is of another format and is not read"):
        door.find(name)


@pytest.mark.parametrize("spelling", ["BLIP", "blip", "clip", ""])
@pytest.mark.parametrize("below", ["", "base"])
def test_a_model_lies_in_its_kinds_folder_or_below(
    door: CaptionDoor, tmp_path: Path, below: str, spelling: str
) -> None:
    put_blip(tmp_path / "models" / "BLIP" / below)
    found = door.find(spelling)
    assert (found.name, found.folder) == ("BLIP", tmp_path / "models" / "BLIP" / below)
    assert [view.name for view in door.views()] == ["BLIP", "WD tagger"]


def test_of_several_each_has_its_name(door: CaptionDoor, tmp_path: Path) -> None:
    folder = tmp_path / "models" / "WD-tagger"
    for name in ("vit", "eva", "empty"):
        (folder / name).mkdir(parents=True)
    put_tagger(folder / "vit")
    put_tagger(folder / "eva")
    assert [view.name for view in door.views()] == ["BLIP", "WD tagger: eva", "WD tagger: vit"]
    assert door.find("deepdanbooru").folder == folder / "eva"
    assert door.find("WD tagger: vit").folder == folder / "vit"
    for wrong in ("WD tagger: ../../x", "WD tagger: empty", "nobody", "nobody: x"):
        with pytest.raises(UnknownName):
            door.find(wrong)


def test_an_extensions_captioner_is_one_of_them(door: CaptionDoor, added: str) -> None:
    assert door.views()[-1] == door.find("sizes") and door.find(added).problem == ""
    _, files = door.caption(request(door).replace(captioner=added))
    assert "captioner" not in files


# Orders


def test_files_of_a_data_sets_captions(door: CaptionDoor, tmp_path: Path) -> None:
    put_blip(tmp_path / "models" / "BLIP")
    wanted = request(door)
    path = tmp_path / "datasets" / "own" / "a fox.png"
    _, files = door.caption(wanted)
    assert files == {"captioner": str(tmp_path / "models" / "BLIP"), wanted.pictures[0]: str(path)}
    with pytest.raises(NotFound):
        door.caption(wanted.replace(pictures=("0" * 16,)))
    with pytest.raises(BadRequest, match="choose some first"):
        door.caption(wanted.replace(pictures=()))


def test_what_an_order_does_not_say_is_as_the_settings_have_it(door: CaptionDoor, tmp_path: Path) -> None:
    put_tagger(tmp_path / "models" / "WD-tagger")
    picture = InputPictures(tmp_path / "inputs").add_picture(Image.new("RGB", (8, 8)))
    order = InterrogateRequest(pictures=(picture,), captioner="deepdanbooru", deepbooru_sort_alpha=True)
    door.use(Settings(interrogate_deepbooru_score_threshold=0.6, deepbooru_sort_alpha=False))
    found, _ = door.look(order)
    assert (found.captioner, found.interrogate_deepbooru_score_threshold) == ("WD tagger", 0.6)
    assert found.deepbooru_sort_alpha is True
    door.use(Settings(interrogate_deepbooru_score_threshold=0.2))
    assert door.look(ORDER.validate_json(found.model_dump_json()))[0] == found  # what is resolved stays so


def test_pictures_that_are_not_there(door: CaptionDoor, tmp_path: Path) -> None:
    put_blip(tmp_path / "models" / "BLIP")
    with pytest.raises(BadRequest, match="choose one first"):
        door.look(InterrogateRequest())
    for name, error in (("a" * 64, NotFound), ("", BadRequest)):
        with pytest.raises(error):
            door.look(InterrogateRequest(pictures=(name,)))


def test_what_the_job_writes_can_be_undone(door: CaptionDoor, tmp_path: Path) -> None:
    door.note_way_back(request(door))
    text = tmp_path / "datasets" / "own" / "a fox.txt"
    text.write_text("a dog")
    assert door.datasets.undo("own") == "Automatic captions (1)"
    assert not text.exists()


def test_they_are_orders_like_others(start: Callable[..., App], tmp_path: Path) -> None:
    wanted = CaptionRequest(data_set="own", pictures=("0123456789abcdef",))
    assert ORDER.validate_json(wanted.model_dump_json()) == wanted
    app = start()
    picture = app.inputs.add_picture(Image.new("RGB", (8, 8)))
    looked_at = InterrogateRequest(pictures=(picture,))
    for order in (wanted, looked_at, ExtrasRequest(pictures=(picture,), captioner="BLIP")):
        with pytest.raises(NoCaptioner, match="BLIP"):
            app.submit(order, ANN)
    put_blip(tmp_path / "models" / "BLIP")
    with pytest.raises(NotFound):
        app.submit(wanted, ANN)
    assert app.submit(looked_at, f"{GUEST}bob").request.kind == "interrogate"
    job = app.submit(InterrogateRequest(pictures=(picture, picture)), ANN)
    told = [event for event in to_end(app, job.id) if isinstance(event, Captioned)]
    assert told == [Captioned(0, "BLIP", "BLIP 0.35"), Captioned(1, "BLIP", "BLIP 0.35")]


def test_extras_write_the_caption_beside_the_picture(start: Callable[..., App], tmp_path: Path) -> None:
    app = start()
    put_tagger(tmp_path / "models" / "WD-tagger")
    picture = app.inputs.add_picture(Image.new("RGB", (8, 8)))
    order = ExtrasRequest(pictures=(picture,), names=("fox.png",), captioner="tagger", captioner_2="deepdanbooru")
    job = app.submit(order, ANN)
    (saved,) = [event for event in to_end(app, job.id) if isinstance(event, ImageSaved)]
    assert saved.caption == "a cat" and saved.name.endswith("-fox.png")
    assert app.image_path(saved.name, ANN).with_suffix(".txt").read_text() == "a cat"
    (kept,) = app.job(job.id, ANN).images
    assert kept.caption == "a cat"
    plain = app.submit(order.replace(captioner="None", captioner_2="None"), ANN)
    (saved,) = [event for event in to_end(app, plain.id) if isinstance(event, ImageSaved)]
    assert not app.image_path(saved.name, ANN).with_suffix(".txt").exists()
