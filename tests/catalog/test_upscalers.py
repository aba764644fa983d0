"""Upscaler files in A1111's folders, and the names they answer to."""

from __future__ import annotations

from pathlib import Path

import pytest

from modules.catalog.upscalers import UpscalerCatalog
from modules.schema.errors import UnknownName


def _catalog(models: Path, *names: str) -> UpscalerCatalog:
    for name in names:
        (models / name).parent.mkdir(parents=True, exist_ok=True)
        (models / name).write_bytes(b"x")
    catalog = UpscalerCatalog(models)
    catalog.refresh()
    return catalog


def test_an_empty_folder_has_the_built_in_ones(tmp_path: Path) -> None:
    assert [entry.name for entry in _catalog(tmp_path).entries] == ["None", "Lanczos", "Nearest"]
    assert _catalog(tmp_path).face_restorers == {}


def test_files_of_all_folders(tmp_path: Path) -> None:
    catalog = _catalog(
        tmp_path, "ESRGAN/4x-UltraSharp.pth", "RealESRGAN/RealESRGAN_x4plus_anime_6B.pth", "SwinIR/sub/a.safetensors",
        "ESRGAN/notes.txt", "DAT/4x-UltraSharp.pth", "HAT/2x_small.pt",
    )  # fmt: skip
    found = {entry.name: (entry.kind, entry.scale) for entry in catalog.entries if entry.path}
    assert found == {
        "4x-UltraSharp": ("ESRGAN", 4),
        "RealESRGAN_x4plus_anime_6B": ("RealESRGAN", 4),
        "a": ("SwinIR", 4),
        "4x-UltraSharp.pth": ("DAT", 4),
        "2x_small": ("HAT", 2),
    }


def test_names_that_pictures_and_clients_use(tmp_path: Path) -> None:
    catalog = _catalog(tmp_path, "RealESRGAN/RealESRGAN_x4plus_anime_6B.pth", "ESRGAN/4x-UltraSharp.pth")
    assert catalog.find("R-ESRGAN 4x+ Anime6B").name == "RealESRGAN_x4plus_anime_6B"
    assert catalog.find("lanczos").name == "Lanczos"
    assert catalog.find("4x-UltraSharp.pth").kind == "ESRGAN"
    with pytest.raises(UnknownName, match="'4x-UltraSharp'"):
        catalog.find("4x-UltraShrap")


def test_face_restorers_where_their_files_are(tmp_path: Path) -> None:
    catalog = _catalog(tmp_path, "GFPGAN/GFPGANv1.3.pth", "GFPGAN/GFPGANv1.4.pth", "GFPGAN/parsing_parsenet.pth")
    assert catalog.face_restorer("GFPGAN").name == "GFPGANv1.4.pth"
    with pytest.raises(UnknownName, match="models/Codeformer"):
        catalog.face_restorer("CodeFormer")
