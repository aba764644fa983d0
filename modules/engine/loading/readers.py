"""Tensors of one model file, by name, without reading more of it than is asked for.

safetensors files are memory-mapped. Pickles go through torch's restricted unpickler, which builds tensors and plain
containers only; the few objects of training frameworks that official files carry become empty placeholders, and any
other global is refused by name. Nothing here ever runs code from a file.
"""

from __future__ import annotations

import contextlib
import pickle
import re
import struct
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from modules.schema.errors import ModelFileError

Shape = tuple[int, ...]
_DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


class TensorFile(Protocol):
    """`shapes` and `metadata` cost nothing. `get` gives one tensor on the CPU: mapped from the file where the caller
    will keep it as it is (in the dtype `keep_as`), otherwise read, so that no mapped pages linger beside a copy."""

    name: str
    shapes: Mapping[str, Shape]
    metadata: Mapping[str, str]

    def get(self, name: str, keep_as: torch.dtype | None = None) -> Tensor: ...


class Safetensors:
    """A memory-mapped safetensors file."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        try:
            self._mapped = safe_open(path, framework="pt", device="cpu", backend="mmap")
            self._read = safe_open(path, framework="pt", device="cpu", backend="pread")
        except (SafetensorError, OSError) as error:
            raise ModelFileError(f"{path.name} is cut off or damaged ({_brief(error)}); download it again.") from None
        self.metadata: dict[str, str] = self._mapped.metadata() or {}
        slices = {name: self._mapped.get_slice(name) for name in self._mapped.keys()}  # noqa: SIM118
        self.shapes = {name: tuple(part.get_shape()) for name, part in slices.items()}
        self._dtypes = {name: _DTYPES.get(part.get_dtype()) for name, part in slices.items()}

    def get(self, name: str, keep_as: torch.dtype | None = None) -> Tensor:
        kept = keep_as is not None and self._dtypes[name] == keep_as
        return (self._mapped if kept else self._read).get_tensor(name)


class Pickled:
    """A pickled file's tensors; `state_dict` wrappers are unwrapped, everything that is no tensor is dropped."""

    metadata: Mapping[str, str] = {}

    def __init__(self, path: Path) -> None:
        self.name = path.name
        found = read_pickle(path)
        while isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
            found = found["state_dict"]
        if not isinstance(found, dict):
            raise ModelFileError(f"{path.name} holds no table of tensors, so it is not a model file.")
        self._tensors = {k: v for k, v in found.items() if isinstance(k, str) and _is_plain(v)}
        self.shapes = {name: tuple(tensor.shape) for name, tensor in self._tensors.items()}

    def get(self, name: str, keep_as: torch.dtype | None = None) -> Tensor:
        """Always mapped where the file allows it, whatever `keep_as` says."""
        del keep_as
        return self._tensors[name].detach()


def open_tensors(path: Path) -> TensorFile:
    """Open a model file by what is in it, not by its name; raises `ModelFileError`."""
    try:
        with path.open("rb") as stream:
            head = stream.read(16)
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror or error}.") from None
    if not head:
        raise ModelFileError(f"{path.name} is empty; download it again.")
    if head[8:9] == b"{":
        return Safetensors(path)
    if head.startswith((b"PK\x03\x04", b"\x80")):
        if path.suffix == ".safetensors":
            raise ModelFileError(f"{path.name} is no safetensors file but a pickle; name it .ckpt to load it as one.")
        return Pickled(path)
    raise ModelFileError(f"{path.name} is neither a safetensors file nor a pickled checkpoint; download it again.")


class Leftover:
    """Stands for an object of a training framework; keeps nothing of what the file says about it."""

    def __init__(self, *_args: object, **_kwargs: object) -> None: ...

    def __setstate__(self, _state: object) -> None: ...


class ParameterTable(dict[str, Any]):
    """Stands for torch's ParameterDict, in which old embeddings keep their one tensor."""

    def __setstate__(self, state: object) -> None:
        held = state.get("_parameters", state) if isinstance(state, dict) else {}
        self.update({k: v for k, v in held.items() if isinstance(k, str) and isinstance(v, Tensor)})


def _plain_dict(*_args: object) -> dict[Any, Any]:
    return {}


# What the official checkpoints and common trainers leave beside the weights: callbacks, settings, numpy's numbers.
_LEFTOVERS = (
    "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
    "pytorch_lightning.callbacks.early_stopping.EarlyStopping",
    "pytorch_lightning.utilities.parsing.AttributeDict",
    "lightning.pytorch.callbacks.model_checkpoint.ModelCheckpoint",
    "lightning_fabric.utilities.data.AttributeDict",
    "lightning.fabric.utilities.data.AttributeDict",
    "omegaconf.dictconfig.DictConfig",
    "omegaconf.listconfig.ListConfig",
    "omegaconf.base.ContainerMetadata",
    "omegaconf.base.Metadata",
    "omegaconf.nodes.AnyNode",
    "typing.Any",
    "numpy.core.multiarray.scalar",
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar",
    "numpy._core.multiarray._reconstruct",
    "numpy.dtype",
    "numpy.ndarray",
    "argparse.Namespace",
)
_STAND_INS: list[Any] = [
    *((Leftover, name) for name in _LEFTOVERS),
    (ParameterTable, "torch.nn.modules.container.ParameterDict"),
    (_plain_dict, "collections.defaultdict"),
    (set, "__builtin__.set"),
    (dict, "builtins.dict"),
    (int, "builtins.int"),
    (float, "builtins.float"),
    (list, "builtins.list"),
]


def read_pickle(path: Path) -> object:
    """What a pickled file holds, in one restricted pass that runs nothing from it; raises ModelFileError."""
    with torch.serialization.safe_globals(_STAND_INS), _reported(path):
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))


@contextlib.contextmanager
def _reported(path: Path) -> Iterator[None]:
    """Turn what the unpickler raises on hostile or broken files into a sentence."""
    try:
        yield
    except pickle.UnpicklingError as error:
        forbidden = re.search(r"GLOBAL ([\w.]+)", str(error))
        if forbidden is None:
            raise ModelFileError(f"{path.name} is no checkpoint that can be read safely ({_brief(error)}).") from None
        raise ModelFileError(
            f"{path.name} was refused: it asks for {forbidden[1]}, which is forbidden because it could run code; "
            "use a .safetensors version of this model."
        ) from None
    except MemoryError:
        raise
    except (
        RuntimeError,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        EOFError,
        OSError,
        struct.error,
    ) as error:
        raise ModelFileError(f"{path.name} is cut off or damaged ({_brief(error)}); download it again.") from None


def _brief(error: Exception) -> str:
    """The first line of a library's message, at most 120 characters."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:120]


def _is_plain(value: object) -> bool:
    return isinstance(value, Tensor) and value.layout == torch.strided and not value.is_meta
