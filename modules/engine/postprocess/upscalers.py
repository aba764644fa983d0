"""Finds an upscaler by its reference, and keeps the one that was used last."""

from __future__ import annotations

from pathlib import Path

import torch
from spandrel import ImageModelDescriptor

from modules.engine.postprocess.model_upscaler import ModelUpscaler, load_model
from modules.engine.postprocess.tiles import Tiling
from modules.engine.postprocess.upscaler import Upscaler, built_in_upscaler
from modules.schema.engine import UpscalerRef
from modules.schema.errors import ModelFileError

Model = ImageModelDescriptor[torch.nn.Module]
_KEPT = 2


class Upscalers:
    """Loaded upscaler models of one device, the least recently used one going first."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._loaded: dict[tuple[Path, int], Model] = {}

    def get(self, ref: UpscalerRef, tiling: Tiling | None = None) -> Upscaler:
        """The upscaler; raises UnknownName or ModelFileError."""
        if ref.path is None:
            return built_in_upscaler(ref.name)
        return ModelUpscaler(ref.name, self._model(Path(ref.path)), tiling or Tiling())

    def clear(self) -> None:
        self._loaded.clear()

    def _model(self, path: Path) -> Model:
        try:
            key = (path, path.stat().st_mtime_ns)
        except OSError as error:
            raise ModelFileError(f"{path.name} cannot be read ({error.strerror}); refresh the list.") from None
        model = self._loaded.pop(key, None) or load_model(path, self._device)
        self._loaded[key] = model
        while len(self._loaded) > _KEPT:
            del self._loaded[next(iter(self._loaded))]
        return model
