"""Files that hold tensors: safe reading, and one sentence for each way a file can be bad."""

from __future__ import annotations

import os
import pickle
import sys
import types
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from modules.engine.loading.readers import Pickled, Safetensors, open_tensors
from modules.schema.errors import ModelFileError

WEIGHT = torch.arange(6.0).reshape(2, 3)


def sentence(path: Path) -> str:
    with pytest.raises(ModelFileError) as caught:
        open_tensors(path)
    text = str(caught.value)
    assert path.name in text
    assert "\n" not in text
    return text


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_safetensors(tmp_path: Path, dtype: torch.dtype) -> None:
    save_file({"a.b": WEIGHT.to(dtype)}, tmp_path / "x.safetensors", metadata={"k": "v"})
    file = open_tensors(tmp_path / "x.safetensors")
    assert isinstance(file, Safetensors)
    assert file.shapes == {"a.b": (2, 3)}
    assert file.metadata == {"k": "v"}
    assert torch.equal(file.get("a.b"), WEIGHT.to(dtype))


def test_safetensors_with_a_wrong_ending_are_known_by_content(tmp_path: Path) -> None:
    save_file({"a": WEIGHT}, tmp_path / "x.ckpt")
    assert isinstance(open_tensors(tmp_path / "x.ckpt"), Safetensors)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("wrapped", [True, False])
def test_pickles(tmp_path: Path, zipped: bool, wrapped: bool) -> None:
    state = OrderedDict({"a": WEIGHT, "b": WEIGHT.half(), "step": 7})
    content: Any = {"state_dict": state, "global_step": 3} if wrapped else state
    torch.save(content, tmp_path / "x.ckpt", _use_new_zipfile_serialization=zipped)
    file = open_tensors(tmp_path / "x.ckpt")
    assert isinstance(file, Pickled)
    assert file.shapes == {"a": (2, 3), "b": (2, 3)}
    assert torch.equal(file.get("a"), WEIGHT)


class ModelCheckpoint:
    """Stands in for the callback of Lightning that official files carry, with a state of its own."""

    def __init__(self) -> None:
        self.best_model_score = torch.tensor(0.5)
        self.monitor = "val/loss"


@pytest.fixture
def lightning(monkeypatch: pytest.MonkeyPatch) -> type:
    """`ModelCheckpoint` under the module name by which Lightning's files name it."""
    name = "pytorch_lightning.callbacks.model_checkpoint"
    module = types.ModuleType(name)
    module.ModelCheckpoint = ModelCheckpoint  # type: ignore[attr-defined]
    for part in ("pytorch_lightning", "pytorch_lightning.callbacks"):
        monkeypatch.setitem(sys.modules, part, types.ModuleType(part))
    monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(ModelCheckpoint, "__module__", name)
    return ModelCheckpoint


@pytest.mark.parametrize("zipped", [True, False])
def test_leftovers_of_training_frameworks_become_nothing(tmp_path: Path, lightning: type, zipped: bool) -> None:
    content = {
        "state_dict": {"a": WEIGHT},
        "callbacks": {lightning: {"monitor": "val/loss", "best": np.float64(0.5)}},
        "objects": [lightning()],
        "optimizer_states": [{"param_groups": [{"lr": 1e-4}], "state": defaultdict(dict, {0: {"step": 1}})}],
        "seen": {1, 2},
    }
    torch.save(content, tmp_path / "x.ckpt", _use_new_zipfile_serialization=zipped)
    assert torch.equal(open_tensors(tmp_path / "x.ckpt").get("a"), WEIGHT)


class Bomb:
    """Unpickled for real, it would make the folder `mark`."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._mark),)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_hostile_pickle_is_refused_by_name_and_not_run(tmp_path: Path, zipped: bool) -> None:
    content = {"state_dict": {"a": WEIGHT}, "x": Bomb(tmp_path / "mark")}
    torch.save(content, tmp_path / "x.ckpt", _use_new_zipfile_serialization=zipped)
    text = sentence(tmp_path / "x.ckpt")
    assert f"{os.name}.mkdir" in text
    assert "safetensors" in text
    assert not (tmp_path / "mark").exists()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_bare_hostile_pickle_is_refused_and_not_run(tmp_path: Path, protocol: int) -> None:
    (tmp_path / "x.pt").write_bytes(pickle.dumps({"a": Bomb(tmp_path / "mark")}, protocol))
    sentence(tmp_path / "x.pt")
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("allowed", ["eval", "getattr", "__import__"])
def test_builtins_are_no_way_in(tmp_path: Path, allowed: str) -> None:
    attack = b"\x80\x02cbuiltins\n" + allowed.encode() + b"\nX\x01\x00\x00\x001\x85R."
    (tmp_path / "x.pt").write_bytes(attack)
    sentence(tmp_path / "x.pt")


def test_the_placeholders_do_not_stay_allowed(tmp_path: Path, lightning: type) -> None:
    torch.save({"state_dict": {"a": WEIGHT}, "c": lightning()}, tmp_path / "x.ckpt")
    before = set(torch.serialization.get_safe_globals())
    open_tensors(tmp_path / "x.ckpt")
    assert set(torch.serialization.get_safe_globals()) == before


@pytest.mark.parametrize("keep", [0.9, 0.5, 0.01])
@pytest.mark.parametrize("ending", ["safetensors", "ckpt", "legacy.ckpt"])
def test_truncated_files(tmp_path: Path, keep: float, ending: str) -> None:
    path = tmp_path / f"x.{ending}"
    state = {f"layer.{k}.weight": torch.randn(40, 40) for k in range(10)}
    if ending == "safetensors":
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=ending == "ckpt")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    sentence(path)


@pytest.mark.parametrize("ending", ["safetensors", "ckpt"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<!DOCTYPE html><html>404</html>",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0",
        b"\x10\x00\x00\x00\x00\x00\x00\x00{not json at all",
        b"\xff\xff\xff\xff\xff\xff\xff\x7f{}",
        b"\x80\x02.",
        b"\x80\x02]q\x00.",
        b"PK\x03\x04 and nothing more",
    ],
)
def test_files_of_other_kinds(tmp_path: Path, content: bytes, ending: str) -> None:
    path = tmp_path / f"x.{ending}"
    path.write_bytes(content)
    sentence(path)


def test_a_list_is_no_model(tmp_path: Path) -> None:
    torch.save([WEIGHT], tmp_path / "x.ckpt")
    assert "no table of tensors" in sentence(tmp_path / "x.ckpt")


def test_a_missing_file(tmp_path: Path) -> None:
    sentence(tmp_path / "gone.safetensors")
