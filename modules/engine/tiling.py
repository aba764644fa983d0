"""Pictures whose edges fit each other: convolutions see the picture as a torus while the `with` lasts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from modules.engine.loading.model import LoadedModel
from modules.engine.loading.packing import PackedConv2d


@contextmanager
def tiled(model: LoadedModel, on: bool) -> Iterator[None]:
    """Circular padding in the UNet and the VAE while `on`; the former padding afterwards."""
    layers = _padded_convolutions(model) if on else []
    before = [layer.padding_mode for layer in layers]
    for layer in layers:
        layer.padding_mode = "circular"
    try:
        yield
    finally:
        for layer, mode in zip(layers, before, strict=True):
            layer.padding_mode = mode


def _padded_convolutions(model: LoadedModel) -> list[nn.Conv2d | PackedConv2d]:
    return [
        layer
        for network in (model.unet, model.vae)
        for layer in network.modules()
        if isinstance(layer, nn.Conv2d | PackedConv2d) and layer.padding not in ((0, 0), "valid")
    ]
