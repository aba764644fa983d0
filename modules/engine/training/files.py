"""The files of a run: whole or not there."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from modules.catalog.writing import replacing


def write_with(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make the file at the path it is given; raises OSError."""
    with replacing(path, path.with_name(path.name + ".part")) as draft:
        write(draft)


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """A safetensors file; raises OSError."""
    # Python writes the bytes: safetensors' own errors of a full disk are of another kind.
    data = save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, dict(metadata))
    write_with(path, lambda part: part.write_bytes(data))


def save_json(path: Path, value: Any) -> None:
    """Raises OSError."""
    data = json.dumps(value, ensure_ascii=False, indent=1).encode()
    write_with(path, lambda part: part.write_bytes(data))
