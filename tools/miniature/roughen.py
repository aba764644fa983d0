"""What may happen to a drawing on its way through an autoencoder or a file: the judge must read it all the same."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from tools.miniature.judging import Pictures, as_inputs

JPEG_SHARE, RESCALE_SHARE, BLUR_SHARE = 0.2, 0.2, 0.3
BLUR_RADIUS = 3


def roughen(pictures: Pictures, rng: np.random.Generator, device: torch.device) -> Tensor:
    """uint8 [N, H, W, 3] to float32 [N, 3, H, W] in about -1..1, each picture spoilt a little in its own way.

    JPEG, a loss of resolution, blur, drifts of colour and brightness (also slow ones across the picture), noise.
    """
    spoilt = np.stack([_jpeg(one, rng) if rng.random() < JPEG_SHARE else one for one in pictures])
    x = as_inputs(torch.from_numpy(spoilt).to(device))
    count, _, height, width = x.shape
    _change(x, RESCALE_SHARE, rng, lambda part: _rescaled(part, rng.uniform(0.55, 0.95)))
    _change(x, BLUR_SHARE, rng, lambda part: _blurred(part, rng.uniform(0.3, 1.1)))
    contrast = _random(rng, (count, 1, 1, 1), 0.08, device)
    gains = _random(rng, (count, 3, 1, 1), 0.04, device)
    lift = _random(rng, (count, 1, 1, 1), 0.06, device)
    x = x * (1 + contrast + gains) + lift
    cells = torch.from_numpy(rng.standard_normal((count, 3, height // 16, width // 16), np.float32)).to(device)
    drift = F.interpolate(cells, size=(height, width), mode="bilinear", align_corners=False)
    noise = torch.from_numpy(rng.standard_normal((count, 3, height, width), np.float32)).to(device)
    x = x + drift * _amount(rng, count, 0.08, device) + noise * _amount(rng, count, 0.08, device)
    return x.contiguous(memory_format=torch.channels_last)


def _change(x: Tensor, share: float, rng: np.random.Generator, spoil: Callable[[Tensor], Tensor]) -> None:
    """Let `spoil` change a random `share` of the pictures, in place."""
    chosen = torch.from_numpy(np.flatnonzero(rng.random(len(x)) < share)).to(x.device)
    if len(chosen):
        x[chosen] = spoil(x[chosen])


def _jpeg(picture: Pictures, rng: np.random.Generator) -> Pictures:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=int(rng.integers(50, 96)))
    return np.asarray(Image.open(stream))


def _rescaled(x: Tensor, factor: float) -> Tensor:
    small = F.interpolate(x, scale_factor=factor, mode="bilinear", antialias=True)
    return F.interpolate(small, size=x.shape[2:], mode="bilinear", align_corners=False)


def _blurred(x: Tensor, width: float) -> Tensor:
    """Under a Gaussian of that width in px."""
    channels = x.shape[1]
    steps = torch.arange(-BLUR_RADIUS, BLUR_RADIUS + 1, device=x.device)
    weights = torch.exp(-0.5 * (steps / width) ** 2)
    kernel = (weights / weights.sum()).expand(channels, 1, 1, -1)
    x = F.pad(x, [BLUR_RADIUS] * 4, mode="replicate")
    return F.conv2d(F.conv2d(x, kernel, groups=channels), kernel.transpose(2, 3), groups=channels)


def _random(rng: np.random.Generator, shape: tuple[int, ...], spread: float, device: torch.device) -> Tensor:
    return torch.from_numpy(rng.uniform(-spread, spread, shape).astype(np.float32)).to(device)


def _amount(rng: np.random.Generator, count: int, most: float, device: torch.device) -> Tensor:
    """For each picture 0..most, small ones more often."""
    return torch.from_numpy((most * rng.random((count, 1, 1, 1)) ** 2).astype(np.float32)).to(device)
