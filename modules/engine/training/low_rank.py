"""LoRA (Hu et al. 2021): layers stay as they are, and beside each a product of two narrow matrices is learned.

Files have kohya's names: `lora_unet_LAYER.lora_down.weight`, `.lora_up.weight` and `.alpha`, with layers named as in
diffusers' networks, dots as underscores; those of the text encoder begin with `lora_te_text_model_`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from modules.engine.loading.changed import named_layers
from modules.engine.loading.model import LoadedModel
from modules.engine.loading.packing import PackedConv2d
from modules.engine.training.facts import Facts
from modules.engine.training.files import save_tensors
from modules.engine.training.norms import Adam, Rule
from modules.engine.training.streams import Streams
from modules.schema.engine import NamedFile
from modules.schema.training import TrainingRequest

_TEXT_PREFIX, _UNET_PREFIX = "lora_te_text_model_", "lora_unet_"
_TEXT_LAYERS = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")
_CONVOLUTIONS = (".resnets.", ".downsamplers.", ".upsamplers.")


@dataclass(frozen=True)
class _Pair:
    """The two matrices beside a layer: their places in the flat numbers. `conv`: stride and padding of a
    convolution."""

    part: str
    layer: str
    name: str
    down: tuple[int, ...]
    up: tuple[int, ...]
    at: int
    conv: tuple[Any, Any] | None

    @property
    def between(self) -> int:
        return self.at + math.prod(self.down)

    @property
    def end(self) -> int:
        return self.between + math.prod(self.up)

    def matrices(self, flat: Tensor) -> tuple[Tensor, Tensor]:
        return flat[self.at : self.between].view(self.down), flat[self.between : self.end].view(self.up)


class LowRank:
    """The pairs of a model as one flat float32 tensor."""

    file_kind = "lora"
    folder = "loras"
    word = None

    def __init__(self, request: TrainingRequest, model: LoadedModel) -> None:
        self._request = request
        self._scale = request.lora_alpha / request.lora_rank
        self._pairs: list[_Pair] = []
        for part, name, layer in _layers(model, request):
            self._add(part, name, layer)

    @property
    def learns_to_read(self) -> bool:
        """Whether the text encoder itself changes."""
        return self._request.lora_text_encoder

    def start(self, model: LoadedModel, streams: Streams) -> Tensor:
        """Small random numbers that lead into each pair, zeros that lead out: at first nothing changes."""
        flat = torch.zeros(self._pairs[-1].end)
        for number, pair in enumerate(self._pairs):
            down, _ = pair.matrices(flat)
            bound = 1 / math.sqrt(math.prod(pair.down[1:]))
            random = torch.rand(pair.down, generator=streams.generator("lora", number))
            down.copy_((random * 2 - 1) * bound)
        return flat

    def rule(self, start: Tensor) -> Rule:
        return Adam()

    def vectors(self, flat: Tensor) -> Tensor | None:
        """There is no new word."""
        return None

    def length(self, flat: Tensor) -> float:
        """Nothing to tell."""
        return 0.0

    @contextmanager
    def acting(self, model: LoadedModel, encoder: nn.Module, flat: Tensor) -> Iterator[None]:
        """Within it the pairs take part in whatever the model (and `encoder`, its text encoder) computes."""
        layers = {"unet": dict(named_layers(model.unet)), "text": dict(named_layers(encoder))}
        with ExitStack() as stack:
            for pair in self._pairs:
                down, up = pair.matrices(flat)
                branch = _Branch(down, up, self._scale, pair.conv)
                handle = layers[pair.part][pair.layer].register_forward_hook(branch)
                stack.callback(handle.remove)
            stack.callback(model.forget_words)
            model.forget_words()
            yield

    def prompt(self, prompt: str) -> str:
        return f"{self._named_in(prompt)} <lora:{self._request.name}:1>"

    def plain(self, prompt: str) -> str:
        return self._named_in(prompt)

    def _named_in(self, prompt: str) -> str:
        return prompt.replace("[name]", self._request.name)

    def named(self, path: Path) -> NamedFile:
        return NamedFile(kind="lora", name=self._request.name, path=str(path))

    def write(self, path: Path, flat: Tensor, facts: Facts, picture: Image.Image | None = None) -> None:
        """Write the file, in half precision as is usual; atomic. Raises OSError."""
        tensors: dict[str, Tensor] = {}
        whole = flat.detach().cpu()
        for pair in self._pairs:
            down, up = pair.matrices(whole)
            tensors[f"{pair.name}.lora_down.weight"] = down.half().contiguous()
            tensors[f"{pair.name}.lora_up.weight"] = up.half().contiguous()
            tensors[f"{pair.name}.alpha"] = torch.tensor(self._request.lora_alpha)
        save_tensors(path, tensors, {"format": "pt", **facts.notes, "ss_steps": str(facts.step)})

    def write_on(self, path: Path, flat: Tensor, facts: Facts, picture: Image.Image) -> None:
        """A LoRA is too large to travel in a picture."""

    def _add(self, part: str, name: str, layer: nn.Module) -> None:
        prefix = _UNET_PREFIX if part == "unet" else _TEXT_PREFIX
        rank = self._request.lora_rank
        conv = None
        if isinstance(layer, nn.Conv2d | PackedConv2d):
            kernel = tuple(layer.kernel_size)
            down, up = (rank, layer.in_channels, *kernel), (layer.out_channels, rank, 1, 1)
            conv = (layer.stride, layer.padding)
        else:
            down, up = (rank, layer.in_features), (layer.out_features, rank)
        at = self._pairs[-1].end if self._pairs else 0
        self._pairs.append(_Pair(part, name, prefix + name.replace(".", "_"), down, up, at, conv))


@dataclass(frozen=True)
class _Branch:
    """A forward hook that adds a pair's answer to its layer's."""

    down: Tensor
    up: Tensor
    scale: float
    conv: tuple[Any, Any] | None

    def __call__(self, layer: nn.Module, given: tuple[Tensor, ...], answer: Tensor) -> Tensor:
        # On a CPU matrices as narrow as these are multiplied faster in float32.
        x = given[0].float() if given[0].device.type == "cpu" else given[0]
        down, up = self.down.to(x.dtype), (self.up * self.scale).to(x.dtype)
        if self.conv is None:
            return answer + F.linear(F.linear(x, down), up).to(answer.dtype)
        stride, padding = self.conv
        return answer + F.conv2d(F.conv2d(x, down, stride=stride, padding=padding), up).to(answer.dtype)


def _layers(model: LoadedModel, request: TrainingRequest) -> Iterator[tuple[str, str, nn.Module]]:
    """(part, name, layer) of what is changed: all matrices of the attention blocks (as kohya's trainer does), on
    request the convolutions around them, and those of the text encoder."""
    convolutions = request.lora_layers == "Attention and convolutions"
    for name, layer in named_layers(model.unet):
        if not (hasattr(layer, "in_features") or hasattr(layer, "in_channels")):
            continue
        if ".attentions." in name or (convolutions and any(words in name for words in _CONVOLUTIONS)):
            yield "unet", name, layer
    if request.lora_text_encoder:
        for name, layer in named_layers(model.text_encoder):
            if name.rpartition(".")[2] in _TEXT_LAYERS:
                yield "text", name, layer
