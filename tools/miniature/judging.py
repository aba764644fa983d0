"""The judge: a small network that reads a drawing's facts from its picture. It knows nothing of the miniature.

    judge = Judge.load()
    judge.read(pictures)[0]["colour1"]

Picture -> convolutions, to one token for 16x16 px -> transformer layers over these tokens and one more for each
attribute -> a softmax for each attribute.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from modules.schema.errors import ModelFileError

Pictures = NDArray[np.uint8]
Attributes = Mapping[str, tuple[str, ...]]

JUDGE_FILE = Path(__file__).with_name("judge.safetensors")
CHANNELS = (64, 128, 224)
HEADS = 7
FREQUENCIES = 4


class ConvBlock(nn.Module):
    """Convolution, normalisation, ReLU. Normalised over the batch, so that it can be folded into the convolution."""

    def __init__(self, inputs: int, outputs: int, side: int = 3, stride: int = 1, *, act: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, side, stride, 1, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outputs)
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x))
        return F.relu(x) if self.act else x

    def fold(self) -> None:
        """Put the normalisation into the convolution; for reading only."""
        if isinstance(self.norm, nn.BatchNorm2d):
            self.conv, self.norm = fuse_conv_bn_eval(self.conv, self.norm), nn.Identity()


class Residual(nn.Module):
    """Two convolutions beside a straight path (He et al., 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvBlock(channels, channels)
        self.second = ConvBlock(channels, channels, act=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.second(self.first(x)))


class Mixer(nn.Module):
    """A transformer layer, normalised first: [B, T, width] to the same."""

    def __init__(self, width: int, heads: int = HEADS) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 3 * width), nn.Linear(3 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        # Written out: faster than the fused attention on CPUs for so few tokens, by far so in training.
        shares = (q @ k.transpose(2, 3) * q.shape[-1] ** -0.5).softmax(-1)
        x = x + self.out((shares.to(v.dtype) @ v).transpose(1, 2).flatten(2))
        return x + self.narrow(F.gelu(self.wide(self.norm2(x))))


class JudgeNet(nn.Module):
    """Pictures [B, 3, H, W] in -1..1 (any size that divides by 16) to logits [B, values] for each attribute."""

    def __init__(self, attributes: Attributes, channels: tuple[int, ...] = CHANNELS, layers: int = 2) -> None:
        super().__init__()
        fine, middle, width = self.channels = channels
        self.features = nn.Sequential(
            ConvBlock(3, fine // 2, 4, 2),
            ConvBlock(fine // 2, fine, 4, 2),
            Residual(fine),
            ConvBlock(fine, middle, 3, 2),
            Residual(middle),
            Residual(middle),
            ConvBlock(middle, width, 3, 2),
        )
        self.place = nn.Linear(4 * FREQUENCIES, width)
        self.asks = nn.Parameter(torch.randn(len(attributes), width) * 0.02)
        self.mixers = nn.Sequential(*(Mixer(width) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        self.heads = nn.ModuleDict({name: nn.Linear(width, len(values)) for name, values in attributes.items()})

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        return self.answers(self.tokens(pictures))

    def tokens(self, pictures: Tensor) -> Tensor:
        """[B, H/16 * W/16, width]: what is seen at each place."""
        grid = self.features(pictures)
        return grid.flatten(2).transpose(1, 2) + self.place(_places(grid))

    def answers(self, tokens: Tensor) -> dict[str, Tensor]:
        asks = self.asks.expand(len(tokens), -1, -1).to(tokens.dtype)
        mixed = self.norm(self.mixers(torch.cat([asks, tokens], 1))[:, : len(self.heads)])
        return {name: head(mixed[:, k]) for k, (name, head) in enumerate(self.heads.items())}

    def fold(self) -> None:
        """Make it ready for reading: all normalisations over the batch go into their convolutions."""
        self.eval()
        for block in [module for module in self.modules() if isinstance(module, ConvBlock)]:
            block.fold()


def _places(grid: Tensor) -> Tensor:
    """Waves over each cell's place in the picture, [h*w, 4 * FREQUENCIES]."""
    height, width = grid.shape[2:]
    y, x = ((torch.arange(n, device=grid.device, dtype=torch.float32) + 0.5) / n for n in (height, width))
    waves = 2.0 ** torch.arange(FREQUENCIES, device=grid.device) * (math.pi / 2)
    angles = torch.cat(torch.broadcast_tensors(y[:, None, None] * waves, x[None, :, None] * waves), -1)
    return torch.cat([angles.sin(), angles.cos()], -1).flatten(0, 1).to(grid.dtype)


def as_inputs(pictures: Tensor) -> Tensor:
    """uint8 [N, H, W, 3] to float32 [N, 3, H, W] in -1..1, channels last in memory."""
    return (pictures.permute(0, 3, 1, 2).float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)


class Judge:
    """Reads facts from pictures. `attributes`: the values it can tell, by attribute's name."""

    def __init__(self, net: JudgeNet, attributes: Attributes, device: str | torch.device = "cpu") -> None:
        self.attributes = dict(attributes)
        self._net = net.eval().to(device=device, memory_format=torch.channels_last)
        self._device = torch.device(device)

    @classmethod
    def load(cls, path: Path = JUDGE_FILE, device: str | torch.device = "cpu") -> Judge:
        """The judge of a file that `save` wrote; raises ModelFileError when it is not one."""
        try:
            with safe_open(path, "pt") as file:
                facts = json.loads((file.metadata() or {})["judge"])
                weights = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118 (not a dict)
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise ModelFileError(f"{path.name} is not a judge's file; train one with the stage judge.") from error
        attributes = {name: tuple(values) for name, values in facts["attributes"].items()}
        net = JudgeNet(attributes, tuple(facts["channels"]), facts["layers"])
        net.fold()
        net.load_state_dict(weights)
        return cls(net, attributes, device)

    @torch.inference_mode()
    def probabilities(self, pictures: Pictures) -> dict[str, NDArray[np.float32]]:
        """How likely each value of each attribute is: [N, values] for uint8 pictures [N, H, W, 3]."""
        parts = [self._net(as_inputs(part)) for part in self._batches(pictures)]
        return {
            name: torch.cat([part[name].float().softmax(-1) for part in parts]).cpu().numpy()
            for name in self.attributes
        }

    def read(self, pictures: Pictures) -> list[dict[str, str]]:
        """The likeliest value of every attribute for each of uint8 pictures [N, H, W, 3]."""
        best = {name: shares.argmax(-1) for name, shares in self.probabilities(pictures).items()}
        return [{name: self.attributes[name][best[name][k]] for name in best} for k in range(len(pictures))]

    def likelihood(self, pictures: Pictures, **asked: str) -> NDArray[np.float32]:
        """How likely the asked values are, [N]: the product over attributes, as in `likelihood(p, colour1="red")`."""
        shares = self.probabilities(pictures)
        columns = [shares[name][:, self.attributes[name].index(value)] for name, value in asked.items()]
        return np.prod(columns, axis=0, dtype=np.float32)

    def _batches(self, pictures: Pictures, size: int = 64) -> Iterator[Tensor]:
        if pictures.ndim != 4 or pictures.shape[-1] != 3 or not len(pictures):
            raise ValueError(f"pictures are uint8 [N, H, W, 3], not {pictures.shape}")
        yield from torch.from_numpy(np.ascontiguousarray(pictures)).to(self._device).split(size)


def save(net: JudgeNet, attributes: Attributes, path: Path, **facts: Any) -> None:
    """Write a folded network as fp16 .safetensors; `facts` go to its metadata beside what loading needs."""
    wanted = {
        "attributes": {name: list(values) for name, values in attributes.items()},
        "channels": net.channels,
        "layers": len(net.mixers),
        **facts,
    }
    weights = {key: value.half().cpu().contiguous() for key, value in net.state_dict().items()}
    part = path.with_name(path.name + ".part")
    save_file(weights, part, metadata={"format": "pt", "judge": json.dumps(wanted)})
    os.replace(part, path)
