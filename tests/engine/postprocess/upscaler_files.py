"""A real ESRGAN file, small and with weights by hand: it doubles pixels exactly, so a test knows what comes out."""

from __future__ import annotations

from pathlib import Path

import safetensors.torch
import torch
from spandrel.architectures.ESRGAN import ESRGAN
from torch import Tensor


def esrgan_weights(scale: int = 2) -> dict[str, Tensor]:
    """Residual blocks give nothing; every other convolution copies its first channels."""
    weights = ESRGAN(num_filters=4, num_blocks=1, scale=scale).state_dict()
    for name, weight in weights.items():
        weight.zero_()
        if weight.ndim == 4 and not name.startswith("model.1."):
            for channel in range(min(weight.shape[:2])):
                weight[channel, channel, 1, 1] = 1
    return weights


def make_esrgan(path: Path, scale: int = 2) -> Path:
    """Write it as .pth (in a `params_ema` wrapper, as official files are) or .safetensors, by the path's ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    weights = esrgan_weights(scale)
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(weights, path)
    else:
        torch.save({"params_ema": weights}, path)
    return path
