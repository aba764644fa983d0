"""Names and shapes of the tensors in a torch pickle, from its opcodes alone: nothing is built, imported or run.

In a pickled state dict a tensor is `name, _rebuild_tensor_v2, (persistent id, offset, size, stride, ...)` where the
persistent id is `("storage", type, key, location, count)`. So at BINPERSID the fourth string from the end is the
tensor's name, and the first tuple after it holds the size.
"""

from __future__ import annotations

import pickletools
import struct
from collections import deque
from typing import IO, Any, NamedTuple, cast

_MAX_OPCODES = 3_000_000
_MAX_READ = 16 * 2**20
_STRINGS = frozenset(
    ("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE", "STRING", "BINSTRING", "SHORT_BINSTRING")
)
_GETS = frozenset(("GET", "BINGET", "LONG_BINGET"))
_PUTS = frozenset(("PUT", "BINPUT", "LONG_BINPUT"))
_INTS = frozenset(("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"))
_TUPLES = frozenset(("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_TUPLE"))
# Names that tell an embedding or a hypernetwork although no tensor bears them.
_MARKS = frozenset(("string_to_param", "string_to_token", "activation_func", "layer_structure"))
# What embeddings and hypernetworks note of themselves.
_NOTES = frozenset(("name", "step", "sd_checkpoint", "sd_checkpoint_name"))
# The first pickle of the format before torch 1.6.
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C


class Malformed(Exception):
    """Not a pickle of tensors; the message says why, in a few words."""


class _Bounded:
    """A binary file whose single reads cannot claim more memory than a header needs."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, count: int) -> bytes:
        if not 0 <= count <= _MAX_READ:
            raise ValueError("an impossible length")
        return self._file.read(count)

    def readline(self) -> bytes:
        return self._file.readline(_MAX_READ)


class _Scanner:
    def __init__(self) -> None:
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.notes: dict[str, str | int] = {}
        self.calls: set[str] = set()
        self._note: str | None = None
        self._strings: deque[str] = deque(maxlen=8)
        self._memo: dict[int, str] = {}
        self._memoized = 0
        self._last: str | None = None
        self._name = ""
        self._numbers: list[int] | None = None

    def see(self, opcode: str, argument: Any) -> None:
        if opcode not in _PUTS and opcode != "MEMOIZE":
            self._see_note(opcode, argument)
        last, self._last = self._last, None
        if opcode in _STRINGS:
            self._see_string(str(argument))
        elif opcode in _PUTS:
            self._put(int(argument), last)
        elif opcode == "MEMOIZE":
            self._put(self._memoized, last)
        elif opcode in _GETS and int(argument) in self._memo:
            self._strings.append(self._memo[int(argument)])
        elif opcode == "STACK_GLOBAL":
            name = [self._strings.pop() for _ in range(min(2, len(self._strings)))]
            self.calls.add(".".join(reversed(name)))
        elif opcode in ("GLOBAL", "INST"):
            self.calls.add(str(argument).replace(" ", ".", 1))
        elif opcode == "BINPERSID":
            self._name = self._strings[-4] if len(self._strings) >= 4 else ""
            self._numbers = []
        elif self._numbers is not None:
            self._see_size(self._numbers, opcode, argument)

    def _see_note(self, opcode: str, argument: Any) -> None:
        """A number or string right after the name of a note is its value."""
        if self._note is not None and (opcode in _INTS or opcode in _STRINGS):
            self.notes.setdefault(self._note, argument)
            self._note = None
        else:
            self._note = argument if opcode in _STRINGS and argument in _NOTES else None

    def _see_string(self, text: str) -> None:
        self._last = text
        self._strings.append(text)
        if text in _MARKS:
            self.shapes.setdefault(text, ())

    def _put(self, index: int, value: str | None) -> None:
        self._memoized += 1
        if value is None:
            self._memo.pop(index, None)
        else:
            self._memo[index] = value

    def _see_size(self, numbers: list[int], opcode: str, argument: Any) -> None:
        """Numbers after a persistent id: the storage offset, then the size, which a tuple closes."""
        if opcode in _INTS:
            numbers.append(int(argument))
        elif opcode in _TUPLES:
            if self._name:
                self.shapes.setdefault(self._name, tuple(numbers[1:]))
            self._numbers = None


def _scan(file: IO[bytes], scanner: _Scanner | None) -> Any:
    """One pickle's opcodes through `scanner`; the first opcode's argument of those that have one."""
    first = None
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(cast("IO[bytes]", _Bounded(file)))):
            if count > _MAX_OPCODES:
                raise Malformed("its table of contents is too long")
            if first is None and opcode.name not in ("PROTO", "FRAME"):
                first = argument
            if scanner is not None:
                scanner.see(opcode.name, argument)
    except (ValueError, TypeError, AttributeError, EOFError, struct.error, OverflowError, IndexError):
        raise Malformed("its table of contents is damaged") from None
    return first


class Scanned(NamedTuple):
    """`shapes` by tensor name, and what the file notes of itself (name, step, the checkpoint it was trained on).

    `calls`: everything that an ordinary unpickler would import, as "module.name".
    """

    shapes: dict[str, tuple[int, ...]]
    notes: dict[str, str | int]
    calls: frozenset[str] = frozenset()


def scan_pickle(file: IO[bytes]) -> Scanned:
    """What the one pickle at the file's position holds; raises Malformed."""
    scanner = _Scanner()
    _scan(file, scanner)
    return Scanned(scanner.shapes, scanner.notes, frozenset(scanner.calls))


def scan_legacy(file: IO[bytes]) -> Scanned:
    """The same from torch's older format: magic number, protocol, system facts, then the object."""
    if _scan(file, None) != _LEGACY_MAGIC:
        raise Malformed("it is a pickle of something else")
    _scan(file, None)
    _scan(file, None)
    return scan_pickle(file)
