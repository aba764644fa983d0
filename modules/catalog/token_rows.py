"""Vectors of a checkpoint's vocabulary, read row by row from its file: no torch, and no more bytes than asked for.

Only for safetensors files (and diffusers folders of them) with plain numbers; see `find_rows`.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from modules.schema.errors import ModelFileError

_VOCABULARY = 49408
_ENDING = "token_embedding.weight"
_PARTS = ("text_encoder", "text_encoder_2")
# bfloat16 is the upper half of a float32.
_TYPES = {"F32": "<f4", "F16": "<f2", "F64": "<f8", "BF16": "<u2"}
_MAX_HEADER = 100_000_000

Rows = NDArray[np.float32]


@dataclass(frozen=True)
class Table:
    """Where a text encoder's vectors are: `width` numbers of `dtype` each, from byte `start` of the file on."""

    path: Path
    name: str
    width: int
    dtype: str
    start: int

    def rows(self, numbers: Sequence[int]) -> Rows:
        """[len(numbers), width]; raises ModelFileError."""
        kind = np.dtype(_TYPES[self.dtype])
        size = self.width * kind.itemsize
        read: list[NDArray[np.float32]] = []
        with self.path.open("rb") as file:
            for number in numbers:
                file.seek(self.start + number * size)
                data = file.read(size)
                if len(data) != size:
                    raise ModelFileError(f"{self.path.name} is not complete: download it again.")
                read.append(_float32(np.frombuffer(data, kind)))
        return np.stack(read) if read else np.zeros((0, self.width), np.float32)


def find_rows(checkpoint: Path) -> list[Table]:
    """The vocabularies of a checkpoint's CLIP text encoders, narrower first; [] where they cannot be read this way.

    Raises OSError.
    """
    if checkpoint.is_dir():
        files = [file for part in _PARTS for file in sorted((checkpoint / part).glob("*.safetensors"))]
    else:
        files = [checkpoint] if checkpoint.suffix.lower() == ".safetensors" else []
    tables = [table for file in files for table in _tables(file)]
    return sorted({table.width: table for table in tables}.values(), key=lambda table: table.width)


def _tables(path: Path) -> list[Table]:
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))
        if not 2 <= length <= _MAX_HEADER:
            return []
        try:
            entries = json.loads(file.read(length))
            return [
                Table(path, name, int(entry["shape"][1]), str(entry["dtype"]), 8 + length + entry["data_offsets"][0])
                for name, entry in entries.items()
                if name.endswith(_ENDING) and _fits(entry)
            ]
        except (ValueError, TypeError, KeyError, AttributeError, IndexError):
            return []


def _fits(entry: dict[str, object]) -> bool:
    shape = entry["shape"]
    return isinstance(shape, list) and len(shape) == 2 and shape[0] == _VOCABULARY and entry["dtype"] in _TYPES


def _float32(values: NDArray[np.generic]) -> Rows:
    if values.dtype == np.uint16:
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32)
