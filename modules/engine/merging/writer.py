"""A safetensors file written as its tensors come.

Format: eight bytes little-endian length, a JSON header (names, number formats, shapes, places), then the tensors'
bytes one after another. All of the header is known before the first tensor is.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import shutil
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from modules.engine.merging.sources import DTYPES
from modules.schema.errors import BadRequest, UserError

_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_MARGIN = 64 << 20


@dataclass(frozen=True)
class Slot:
    """A tensor that will be written."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def size(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def in_order(slots: list[Slot]) -> list[Slot]:
    """Wide numbers first, so that every tensor begins at a multiple of its own size."""
    return sorted(slots, key=lambda slot: (-slot.dtype.itemsize, slot.name))


@contextmanager
def writing(path: Path, slots: list[Slot], metadata: Mapping[str, str], *, overwrite: bool) -> Generator[Writer]:
    """A writer for `slots` in this order. The file appears at `path` when the block ends without an error.

    Raises BadRequest where the file is there (unless `overwrite`), UserError where there is no room for it.
    """
    header = _header(slots, metadata)
    needed = sum(slot.size for slot in slots) + len(header)
    _check_room(path, needed)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with draft.open("xb") as file:
            file.write(header)
            writer = Writer(file, slots)
            yield writer
            writer.check_end()
            file.flush()
            os.fsync(file.fileno())
        if path.exists() and not overwrite:
            raise BadRequest(
                f"There is a {path.name} already: choose another name, or allow overwriting.", "overwrite"
            )
        os.replace(draft, path)
    except OSError as error:
        raise UserError(f"{path.name} could not be written ({error.strerror}).") from error
    finally:
        draft.unlink(missing_ok=True)


class Writer:
    """Takes the tensors in the order that the header tells."""

    def __init__(self, file: BinaryIO, slots: list[Slot]) -> None:
        self._file = file
        self._left = iter(slots)

    def write(self, tensor: Tensor) -> None:
        """The next slot's tensor, in its shape and number format."""
        slot = next(self._left)
        if tuple(tensor.shape) != slot.shape or tensor.dtype != slot.dtype:
            raise ValueError(f"{slot.name} is {tensor.dtype} {tuple(tensor.shape)}, not {slot.dtype} {slot.shape}")
        self._file.write(memoryview(tensor.contiguous().reshape(-1).view(torch.uint8).numpy()))

    def check_end(self) -> None:
        """Raises ValueError when a slot was not written."""
        if (slot := next(self._left, None)) is not None:
            raise ValueError(f"{slot.name} was not written")


def _header(slots: list[Slot], metadata: Mapping[str, str]) -> bytes:
    table: dict[str, object] = {"__metadata__": dict(metadata)}
    place = 0
    for slot in slots:
        table[slot.name] = {
            "dtype": _NAMES[slot.dtype],
            "shape": list(slot.shape),
            "data_offsets": [place, place + slot.size],
        }
        place += slot.size
    text = json.dumps(table, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _check_room(path: Path, needed: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if free < needed + _MARGIN:
        room = f"the disk of {path.parent} has {free / 1e9:.1f} GB free"
        raise UserError(f"The result needs {needed / 1e9:.1f} GB and {room}: make room, then merge again.")
