"""Asks the engine's side about an embedding file, in a process of its own that ends with the answer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from modules.schema.errors import ModelFileError
from modules.schema.json_object import parse_object

_SECONDS = 120
# The folder that holds `modules`.
_PROGRAM = Path(__file__).resolve().parents[2]


def inspect_embedding(path: Path, checkpoint: Path | None) -> dict[str, Any]:
    """`vectors`: norm and nearest words of each; further facts beside them. Raises `ModelFileError`.

    `checkpoint` lends its vocabulary.
    """
    return _ask(path, "inspect", str(path), *(("--checkpoint", str(checkpoint)) if checkpoint else ()))


def convert_embedding(path: Path) -> str:
    """Write the embedding as .safetensors beside it; returns the new file's name. Raises `ModelFileError`."""
    return str(_ask(path, "convert", str(path))["name"])


def word_rows(checkpoint: Path, tokens: list[int]) -> list[list[float]]:
    """The vectors of `tokens` in a checkpoint's vocabulary. Raises `ModelFileError`."""
    return list(_ask(checkpoint, "rows", str(checkpoint), "--tokens", ",".join(map(str, tokens)))["rows"])


def export_embedding(path: Path, target: Path) -> None:
    """Write the embedding in the format that the ending of `target` says. Raises `ModelFileError`."""
    _ask(path, "export", str(path), "--target", str(target))


def _ask(path: Path, *words: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "modules.engine.embedding_tool", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command, cwd=_PROGRAM, env=environment, capture_output=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise ModelFileError(f"{path.name} took longer than {_SECONDS} seconds to read.") from None
    told = parse_object(done.stdout)
    if told is None:
        raise ModelFileError(f"{path.name} could not be looked into; the log of this program has the reason.")
    if "error" in told:
        raise ModelFileError(str(told["error"]))
    return told
