"""Automatic captions at the door: which model, which pictures, and the way back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from modules.prompts.tokens import load_tokenizer
from modules.schema.captioning import CaptionRequest
from modules.schema.errors import BadRequest, NotFound
from modules.schema.orders import ORDER
from modules.service.app import App
from modules.service.captioning import CaptionDoor
from modules.service.datasets import Datasets
from tests.catalog.datasets.pictures import noise, save
from tests.service.helpers import ANN

FILES = ("config.json", "model.safetensors", "tokenizer.json")


def put_model(folder: Path, kind: str = "blip") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        (folder / name).write_text(json.dumps({"model_type": kind}))


@pytest.fixture
def door(tmp_path: Path) -> CaptionDoor:
    save(tmp_path / "datasets" / "own", "a fox.png", noise(1))
    return CaptionDoor(Datasets(tmp_path, tmp_path / "cache", load_tokenizer), tmp_path / "BLIP")


def request(door: CaptionDoor) -> CaptionRequest:
    return CaptionRequest(data_set="own", pictures=tuple(p.id for p in door.datasets.pictures("own")))


def test_without_a_model_it_says_what_to_put_where(door: CaptionDoor, tmp_path: Path) -> None:
    assert str(tmp_path / "BLIP") in door.problem and "model.safetensors" in door.problem
    with pytest.raises(BadRequest, match="BLIP"):
        door.files(request(door))
    put_model(tmp_path / "BLIP", "clip")
    assert door.problem


@pytest.mark.parametrize("below", ["", "base"])
def test_files_of_a_job(door: CaptionDoor, tmp_path: Path, below: str) -> None:
    put_model(tmp_path / "BLIP" / below)
    assert door.problem == ""
    wanted = request(door)
    path = tmp_path / "datasets" / "own" / "a fox.png"
    assert door.files(wanted) == {"model": str(tmp_path / "BLIP" / below), wanted.pictures[0]: str(path)}
    with pytest.raises(NotFound):
        door.files(wanted.replace(pictures=("0" * 16,)))
    with pytest.raises(BadRequest, match="choose some first"):
        door.files(wanted.replace(pictures=()))


def test_what_the_job_writes_can_be_undone(door: CaptionDoor, tmp_path: Path) -> None:
    door.note_way_back(request(door))
    text = tmp_path / "datasets" / "own" / "a fox.txt"
    text.write_text("a dog")
    assert door.datasets.undo("own") == "Automatic captions (1)"
    assert not text.exists()


def test_it_is_an_order_like_others(start: Callable[..., App], tmp_path: Path) -> None:
    wanted = CaptionRequest(data_set="own", pictures=("0123456789abcdef",))
    assert ORDER.validate_json(wanted.model_dump_json()) == wanted
    app = start()
    with pytest.raises(BadRequest, match="BLIP"):
        app.submit(wanted, ANN)
    put_model(tmp_path / "models" / "BLIP")
    with pytest.raises(NotFound):
        app.submit(wanted, ANN)
