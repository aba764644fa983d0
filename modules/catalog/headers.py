"""The headers of model files: names, shapes and metadata of their tensors, without reading (or running) the rest.

safetensors: an 8-byte little-endian length, that many bytes of JSON (name -> dtype, shape, data_offsets, and
`__metadata__`), then the data. torch's pickles: a zip with `NAME/data.pkl`, or (before torch 1.6) five pickles in a
row. Pickles are never loaded: `pickle_scan` only reads their opcodes.
"""

from __future__ import annotations

import json
import math
import os
import struct
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from modules.catalog.pickle_scan import Malformed, Scanned, scan_legacy, scan_pickle
from modules.schema.errors import ModelFileError

SAFETENSORS_ENDINGS = (".safetensors",)
PICKLE_ENDINGS = (".ckpt", ".pt", ".pth", ".bin")
MODEL_ENDINGS = SAFETENSORS_ENDINGS + PICKLE_ENDINGS

_MAX_HEADER = 100_000_000
_MAX_PICKLE = 64 * 2**20


@dataclass(frozen=True)
class Header:
    """`shapes`: by tensor name; () where a pickle does not tell. `metadata`: the safetensors string map, or what a
    pickle notes of itself. `calls`: what an ordinary unpickler would import, as "module.name"."""

    format: str
    shapes: dict[str, tuple[int, ...]]
    metadata: dict[str, str] = field(default_factory=dict[str, str])
    calls: frozenset[str] = frozenset()


def read_header(path: Path) -> Header:
    """The header of a model file, whatever its format; raises ModelFileError with the reason (OSError as it is)."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(512)
        _refuse_other_things(path.name, start, size)
        file.seek(0)
        named_safetensors = path.name.lower().endswith(SAFETENSORS_ENDINGS)
        if start.startswith(b"PK") or start[:1] == b"\x80" and start[1:2] in b"\x02\x03\x04\x05":
            if named_safetensors:
                raise ModelFileError(f"{path.name} is a pickled checkpoint in truth: rename it to end in .ckpt.")
            return _read_zip(path, file) if start.startswith(b"PK") else _read_legacy(path, file)
        if not named_safetensors and start[8:9] == b"{":
            raise ModelFileError(f"{path.name} is a safetensors file in truth: rename it to end in .safetensors.")
        if not named_safetensors:
            raise ModelFileError(f"{path.name} is not a model file, or is damaged: download it again.")
        return read_safetensors(path.name, file, size)


def _refuse_other_things(name: str, start: bytes, size: int) -> None:
    """What a failed download leaves in place of a model."""
    if not size:
        raise ModelFileError(f"{name} is empty (0 bytes): download it again.")
    text = start.lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<script")):
        raise ModelFileError(f"{name} is a web page, not a model: log in on the site and download it again.")
    if text.startswith(b"version https://git-lfs"):
        raise ModelFileError(
            f"{name} is only a Git LFS pointer, not the model: run 'git lfs pull', or download it again."
        )
    if start.startswith(b"GGUF"):
        raise ModelFileError(f"{name} is a GGUF file, which cannot be read here: get it as safetensors.")
    if size < 4096 and all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in start):
        shown = start[:60].decode("ascii").strip()
        raise ModelFileError(f"{name} holds a text, not a model ({shown!r}): download it again.")


def read_safetensors(name: str, file: BinaryIO, size: int) -> Header:
    """The header of an open safetensors file of `size` bytes; raises ModelFileError."""
    prefix = file.read(8)
    length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
    if not 2 <= length <= _MAX_HEADER:
        raise ModelFileError(f"{name} is not a safetensors file, or its start is damaged: download it again.")
    if length > size - 8:
        raise ModelFileError(f"{name} is cut off in its header ({_megabytes(size)} arrived): download it again.")
    try:
        entries = json.loads(file.read(length))
        metadata = _string_map(entries.pop("__metadata__", None) or {})
        shapes, end = _tensors(entries)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError, RecursionError):
        raise ModelFileError(f"{name} has a damaged safetensors header: download it again.") from None
    expected = 8 + length + end
    if expected > size:
        raise ModelFileError(
            f"{name} is not complete ({_megabytes(size)} of {_megabytes(expected)} arrived): download it again."
        )
    return Header("safetensors", shapes, metadata)


def _string_map(data: dict[Any, Any]) -> dict[str, str]:
    return {str(key): value if isinstance(value, str) else json.dumps(value) for key, value in data.items()}


def _tensors(entries: dict[str, dict[str, Any]]) -> tuple[dict[str, tuple[int, ...]], int]:
    """(shapes by name, where the data ends); raises one of many errors for what cannot be true."""
    shapes: dict[str, tuple[int, ...]] = {}
    last = 0
    for name, entry in entries.items():
        shape = tuple(map(int, entry["shape"]))
        start, end = map(int, entry["data_offsets"])
        # Packed formats may need less than a byte an element, never more than 16.
        if min(shape, default=0) < 0 or len(shape) > 16 or not 0 <= start <= end <= start + 16 * math.prod(shape):
            raise ValueError(name)
        shapes[name] = shape
        last = max(last, end)
    return shapes, last


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size} bytes"


def _read_zip(path: Path, file: BinaryIO) -> Header:
    try:
        with zipfile.ZipFile(file) as archive:
            pickles = [e for e in archive.infolist() if e.filename == "data.pkl" or e.filename.endswith("/data.pkl")]
            if len(pickles) != 1:
                raise ModelFileError(f"{path.name} is a zip archive but not a model: unpack it, if models are in it.")
            if pickles[0].file_size > _MAX_PICKLE:
                raise ModelFileError(f"{path.name} has too large a table of contents to be a model.")
            with archive.open(pickles[0]) as pickled:
                return _pickled("zip", scan_pickle(pickled))
    except Malformed as error:
        raise ModelFileError(f"{path.name} cannot be read as a checkpoint ({error}): download it again.") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, struct.error):
        size = os.fstat(file.fileno()).st_size
        raise ModelFileError(
            f"{path.name} is not complete, or damaged ({_megabytes(size)} arrived): download it again."
        ) from None


def _pickled(layout: str, scanned: Scanned) -> Header:
    notes = {key: str(value) for key, value in scanned.notes.items()}
    return Header(layout, scanned.shapes, notes, scanned.calls)


def _read_legacy(path: Path, file: BinaryIO) -> Header:
    try:
        return _pickled("legacy", scan_legacy(file))
    except Malformed as error:
        raise ModelFileError(f"{path.name} cannot be read as a checkpoint ({error}): download it again.") from None
