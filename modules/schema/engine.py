"""What the service tells an engine process: the commands of the wire, and the job it is given.

A frame on the wire (engine's stdin and stdout) is: two big-endian uint32 (header length, blob length), a JSON header,
a blob. Service to engine: one `Command`. Engine to service: `{"job": id or null, ...event}` with the event's bytes as
blob.
"""

from __future__ import annotations

import struct
from typing import BinaryIO, Literal

from modules.schema.frozen import Frozen
from modules.schema.orders import Order

_LENGTHS = struct.Struct(">II")


class NamedFile(Frozen):
    """A file that a prompt calls by `name`: a LoRA or hypernetwork (as its tag writes it) or an embedding."""

    kind: Literal["lora", "hypernet", "embedding"]
    name: str
    path: str


class ModelRef(Frozen):
    """The files of a loaded model: absolute paths; `vae` None means the checkpoint's own.

    `named`: the files that the prompts name.
    """

    checkpoint: str
    vae: str | None = None
    use_ema: bool = False
    named: tuple[NamedFile, ...] = ()
    others: dict[Literal["hires", "refiner"], ModelRef] = {}


class UpscalerRef(Frozen):
    """An upscaler by the name the request gives it; `path` is its model file, None for those built in."""

    name: str
    path: str | None = None


class EngineJob(Frozen):
    """A resolved request, the files it needs and how often to show previews (0 = never).

    `inputs`: folder of the input pictures, each named HASH.png. Absolute paths: of `upscalers` (and face restorers)
    that are model files by name, and of other `files` by the request's field that names them.
    """

    id: str
    request: Order
    model: ModelRef
    previews_per_second: float = 2.0
    inputs: str = ""
    upscalers: dict[str, str] = {}
    files: dict[str, str] = {}

    def upscaler(self, name: str) -> UpscalerRef:
        """The upscaler of that name in the request."""
        return UpscalerRef(name=name, path=self.upscalers.get(name))


class Command(Frozen):
    """`run` needs job, `load` needs model, `interrupt`, `skip` and (of a training) `pause` need job_id."""

    name: Literal["run", "load", "interrupt", "skip", "pause", "shutdown"]
    job: EngineJob | None = None
    model: ModelRef | None = None
    job_id: str | None = None


def write_frame(stream: BinaryIO, header: bytes, blob: bytes = b"") -> None:
    """Write one frame and flush; raises OSError when the other side has gone."""
    stream.write(_LENGTHS.pack(len(header), len(blob)) + header)
    if blob:
        stream.write(blob)
    stream.flush()


def read_frame(stream: BinaryIO) -> tuple[bytes, bytes] | None:
    """The next (header, blob), or None at the end of the stream."""
    lengths = _read_exactly(stream, _LENGTHS.size)
    if lengths is None:
        return None
    header_length, blob_length = _LENGTHS.unpack(lengths)
    header = _read_exactly(stream, header_length)
    blob = _read_exactly(stream, blob_length)
    return None if header is None or blob is None else (header, blob)


def _read_exactly(stream: BinaryIO, count: int) -> bytes | None:
    parts: list[bytes] = []
    while count:
        part = stream.read(count)
        if not part:
            return None
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
