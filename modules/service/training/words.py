"""A new embedding made of the vectors of known words, as A1111's "Create embedding" makes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from modules.catalog.checkpoints import CheckpointCatalog
from modules.catalog.token_rows import find_rows
from modules.catalog.writing import write_whole
from modules.schema.errors import BadRequest, ModelFileError, UserError
from modules.schema.training import TrainingRequest
from modules.service.embedding_tool import word_rows
from modules.service.resolve import find_checkpoint
from modules.service.training.door import Shelves, checked_name

_MOST_VECTORS = 75
_PAIR = ("clip_l", "clip_g")

Rows = NDArray[np.float32]


class Words:
    """Makes embeddings. `selected` names the checkpoint whose words are taken."""

    def __init__(
        self,
        shelves: Shelves,
        checkpoints: CheckpointCatalog,
        encode: Callable[[str], list[int]],
        selected: Callable[[], str],
    ) -> None:
        self._shelves = shelves
        self._checkpoints = checkpoints
        self._encode = encode
        self._selected = selected

    def create(self, name: str, vectors: int, *, overwrite: bool = False, init_text: str = "*") -> Path:
        """Write the embedding `name` of so many vectors, at step 0; returns its file.

        Vector i is that of word i * L // n of the L words of `init_text`; without any, zeros. Raises UserErrors.
        """
        name = checked_name(name)
        if not 1 <= vectors <= _MOST_VECTORS:
            raise BadRequest(
                f"{vectors} vectors are not possible: take 1 to {_MOST_VECTORS}.", "num_vectors_per_token"
            )
        request = TrainingRequest(name=name)
        existing = self._shelves.existing(request)
        if existing is not None and not overwrite:
            raise BadRequest(
                f"There is a word named {name!r} already ({existing.name}): choose another name, or allow "
                "overwriting.", "name",
            )  # fmt: skip
        entry = self._checkpoints.find(find_checkpoint(self._selected(), self._checkpoints).name)
        rows = _rows(entry.path, spread(self._encode(init_text), vectors), vectors)
        names = ("emb_params",) if len(rows) == 1 else _PAIR
        facts = {"format": "pt", "name": name, "step": "0", "sd_checkpoint_name": entry.stem, "init_text": init_text}
        if entry.hash:
            facts["sd_checkpoint"] = entry.hash
        path = self._shelves.result(request)
        _write(path, save(dict(zip(names, rows, strict=True)), metadata=facts))
        if existing is not None and existing != path and existing.parent == path.parent:
            existing.unlink(missing_ok=True)  # it was to be replaced, and would answer to the same word
        self._shelves.embeddings.refresh()
        return path


def spread(tokens: Sequence[int], count: int) -> list[int]:
    """One token for each of `count` vectors: a short text is spread evenly, of a long one its beginning is taken."""
    words = tokens[:count]
    return [words[index * len(words) // count] for index in range(count)] if words else []


def _rows(checkpoint: Path, tokens: list[int], count: int) -> list[Rows]:
    """One array for each text encoder."""
    try:
        tables = find_rows(checkpoint)
    except OSError as error:
        raise ModelFileError(f"{checkpoint.name} cannot be read: {error.strerror}.") from error
    if tables:
        return [table.rows(tokens) if tokens else np.zeros((count, table.width), np.float32) for table in tables]
    rows = np.array(word_rows(checkpoint, tokens or [0]), np.float32)
    return [rows if tokens else np.zeros((count, rows.shape[1]), np.float32)]


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, data)
    except OSError as error:
        raise UserError(f"{path} could not be written ({error.strerror}): make room and try again.") from error
