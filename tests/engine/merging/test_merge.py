"""Merging checkpoints: formulas, what is kept and dropped, metadata, files, and how little memory it takes."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from modules.engine.merging.merge import run_merge
from modules.schema.engine import EngineJob, ModelRef
from modules.schema.errors import BadRequest, ModelFileError
from modules.schema.events import Event, Finished, Notice, Progress
from modules.schema.merge import MergeRequest
from tests.sources import ROOT

CONV = "model.diffusion_model.input_blocks.0.0.weight"
UNET = "model.diffusion_model.out.2.weight"
TEXT = "cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.weight"
POSITIONS = "cond_stage_model.transformer.text_model.embeddings.position_ids"
VAE = "first_stage_model.decoder.conv_out.weight"
EMA = "model_ema.diffusion_modelout2weight"


def _weights(seed: int, channels: int = 4, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(seed)
    shapes = {
        CONV: (8, channels, 3, 3),
        UNET: (4, 8, 3, 3),
        TEXT: (6, 3),
        VAE: (3, 8),
        EMA: (4, 8, 3, 3),
        "betas": (5,),
    }
    found = {name: torch.randn(shape, generator=random).to(dtype) for name, shape in shapes.items()}
    return {**found, POSITIONS: torch.arange(7)[None]}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    for seed, name in enumerate("abc"):
        save_file(_weights(seed), tmp_path / f"{name}.safetensors", {"from": name, "format": "pt"})
    paths = {f"checkpoint_{name}": str(tmp_path / f"{name}.safetensors") for name in "abc"}
    return {**paths, "output": str(tmp_path / "out.safetensors")}


def _run(files: dict[str, str], told: str | None = None, **options: Any) -> list[Event]:
    request = MergeRequest(**{"checkpoint_a": "a", **options})
    needed = {"Weighted sum": "ab", "Add difference": "abc", "No interpolation": "a"}[request.method]
    given = {k: v for k, v in files.items() if not k.startswith("checkpoint_") or k[-1] in needed}
    work = run_merge(EngineJob(id="x", request=request, model=ModelRef(checkpoint=""), files=given))
    events: list[Event] = []
    command = None
    try:
        while True:
            events.append(work.send(command))
            command = told
    except StopIteration:
        return events


def _result(files: dict[str, str], **options: Any) -> dict[str, Tensor]:
    _run(files, **options)
    return load_file(files["output"])


def test_weighted_sum(files: dict[str, str]) -> None:
    a, b, result = _weights(0), _weights(1), _result(files, multiplier=0.25)
    for name in (CONV, UNET, TEXT, VAE):
        torch.testing.assert_close(result[name], a[name] * 0.75 + b[name] * 0.25)
    assert torch.equal(result["betas"], a["betas"])
    assert torch.equal(result[POSITIONS], a[POSITIONS])
    assert EMA not in result


def test_add_difference(files: dict[str, str]) -> None:
    a, b, c = _weights(0), _weights(1), _weights(2)
    result = _result(files, method="Add difference", multiplier=0.5)
    torch.testing.assert_close(result[UNET], a[UNET] + 0.5 * (b[UNET] - c[UNET]))


def test_what_c_does_not_have_makes_no_difference(files: dict[str, str], tmp_path: Path) -> None:
    save_file({name: t for name, t in _weights(2).items() if name != UNET}, tmp_path / "c.safetensors")
    result = _result(files, method="Add difference", multiplier=0.5)
    assert torch.equal(result[UNET], _weights(0)[UNET])


def test_what_only_one_has(files: dict[str, str], tmp_path: Path) -> None:
    save_file({**_weights(1), "model.only_b": torch.ones(1)}, tmp_path / "b.safetensors")
    save_file({**_weights(0), "model.only_a": torch.ones(1)}, tmp_path / "a.safetensors")
    result = _result(files)
    assert "model.only_a" in result
    assert "model.only_b" not in result


@pytest.mark.parametrize(("precision", "dtype"), [("fp16", torch.float16), ("bf16", torch.bfloat16),
                                                  ("fp32", torch.float32), ("as it is", torch.float16)])  # fmt: skip
def test_precision(files: dict[str, str], tmp_path: Path, precision: str, dtype: torch.dtype) -> None:
    save_file(_weights(0, dtype=torch.float16), tmp_path / "a.safetensors")
    result = _result(files, precision=precision, method="No interpolation")
    assert {tensor.dtype for name, tensor in result.items() if name != POSITIONS} == {dtype}
    assert result[POSITIONS].dtype == torch.int64


def test_ema_and_discarding(files: dict[str, str]) -> None:
    a, b = _weights(0), _weights(1)
    result = _result(files, keep_ema=True, multiplier=0.5, discard="^cond_stage|betas")
    torch.testing.assert_close(result[EMA], (a[EMA] + b[EMA]) / 2)
    assert set(result) == {CONV, UNET, VAE, EMA}


@pytest.mark.parametrize("prefix", ["", "first_stage_model."])
def test_a_vae_is_baked_in(files: dict[str, str], tmp_path: Path, prefix: str) -> None:
    baked = torch.full((3, 8), 2.0)
    save_file({f"{prefix}decoder.conv_out.weight": baked}, tmp_path / "vae.safetensors")
    assert torch.equal(_result({**files, "vae": str(tmp_path / "vae.safetensors")})[VAE], baked)


def test_an_inpainting_model_keeps_its_further_channels(files: dict[str, str], tmp_path: Path) -> None:
    wide = _weights(0, channels=9)
    save_file(wide, tmp_path / "a.safetensors")
    result = _result(files, multiplier=0.5)[CONV]
    torch.testing.assert_close(result[:, :4], (wide[CONV][:, :4] + _weights(1)[CONV]) / 2)
    assert torch.equal(result[:, 4:], wide[CONV][:, 4:])
    (tmp_path / "out.safetensors").unlink()
    swapped = {**files, "checkpoint_a": files["checkpoint_b"], "checkpoint_b": files["checkpoint_a"]}
    with pytest.raises(ModelFileError, match="inpainting model must be A"):
        _run(swapped)


def test_pickles_and_old_names(files: dict[str, str], tmp_path: Path) -> None:
    old = {name.replace("transformer.text_model.", "transformer."): tensor for name, tensor in _weights(1).items()}
    torch.save({"state_dict": old, "global_step": 3}, tmp_path / "b.ckpt")
    result = _result({**files, "checkpoint_b": str(tmp_path / "b.ckpt")}, multiplier=1)
    assert torch.equal(result[TEXT], _weights(1)[TEXT])


def test_metadata_names_the_parents(files: dict[str, str], tmp_path: Path) -> None:
    _run(files, multiplier=0.25)
    with safe_open(files["output"], "pt") as file:
        metadata = file.metadata()
    hashes = [hashlib.sha256((tmp_path / f"{name}.safetensors").read_bytes()).hexdigest() for name in "ab"]
    recipe, models = json.loads(metadata["sd_merge_recipe"]), json.loads(metadata["sd_merge_models"])
    assert (recipe["primary_model_hash"], recipe["secondary_model_hash"]) == tuple(hashes)
    assert (recipe["interp_method"], recipe["multiplier"], recipe["tertiary_model_hash"]) == (
        "Weighted sum",
        0.25,
        None,
    )
    assert {sha: facts["name"] for sha, facts in models.items()} == dict(
        zip(hashes, ["a.safetensors", "b.safetensors"], strict=True)
    )
    assert (metadata["from"], metadata["format"]) == ("b", "pt")
    (tmp_path / "out.safetensors").unlink()
    _run(files, copy_metadata=False)
    with safe_open(files["output"], "pt") as file:
        assert "from" not in file.metadata()


def test_a_known_hash_is_not_computed_again(files: dict[str, str]) -> None:
    known = {"sha256_checkpoint_a": "1" * 64, "sha256_checkpoint_b": "2" * 64}
    stages = {event.stage for event in _run({**files, **known}) if isinstance(event, Progress)}
    assert stages == {"merging"}


def test_nothing_is_overwritten_without_being_told_to(files: dict[str, str]) -> None:
    output = Path(files["output"])
    output.write_bytes(b"mine")
    with pytest.raises(BadRequest, match="already"):
        _run(files)
    assert output.read_bytes() == b"mine"
    assert _result(files, overwrite=True)
    assert not list(output.parent.glob(".*.tmp"))


def test_an_interrupt_leaves_nothing(files: dict[str, str]) -> None:
    events = _run(files, told="interrupt")
    assert isinstance(events[-1], Finished)
    assert events[-1].reason == "interrupted"
    assert not [path for path in Path(files["output"]).parent.iterdir() if "out" in path.name]


def test_it_tells_how_far_it_is(files: dict[str, str]) -> None:
    events = _run(files)
    fractions = [event.fraction for event in events if isinstance(event, Progress) and event.stage == "merging"]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert [event.text for event in events if isinstance(event, Notice)] == [
        "The merged model was saved as out.safetensors."
    ]


def test_strangers_are_refused(files: dict[str, str], tmp_path: Path) -> None:
    save_file({"some.lora.weight": torch.ones(1)}, tmp_path / "b.safetensors")
    with pytest.raises(ModelFileError, match="no weights in common"):
        _run(files)
    (tmp_path / "b.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{junk")
    with pytest.raises(ModelFileError, match=r"b\.safetensors is cut off"):
        _run(files)


MEASURE = """
import resource, sys
from modules.engine.merging.merge import run_merge
from modules.schema.engine import EngineJob, ModelRef
from modules.schema.merge import MergeRequest
files = dict(zip(("checkpoint_a", "checkpoint_b", "checkpoint_c", "output"), sys.argv[1:]))
request = MergeRequest(method="Add difference", multiplier=0.5)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for event in run_merge(EngineJob(id="x", request=request, model=ModelRef(checkpoint=""), files=files)):
    pass
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the resource module is Unix's")
def test_memory_does_not_grow_with_the_files(tmp_path: Path) -> None:
    """Three files of 120 MB, tensors of 4 MB: far less than one of the files is in memory at any time."""
    weights = {f"model.diffusion_model.{n}.weight": torch.zeros(1 << 20) for n in range(30)}
    for name in "abc":
        save_file(weights, tmp_path / f"{name}.safetensors")
    names = [str(tmp_path / f"{name}.safetensors") for name in ("a", "b", "c", "out")]
    result = subprocess.run(
        [sys.executable, "-c", MEASURE, *names], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert int(result.stdout) < 90
    assert (tmp_path / "out.safetensors").stat().st_size > 120_000_000
