"""A1111's modules.paths."""

from __future__ import annotations

from pathlib import Path

from modules.extensions.a1111.state import loading

__all__ = ["data_path", "extensions_dir", "models_path", "script_path"]

script_path = str(Path(__file__).resolve().parents[4])
data_path = str(loading().folder.parent.parent)
models_path = str(Path(data_path) / "models")
extensions_dir = str(Path(data_path) / "extensions")
