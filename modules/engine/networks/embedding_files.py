"""Embedding files read and written: A1111's pickles, safetensors, diffusers' single tensors, SDXL's pairs, and
pictures that carry one."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from PIL import Image
from safetensors.torch import save
from torch import Tensor

from modules.catalog import embedding_pictures as pictures
from modules.catalog.writing import replacing, write_whole
from modules.engine.loading.readers import open_tensors, read_pickle
from modules.schema.errors import ModelFileError

PAIR = ("clip_l", "clip_g")
_NUMBERS = "TORCHTENSOR"
# A1111 writes this token id of the word that stands for the embedding; nothing reads it.
_PLACEHOLDER_TOKEN = 265


@dataclass(frozen=True)
class Embedding:
    """Vectors for a word: `vectors` float32 [n, width] by text encoder: "" where there is one, else `PAIR`.

    `step`, `checkpoint` and `checkpoint_hash` tell the training; None and empty where the file says nothing.
    """

    name: str
    vectors: Mapping[str, Tensor]
    step: int | None = None
    checkpoint: str = ""
    checkpoint_hash: str = ""

    @property
    def width(self) -> int:
        """Of all encoders together."""
        return sum(tensor.shape[1] for tensor in self.vectors.values())

    @property
    def count(self) -> int:
        return len(next(iter(self.vectors.values())))


def read_embedding(path: Path) -> Embedding:
    """The embedding in a file of any of the formats; raises `ModelFileError` with the reason.

    Values that are no numbers are refused.
    """
    if path.suffix.lower() in pictures.ENDINGS:
        table = pictures.read_picture(path)
        if table is None:
            raise ModelFileError(f"{path.name} is a picture that carries no embedding.")
        return from_table(path.name, cast("dict[str, Any]", _numbers(table, path.name)))
    with path.open("rb") as file:
        is_safetensors = file.read(9)[8:] == b"{"
    if not is_safetensors:
        table = read_pickle(path)
        if not isinstance(table, dict):
            raise ModelFileError(f"{path.name} holds no table, so it is not an embedding.")
        return from_table(path.name, {"name": path.stem, **table} if "string_to_param" not in table else table)
    tensors = open_tensors(path)
    noted = {"sd_checkpoint_name": tensors.metadata.get("sd_checkpoint_name")}
    noted |= {key: tensors.metadata.get(key) for key in ("sd_checkpoint", "step")}
    return from_table(path.name, {**noted, **{name: tensors.get(name) for name in tensors.shapes}})


def from_table(file: str, table: Mapping[str, Any]) -> Embedding:
    """The embedding in a table of tensors and notes; `file` is named in errors (`ModelFileError`)."""
    return Embedding(
        name=Path(file).stem if not isinstance(table.get("name"), str) else str(table["name"]),
        vectors={key: _checked(file, tensor) for key, tensor in _find(file, table).items()},
        step=_whole(table.get("step")),
        checkpoint=str(table.get("sd_checkpoint_name") or ""),
        checkpoint_hash=str(table.get("sd_checkpoint") or ""),
    )


def _find(file: str, table: Mapping[str, Any]) -> dict[str, Tensor]:
    held = table.get("string_to_param")
    if isinstance(held, dict):
        table = cast("dict[str, Any]", held)
    found = {str(key): value for key, value in table.items() if isinstance(value, Tensor)}
    # Parts bundled in a LoRA have the whole path as their name.
    found = {key.removeprefix("string_to_param."): tensor for key, tensor in found.items()}
    if all(key in found for key in PAIR):
        return {key: found[key] for key in PAIR}
    if len(found) != 1:
        raise ModelFileError(f"{file} holds {len(found)} tensors; an embedding is one, or clip_l and clip_g.")
    return {"": next(iter(found.values()))}


def _checked(file: str, tensor: Tensor) -> Tensor:
    """float32 [n, width]; raises `ModelFileError`."""
    vectors = tensor.detach().cpu()
    if vectors.ndim == 1:
        vectors = vectors.unsqueeze(0)
    if vectors.ndim != 2 or not vectors.numel() or not vectors.is_floating_point():
        raise ModelFileError(f"{file} holds no vectors: its tensor has the shape {tuple(tensor.shape)}.")
    if not torch.isfinite(vectors).all():
        raise ModelFileError(f"{file} is spoilt: some of its values are no numbers (NaN or infinite).")
    return vectors.float()


def _numbers(value: Any, file: str) -> Any:
    """The same value with tensors for {"TORCHTENSOR": lists}."""
    if not isinstance(value, dict):
        return value
    inner = cast("dict[str, Any]", value)
    if _NUMBERS not in inner:
        return {key: _numbers(item, file) for key, item in inner.items()}
    try:
        return torch.tensor(inner[_NUMBERS], dtype=torch.float32)
    except (ValueError, TypeError, RuntimeError, OverflowError):
        raise ModelFileError(f"{file} carries an embedding whose numbers are damaged.") from None


def _whole(value: object) -> int | None:
    try:
        return int(str(value))
    except ValueError:
        return None


def write_safetensors(path: Path, embedding: Embedding) -> None:
    """Write `emb_params` (or `clip_l` and `clip_g`), with the training facts as metadata; atomic."""
    noted = {
        "format": "pt",
        "sd_checkpoint": embedding.checkpoint_hash,
        "sd_checkpoint_name": embedding.checkpoint,
        "step": "" if embedding.step is None else str(embedding.step),
    }
    tensors = {key or "emb_params": tensor.contiguous() for key, tensor in embedding.vectors.items()}
    metadata = {key: value for key, value in noted.items() if value}
    # Bytes are written by Python, so that a full disk is an OSError.
    data = save(tensors, metadata)
    write_whole(path, data)


def write_pt(path: Path, embedding: Embedding) -> None:
    """Write A1111's layout (of a pair: the plain table of both); atomic. Nothing in it needs more than torch's
    restricted unpickler."""
    data = io.BytesIO()
    torch.save(_table(embedding, lambda tensor: tensor.clone()), data)
    write_whole(path, data.getvalue())


def write_picture(path: Path, embedding: Embedding, picture: Image.Image) -> None:
    """Write a PNG that carries the embedding in its text and, for hosts that remove text, in its pixels; atomic."""
    table = _table(embedding, lambda tensor: {_NUMBERS: tensor.tolist()})
    wide = pictures.hide(table, picture)
    with replacing(path) as draft:
        wide.save(draft, format="PNG", pnginfo=pictures.chunk_of(table))


def _table(embedding: Embedding, store: Callable[[Tensor], Any]) -> dict[str, Any]:
    tensors = {key: store(tensor.detach().float().cpu()) for key, tensor in embedding.vectors.items()}
    held = (
        {"string_to_token": {"*": _PLACEHOLDER_TOKEN}, "string_to_param": {"*": tensors[""]}}
        if "" in tensors
        else tensors
    )
    return {
        **held,
        "name": embedding.name,
        "step": embedding.step,
        "sd_checkpoint": embedding.checkpoint_hash or None,
        "sd_checkpoint_name": embedding.checkpoint or None,
    }


def convert(path: Path) -> Path:
    """Write a pickled (or any) embedding as .safetensors beside it and return that file; the old one stays.

    Raises `ModelFileError` where the file cannot be read, or the new name is taken.
    """
    target = path.with_suffix(".safetensors")
    if target.exists():
        raise ModelFileError(f"{target.name} is already there; move it away to convert {path.name}.")
    write_safetensors(target, read_embedding(path))
    return target


def checksum(vectors: Tensor) -> str:
    """A1111's 4 digits of the values [n, width], by which its optimizer files know their embedding."""
    total = 0
    for value in (vectors.double().flatten() * 100).trunc().long().tolist():
        total = ((total * 281) ^ (value * 997)) & 0xFFFFFFFF
    return f"{total & 0xFFFF:04x}"
