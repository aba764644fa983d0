"""Model files to merge, one tensor at a time, under names that agree: never more of a file in memory than that."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from modules.engine.loading.readers import read_pickle
from modules.schema.errors import ModelFileError

DTYPES: dict[str, torch.dtype] = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2, "I64": torch.int64, "I32": torch.int32,
    "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip
"""safetensors' names of number formats."""

_OLD_TEXT_ENCODER = re.compile(r"^cond_stage_model\.transformer\.(?=embeddings\.|encoder\.|final_layer_norm\.)")
_REOPEN_BYTES = 1 << 30


@dataclass(frozen=True)
class Facts:
    """Shape and number format of a tensor; `own` is its name in the file."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    own: str


class Source(Protocol):
    """An open model file."""

    name: str
    metadata: Mapping[str, str]
    tensors: Mapping[str, Facts]

    def get(self, name: str) -> Tensor: ...


def common_name(name: str) -> str:
    """The name by which files agree: old SD1 files leave `text_model` out."""
    return _OLD_TEXT_ENCODER.sub("cond_stage_model.transformer.text_model.", name)


def open_source(path: Path) -> Source:
    """Open a checkpoint or VAE file; raises ModelFileError."""
    try:
        with path.open("rb") as file:
            head = file.read(9)
    except OSError as error:
        raise ModelFileError(f"{path.name} cannot be read: {error.strerror}.") from None
    return _Safetensors(path) if head[8:9] == b"{" else _Pickled(path)


class _Safetensors:
    def __init__(self, path: Path) -> None:
        self.name = path.name
        try:
            self._file = safe_open(path, framework="pt", device="cpu", backend="pread")
        except (SafetensorError, OSError) as error:
            raise ModelFileError(f"{path.name} is cut off or damaged ({error}); download it again.") from None
        self.metadata: Mapping[str, str] = self._file.metadata() or {}
        self.tensors: Mapping[str, Facts] = {common_name(own): self._facts(own) for own in self._file.keys()}  # noqa: SIM118

    def _facts(self, own: str) -> Facts:
        part = self._file.get_slice(own)
        dtype = DTYPES.get(part.get_dtype())
        if dtype is None:
            raise ModelFileError(
                f"{self.name} holds numbers of the format {part.get_dtype()}, which cannot be merged."
            )
        return Facts(tuple(part.get_shape()), dtype, own)

    def get(self, name: str) -> Tensor:
        """Read one tensor."""
        return self._file.get_tensor(self.tensors[name].own)


class _Pickled:
    """Its tensors are mapped; so that pages that were read do not pile up, the file is opened anew now and then."""

    metadata: Mapping[str, str] = {}

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._path = path
        self._read = 0
        self._found = _table(path)
        self.tensors: Mapping[str, Facts] = {
            common_name(own): Facts(tuple(t.shape), t.dtype, own) for own, t in self._found.items()
        }

    def get(self, name: str) -> Tensor:
        """A copy of one tensor."""
        if self._read > _REOPEN_BYTES:
            self._found, self._read = {}, 0
            self._found = _table(self._path)
        tensor = self._found[self.tensors[name].own].detach().clone()
        self._read += tensor.nbytes
        return tensor


def _table(path: Path) -> dict[str, Tensor]:
    found = read_pickle(path)
    while isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
        found = found["state_dict"]
    if not isinstance(found, dict):
        raise ModelFileError(f"{path.name} holds no table of tensors, so it is not a model file.")
    return {k: v for k, v in found.items() if isinstance(k, str) and isinstance(v, Tensor) and not v.is_meta}
