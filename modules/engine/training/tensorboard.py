"""TensorBoard's event files, by the formats that it documents: TFRecord frames around Event messages (protobuf).

A frame: length (uint64), its masked CRC-32C, the message, its masked CRC-32C, little-endian. Of Event: 1 wall_time
(double), 2 step (int64), 3 file_version (string), 5 summary; of Summary: 1 value; of Value: 1 tag, 2 simple_value
(float).
"""

from __future__ import annotations

import struct
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path

_POLYNOMIAL = 0x82F63B78
_MASK = 0xA282EAD8
_WORD = 0xFFFFFFFF


class EventFile:
    """A new file of a folder; each program run writes its own, as TensorBoard expects."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"events.out.tfevents.{time.time_ns() // 1000}.webui"
        self._waiting = [_frame(_double(1, time.time()) + _text(3, b"brain.Event:2"))]

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Note values by their tags; written at the next `flush`."""
        summary = b"".join(_text(1, _text(1, tag.encode()) + _float(2, value)) for tag, value in values.items())
        event = _double(1, time.time()) + b"\x10" + _varint(step) + _text(5, summary)
        self._waiting.append(_frame(event))

    def flush(self) -> None:
        """Raises OSError."""
        with self._path.open("ab") as file:
            file.write(b"".join(self._waiting))
        self._waiting.clear()


def _frame(message: bytes) -> bytes:
    length = struct.pack("<Q", len(message))
    return length + struct.pack("<I", masked(length)) + message + struct.pack("<I", masked(message))


def masked(data: bytes) -> int:
    """The masked CRC-32C of TFRecord."""
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17) & _WORD) + _MASK) & _WORD


def crc32c(data: bytes) -> int:
    """Castagnoli's checksum."""
    table, crc = _table(), _WORD
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ _WORD


@cache
def _table() -> tuple[int, ...]:
    return tuple(_divided(byte) for byte in range(256))


def _divided(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (_POLYNOMIAL if byte & 1 else 0)
    return byte


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*found, value))


def _text(field: int, data: bytes) -> bytes:
    return bytes((field << 3 | 2,)) + _varint(len(data)) + data


def _double(field: int, value: float) -> bytes:
    return bytes((field << 3 | 1,)) + struct.pack("<d", value)


def _float(field: int, value: float) -> bytes:
    return bytes((field << 3 | 5,)) + struct.pack("<f", value)
