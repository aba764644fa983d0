"""The one cache of models: the last few checkpoints, ready to draw."""

from __future__ import annotations

import gc
import logging
import os
import time
from collections import OrderedDict
from collections.abc import Hashable
from pathlib import Path

import torch

from modules.engine.loading.load import load_model
from modules.engine.loading.model import LoadedModel
from modules.engine.loading.placement import resolve_precision
from modules.schema.engine import ModelRef

log = logging.getLogger(__name__)
_CPU = torch.device("cpu")


class Store:
    """Keeps the `capacity` most recently used models in RAM; on a GPU only the one in use lies in its memory.

    A model is known by its files' places, sizes and times of change, so a changed file is loaded anew.
    """

    def __init__(self, capacity: int, device: torch.device, attention: str = "auto") -> None:
        self._capacity = max(1, capacity)
        self._device = device
        self._attention = attention
        self._models: OrderedDict[Hashable, LoadedModel] = OrderedDict()

    def __len__(self) -> int:
        return len(self._models)

    @property
    def device(self) -> torch.device:
        """Where models are put to work."""
        return self._device

    def get(self, ref: ModelRef, precision: str = "auto") -> LoadedModel:
        """The model of `ref`, loaded when it is not at hand. Raises `UserError`s; the models kept stay usable."""
        dtype = resolve_precision(precision, self._device)
        key = (_fingerprint(ref.checkpoint), ref.vae and _fingerprint(ref.vae), ref.use_ema, dtype)
        if key not in self._models:
            self._forget_changed(ref.checkpoint, key)
            self._make_room()
            began = time.monotonic()
            self._models[key] = load_model(ref, self._device, dtype, self._attention)
            log.info("%s loaded in %.1f s", Path(ref.checkpoint).name, time.monotonic() - began)
        self._models.move_to_end(key)
        model = self._models[key]
        if model.device != self._device:
            self._park()
            model.move(self._device)
        return model

    def clear(self) -> None:
        """Give all memory back."""
        self._models.clear()
        self._collect()

    def _make_room(self) -> None:
        """Free the longest unused models before a new one needs their memory.

        A job that changes between models may still hold one of them; it then no longer lies on the GPU.
        """
        self._park()
        while len(self._models) >= self._capacity:
            self._models.popitem(last=False)
        self._collect()

    def _forget_changed(self, path: str, key: tuple[Hashable, ...]) -> None:
        """Drop models of an older content of the same file."""
        stale = [k for k in self._models if k[0][0] == path and k[0] != key[0]]
        for old in stale:
            del self._models[old]

    def _park(self) -> None:
        """Take every model off the GPU."""
        for model in self._models.values():
            if model.device != _CPU:
                model.move(_CPU)

    def _collect(self) -> None:
        gc.collect()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


def _fingerprint(path: str) -> tuple[Hashable, ...]:
    """The path, then times of change and sizes of the file, or of all files in a folder."""
    root = Path(path)
    if not root.is_dir():
        return (path, *_stamp(root))
    inside = sorted(Path(folder, name) for folder, _, names in os.walk(root) for name in names)
    return (path, *((str(file), *_stamp(file)) for file in inside))


def _stamp(file: Path) -> tuple[int, int]:
    """(0, 0) for a file that is not there; loading it says so."""
    try:
        status = file.stat()
    except OSError:
        return (0, 0)
    return (status.st_mtime_ns, status.st_size)
