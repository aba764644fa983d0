"""Upscalers out of model files (ESRGAN and all its relatives), recognized and built by `spandrel`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from PIL import Image
from safetensors import SafetensorError
from spandrel import (
    MAIN_REGISTRY,
    ImageModelDescriptor,
    ModelDescriptor,
    ModelLoader,
    ModelTiling,
    UnsupportedModelError,
    canonicalize_state_dict,
)
from torch import Tensor

try:
    from spandrel_extra_arches import EXTRA_REGISTRY  # CodeFormer and others, whose licences forbid commercial use
except ImportError:
    EXTRA_REGISTRY = ()

from modules.engine.loading.readers import read_pickle
from modules.engine.postprocess.tiles import TensorFractions, Tiling, tiled
from modules.engine.postprocess.upscaler import Fractions, resized
from modules.schema.errors import ModelFileError

_MOST_PASSES = 3


class ModelUpscaler:
    """One loaded model. A picture goes through it as often as it takes to reach the size; Lanczos does the rest."""

    def __init__(self, name: str, model: ImageModelDescriptor[torch.nn.Module], tiling: Tiling) -> None:
        self.name = name
        self.scale = model.scale
        self._model = model
        self._tiling = Tiling(0) if model.tiling == ModelTiling.INTERNAL else tiling

    @torch.inference_mode()
    def pieces(self, picture: Image.Image, width: int, height: int) -> Fractions:
        """A model of scale 1 (one that cleans pictures) is used once; others until the size is reached."""
        passes = self._passes(picture.size, (width, height))
        for number in range(passes):
            work = self._pass(picture)
            try:
                while True:
                    fraction = next(work)
                    yield (number + fraction) / passes
            except StopIteration as end:
                picture = _to_picture(end.value)
        return resized(picture, width, height)

    def _passes(self, size: tuple[int, int], target: tuple[int, int]) -> int:
        if self.scale == 1:
            return 1
        count = 0
        while count < _MOST_PASSES and any(s * self.scale**count < t for s, t in zip(size, target, strict=True)):
            count += 1
        return count

    def _pass(self, picture: Image.Image) -> TensorFractions:
        pixels = _to_tensor(picture, self._model.input_channels).to(self._model.device)
        return tiled(pixels, lambda tile: self._model(tile.to(self._model.dtype)), self.scale, self._tiling)


def load_model(path: Path, device: torch.device) -> ImageModelDescriptor[torch.nn.Module]:
    """The picture-to-picture model in a file, on `device`; raises ModelFileError for anything else."""
    model = describe(path)
    if not isinstance(model, ImageModelDescriptor) or model.input_channels not in (1, 3):
        raise ModelFileError(f"{path.name} does not turn a picture into a picture, so it cannot upscale.")
    return model.to(device, _dtype(model, device)).eval()


def describe(path: Path) -> ModelDescriptor:
    """What spandrel makes of a file; nothing in the file is run. Raises ModelFileError."""
    kinds = MAIN_REGISTRY.copy()
    kinds.add(*EXTRA_REGISTRY)
    try:
        return ModelLoader(registry=kinds).load_from_state_dict(canonicalize_state_dict(_state_dict(path)))
    except UnsupportedModelError:
        raise ModelFileError(f"{path.name} is of no kind of upscaler or restorer that is known here.") from None
    except (RuntimeError, ValueError, KeyError, AssertionError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
        raise ModelFileError(f"{path.name} could not be built ({reason}); download it again.") from None


def _state_dict(path: Path) -> dict[str, Tensor]:
    if path.suffix.lower() != ".safetensors":
        found = read_pickle(path)
        if isinstance(found, dict):
            return found
        raise ModelFileError(f"{path.name} holds no table of tensors, so it is not a model file.")
    try:
        return safetensors.torch.load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelFileError(f"{path.name} is cut off or damaged ({error}); download it again.") from None


def _dtype(model: ImageModelDescriptor[torch.nn.Module], device: torch.device) -> torch.dtype:
    """Half precision where card and model both do well with it."""
    if device.type != "cuda":
        return torch.float32
    if model.supports_half:
        return torch.float16
    return torch.bfloat16 if model.supports_bfloat16 and torch.cuda.is_bf16_supported() else torch.float32


def _to_tensor(picture: Image.Image, channels: int) -> Tensor:
    """[1,C,H,W] float32 in 0..1."""
    pixels = np.array(picture.convert("RGB" if channels == 3 else "L"))
    return torch.from_numpy(pixels).reshape(picture.height, picture.width, channels).permute(2, 0, 1)[None] / 255


def _to_picture(pixels: Tensor) -> Image.Image:
    data = (pixels[0].clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    picture = Image.fromarray(data if data.shape[2] != 1 else data[:, :, 0])
    return picture if picture.mode == "RGB" else picture.convert("RGB")
