"""VAE files: listing, names, and the one that goes with a checkpoint by itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modules.catalog.checkpoints import CheckpointCatalog, CheckpointEntry
from modules.catalog.vae import VaeCatalog
from modules.schema.errors import UnknownName
from tests.catalog.model_files import checkpoint_zip, safetensors

VAE = {"decoder.conv_in.weight": (1, 4, 3, 3)}


@pytest.fixture
def checkpoints(tmp_path: Path) -> Path:
    return tmp_path / "Stable-diffusion"


def _checkpoint(folder: Path, name: str) -> CheckpointEntry:
    safetensors(folder / f"{name}.safetensors")
    catalog = CheckpointCatalog((folder,), folder.parent / "cache")
    catalog.refresh()
    return catalog.find(f"{name}.safetensors")


def _catalog(tmp_path: Path) -> VaeCatalog:
    catalog = VaeCatalog((tmp_path / "VAE",), tmp_path / "vae-cache", (tmp_path / "Stable-diffusion",))
    catalog.refresh()
    return catalog


def test_listing_and_names(tmp_path: Path, checkpoints: Path) -> None:
    safetensors(tmp_path / "VAE" / "sub" / "mse.safetensors", VAE)
    checkpoint_zip(checkpoints / "a.vae.pt", VAE)
    safetensors(checkpoints / "a.safetensors")
    catalog = _catalog(tmp_path)
    assert [(e.name, e.problem) for e in catalog.entries] == [("sub/mse.safetensors", None), ("a.vae.pt", None)]
    entry = catalog.find("mse")
    digits = catalog.short_hash(entry)
    for name in ("sub/mse.safetensors", "mse.safetensors", "MSE", digits):
        assert catalog.find(name).path == entry.path
    with pytest.raises(UnknownName, match="no VAE named 'mes'. Did you mean 'mse'"):
        catalog.find("mes")


def test_a_wrong_kind_says_so(tmp_path: Path) -> None:
    safetensors(tmp_path / "VAE" / "a.safetensors")
    (tmp_path / "VAE" / "b.safetensors").write_bytes(b"")
    first, second = _catalog(tmp_path).entries
    assert "is a checkpoint: move it to models/Stable-diffusion" in str(first.problem)
    assert "is empty" in str(second.problem)


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ([], None),
        (["VAE/other.pt"], None),
        (["Stable-diffusion/sd15.vae.pt"], "sd15.vae.pt"),
        (["VAE/sd15.vae.safetensors"], "sd15.vae.safetensors"),
        (["VAE/sd15-mse.safetensors", "VAE/sd15.vae.pt"], "sd15.vae.pt"),
        (["VAE/SD15_mse.safetensors"], "SD15_mse.safetensors"),
        (["VAE/sd15xl.vae.pt"], None),
        (["VAE/mse-sd15.pt"], None),
    ],
)
def test_side_file(tmp_path: Path, checkpoints: Path, files: list[str], found: str | None) -> None:
    for name in files:
        (safetensors if name.endswith(".safetensors") else checkpoint_zip)(tmp_path / name, VAE)
    entry = _catalog(tmp_path).side_file(_checkpoint(checkpoints, "sd15"))
    assert (entry.path.name if entry else None) == found


def test_side_file_next_to_the_checkpoint_goes_first(tmp_path: Path, checkpoints: Path) -> None:
    checkpoint_zip(tmp_path / "VAE" / "sd15.vae.pt", VAE)
    near = checkpoint_zip(checkpoints / "sd15.vae.pt", VAE)
    entry = _catalog(tmp_path).side_file(_checkpoint(checkpoints, "sd15"))
    assert entry is not None and entry.path == near


def test_damaged_side_file_is_not_taken(tmp_path: Path, checkpoints: Path) -> None:
    checkpoints.mkdir()
    (checkpoints / "sd15.vae.pt").write_bytes(b"")
    assert _catalog(tmp_path).side_file(_checkpoint(checkpoints, "sd15")) is None


def test_what_the_user_noted_goes_first(tmp_path: Path, checkpoints: Path) -> None:
    checkpoint_zip(tmp_path / "VAE" / "sd15.vae.pt", VAE)
    mse = safetensors(tmp_path / "VAE" / "mse.safetensors", VAE)
    checkpoint, notes = _checkpoint(checkpoints, "sd15"), checkpoints / "sd15.json"
    catalog = _catalog(tmp_path)
    notes.write_text(json.dumps({"vae": "mse.safetensors"}))
    entry = catalog.side_file(checkpoint)
    assert entry is not None and entry.path == mse
    notes.write_text(json.dumps({"vae": "None"}))
    assert catalog.side_file(checkpoint) is None
    notes.write_text(json.dumps({"vae": "gone.pt"}))
    with pytest.raises(UnknownName):
        catalog.side_file(checkpoint)
    notes.write_text("{damaged")
    entry = catalog.side_file(checkpoint)
    assert entry is not None and entry.stem == "sd15.vae"
