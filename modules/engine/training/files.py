"""Files that are whole or not there: written beside their place, brought to the disk, then renamed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make the file at the path it is given; raises OSError."""
    part = path.with_name(path.name + ".part")
    try:
        write(part)
        # Without it a power cut may leave an empty file under the right name.
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """A safetensors file; raises OSError."""
    # Python writes the bytes: safetensors' own errors of a full disk are of another kind.
    data = save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, dict(metadata))
    write_whole(path, lambda part: part.write_bytes(data))


def save_json(path: Path, value: Any) -> None:
    """Raises OSError."""
    data = json.dumps(value, ensure_ascii=False, indent=1).encode()
    write_whole(path, lambda part: part.write_bytes(data))
