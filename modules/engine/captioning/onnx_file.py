"""A look into an ONNX file before anything runs it: is it whole, and does it keep all its weights in itself?

An ONNX file is a protocol buffer, and a tensor in it may name any file of the machine as the place of its values. The
runtime would read that file. Only the few fields that lead to tensors are followed here (onnx.proto3, IR version 10).
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from modules.schema.errors import ModelFileError

_INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
"""By message: the fields that are messages on the way to tensors."""
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_GRAPH = 7
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10
_MOST_FIELDS = 10_000_000  # of a real tagger a few 100,000, and each takes a microsecond


class _Damaged(Exception):
    """The bytes are not a protocol buffer."""


def check_onnx(path: Path) -> None:
    """Raises ModelFileError for a file that is damaged, cut off, no ONNX model, or reads from other files."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            has_graph = _follow(data, path)
    except (OSError, ValueError) as error:  # ValueError: an empty file cannot be mapped
        raise ModelFileError(f"{path} cannot be read: {error}.") from None
    except _Damaged:
        raise ModelFileError(f"{path} is damaged or cut off: copy it here again.") from None
    if not has_graph:
        raise ModelFileError(f"{path} is no ONNX model: put the model.onnx of a WD tagger here.")


def _follow(data: mmap.mmap, path: Path) -> bool:
    """Look into every message; whether there is a graph."""
    waiting = [("model", 0, len(data))]
    has_graph = False
    seen = 0
    while waiting:
        kind, start, end = waiting.pop()
        for number, value, begin, stop in _fields(data, start, end):
            seen += 1
            if seen > _MOST_FIELDS:
                raise _Damaged
            if kind == "tensor" and (number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value)):
                raise ModelFileError(
                    f"{path} keeps its weights in further files, which are not read: use a model.onnx that holds "
                    "everything itself."
                )
            has_graph = has_graph or (kind == "model" and number == _GRAPH)
            inside = _INSIDE[kind].get(number)
            if inside is not None:
                waiting.append((inside, begin, stop))
    return has_graph


def _fields(data: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """(number, value of a varint, first byte, end) of each field between two places."""
    at = start
    while at < end:
        tag, at = _varint(data, at, end)
        wire, value, begin = tag & 7, 0, at
        if wire == _VARINT:
            value, at = _varint(data, at, end)
        elif wire == _BYTES:
            length, begin = _varint(data, at, end)
            at = begin + length
        elif wire in (_FIXED64, _FIXED32):
            at += 8 if wire == _FIXED64 else 4
        else:
            raise _Damaged
        if at > end or not tag >> 3:
            raise _Damaged
        yield tag >> 3, value, begin, at


def _varint(data: mmap.mmap, at: int, end: int) -> tuple[int, int]:
    """(value, place after it)."""
    value = 0
    for count in range(_LONGEST_VARINT):
        if at >= end:
            raise _Damaged
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << (7 * count)
        if not byte & 0x80:
            return value, at
    raise _Damaged
