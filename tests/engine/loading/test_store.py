"""The store keeps the last models, and notices files that change."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from modules.engine.loading.placement import resolve_precision
from modules.engine.loading.store import Store
from modules.schema.engine import ModelRef
from modules.schema.errors import BadRequest, ModelFileError
from tests.tiny import save_diffusers, write_tiny_sd1

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("store")
    first = write_tiny_sd1(folder / "0.safetensors", dtype=torch.float16)
    return [
        str(first),
        *(os.link(first, folder / f"{k}.safetensors") or str(folder / f"{k}.safetensors") for k in (1, 2)),
    ]


def ref(path: str, **more: object) -> ModelRef:
    return ModelRef(checkpoint=path, **more)


def test_the_last_ones_are_kept(files: list[str]) -> None:
    store = Store(2, CPU)
    a, b = store.get(ref(files[0])), store.get(ref(files[1]))
    assert store.get(ref(files[0])) is a
    store.get(ref(files[2]))
    assert len(store) == 2
    assert store.get(ref(files[0])) is a, "used last but one, so it stays"
    assert store.get(ref(files[1])) is not b


def test_memory_is_freed_before_a_new_model_is_loaded(files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from modules.engine.loading import store as module

    store, kept = Store(1, CPU), []
    real = module.load_model
    monkeypatch.setattr(module, "load_model", lambda *args: kept.append(len(store)) or real(*args))
    store.get(ref(files[0]))
    store.get(ref(files[1]))
    assert kept == [0, 0]


def test_precision_vae_and_averages_make_another_model(files: list[str]) -> None:
    store = Store(5, CPU)
    plain = store.get(ref(files[0]))
    assert plain.dtype == resolve_precision("auto", CPU)
    formats = {name: store.get(ref(files[0]), name) for name in ("fp32", "bf16")}
    assert formats["fp32"].dtype == torch.float32
    assert formats["bf16"].dtype == torch.bfloat16
    assert formats["bf16"].vae_dtype == torch.float32
    assert sum(model is plain for model in formats.values()) == 1, "auto is one of them, not a third"
    assert store.get(ref(files[0], vae=files[1])) is not plain
    with pytest.raises(ModelFileError, match="EMA"):
        store.get(ref(files[0], use_ema=True))
    assert store.get(ref(files[0])) is plain, "a failure leaves the others usable"
    with pytest.raises(BadRequest):
        store.get(ref(files[0]), "fp7")


def test_a_changed_file_is_loaded_again(tmp_path: Path) -> None:
    path = write_tiny_sd1(tmp_path / "a.safetensors", dtype=torch.float16)
    store = Store(2, CPU)
    old = store.get(ref(str(path)))
    write_tiny_sd1(path, dtype=torch.float16, seed=1)
    new = store.get(ref(str(path)))
    assert new is not old
    assert len(store) == 1
    assert not torch.equal(
        new.text_encoder.final_layer_norm.weight, old.text_encoder.embeddings.token_embedding.weight[0]
    )
    assert store.get(ref(str(path))) is new


def test_a_changed_folder_is_loaded_again(tmp_path: Path) -> None:
    folder = save_diffusers(tmp_path / "m")
    store = Store(2, CPU)
    old = store.get(ref(str(folder)))
    assert store.get(ref(str(folder))) is old
    weights = next((folder / "unet").glob("*.safetensors"))
    os.utime(weights, ns=(1, 1))
    assert store.get(ref(str(folder))) is not old


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"gone\.safetensors is no longer there"):
        Store(1, CPU).get(ref(str(tmp_path / "gone.safetensors")))
