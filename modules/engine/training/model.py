"""The model of a training: at hand, as its file has it, and fit for gradients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import torch
from torch import nn

from modules.engine.loading.model import LoadedModel
from modules.engine.loading.packing import forget_turned
from modules.engine.loading.store import Store
from modules.engine.networks.apply import use_networks
from modules.schema.engine import ModelRef

_MEGABYTE = 2**20
# Gradients of a half-precision UNet would vanish; a power of two scales them without a rounding.
_FP16_SCALE = 2.0**12


class TrainingModel:
    """Takes the model of `ref` from the store again and again: it may have been changed or freed meanwhile."""

    def __init__(self, ref: ModelRef, models: Store, precision: str) -> None:
        self._ref = ref
        self._models = models
        self._precision = _precision(precision, models.device)
        self._model: LoadedModel | None = None

    def claim(self) -> tuple[LoadedModel, bool]:
        """The model without networks, and whether it is another object than the last time."""
        model = self._models.get(self._ref, self._precision)
        new = model is not self._model
        self._model = model
        use_networks(model, ())
        for network in (model.unet, model.text_encoder):
            make_normal(network)
        return model, new

    def let_go(self) -> None:
        """Free what only training needs."""
        if self._model is not None:
            forget_turned(self._model.unet)
            self._model.forget_words()


def _precision(setting: str, device: torch.device) -> str:
    """bf16 where a GPU has it: fp16's range is too small for gradients. Else as for drawing."""
    if setting == "auto" and device.type == "cuda" and torch.cuda.is_bf16_supported():
        return "bf16"
    return setting


def loss_scale(model: LoadedModel) -> float:
    """What the loss is multiplied by before gradients are computed, which are then divided by it."""
    return _FP16_SCALE if model.dtype == torch.float16 else 1.0


def make_normal(network: nn.Module) -> None:
    """Copy the weights that were made or moved in inference mode, which can take no part in a gradient."""
    for layer in network.modules():
        for name, weight in list(layer.named_parameters(recurse=False)):
            if weight.is_inference():
                setattr(layer, name, nn.Parameter(weight.clone(), requires_grad=False))
        for name, buffer in list(layer.named_buffers(recurse=False)):
            if buffer.is_inference():
                setattr(layer, name, buffer.clone())


@contextmanager
def for_gradients(model: LoadedModel, checkpointing: bool) -> Iterator[None]:
    """Within it steps give the same bits each time (on CUDA some kernels otherwise add in any order), and, with
    `checkpointing`, most of a pass is computed twice instead of kept."""
    strict = torch.are_deterministic_algorithms_enabled()
    if checkpointing:
        model.unet.enable_gradient_checkpointing()
        # diffusers asks for training mode as well; nothing else in these networks depends on it.
        model.unet.train()
    if model.device.type == "cuda":
        torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with torch.enable_grad():
            yield
    finally:
        torch.use_deterministic_algorithms(strict)
        if checkpointing:
            model.unet.disable_gradient_checkpointing()
            model.unet.eval()


def memory_used(device: torch.device) -> float:
    """MB on the device, or of the process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / _MEGABYTE
    return psutil.Process().memory_info().rss / _MEGABYTE
