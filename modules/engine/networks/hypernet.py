"""Hypernetworks: small networks that change what keys and values are made from, one pair for each context width.

A file holds, by width, two lists of layers (for keys and for values): x -> x + strength * MLP(x). Layers are linear,
each followed by the activation (the last one only where the file says so) and, in some files, a layer norm.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn
from torch.nn import functional as F

from modules.engine.loading.readers import read_pickle
from modules.schema.errors import ModelFileError

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda x: x,
    "relu": F.relu,
    "leakyrelu": F.leaky_relu,
    "elu": F.elu,
    # So named by the trainer, though it is the piecewise form.
    "swish": F.hardswish,
    "hardswish": F.hardswish,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    **{
        name.replace("_", ""): getattr(F, name)
        for name in (
            *("celu", "gelu", "hardshrink", "hardsigmoid", "hardtanh", "logsigmoid", "mish", "relu6", "selu"),
            *("silu", "softplus", "softshrink", "softsign", "tanhshrink"),
        )
    },
}
_OLD_NAMES = {"linear1": "linear.0", "linear2": "linear.1"}
_LAYER = re.compile(r"^linear\.(\d{1,3})\.(weight|bias)$")


class Mlp(nn.Module):
    """x + strength * MLP(x) over the last axis."""

    def __init__(self, layers: Sequence[nn.Module], activation: Callable[[Tensor], Tensor], at_end: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self._activation = activation
        linear = [k for k, layer in enumerate(layers) if isinstance(layer, nn.Linear)]
        self._activated = frozenset(linear if at_end else linear[:-1])

    def forward(self, x: Tensor, strength: float) -> Tensor:
        """[..., width] -> the same shape, in the dtype of `x`."""
        hidden = x.to(self.layers[0].weight.dtype)
        for index, layer in enumerate(self.layers):
            hidden = layer(hidden)
            if index in self._activated:
                hidden = self._activation(hidden)
        return torch.add(x, hidden.to(x.dtype), alpha=strength)


@dataclass(frozen=True)
class Hypernet:
    """By context width: the networks before keys and before values."""

    pairs: Mapping[int, tuple[Mlp, Mlp]]


class Prefixed(nn.Module):
    """A projection whose input first goes through hypernetworks, one after another."""

    def __init__(self, inner: nn.Module, before: Sequence[tuple[Mlp, float]], marks: tuple[Hashable, ...]) -> None:
        super().__init__()
        self.inner = inner
        self.before = nn.ModuleList(mlp for mlp, _ in before)
        self.marks = marks
        self._strengths = [strength for _, strength in before]

    def forward(self, x: Tensor) -> Tensor:
        for mlp, strength in zip(self.before, self._strengths, strict=True):
            x = mlp(x, strength)
        return self.inner(x)


def wrap(unet: nn.Module, hypernets: Sequence[tuple[Hashable, Hypernet, float]]) -> None:
    """Put `hypernets` (mark, network, strength), and no others, before keys and values of the attention layers."""
    marks = tuple(mark for mark, _, _ in hypernets)
    for layer in _attention(unet):
        for side, name in enumerate(("to_k", "to_v")):
            inner = getattr(layer, name)
            inner = inner.inner if isinstance(inner, Prefixed) else inner
            device = next(layer.parameters()).device
            width = int(inner.in_features)
            before = [(net.pairs[width][side].to(device), s) for _, net, s in hypernets if width in net.pairs]
            # The marks go into every layer, also where no network has the width: they tell what is in use.
            setattr(layer, name, Prefixed(inner, before, marks) if marks else inner)


def wrapped_with(unet: nn.Module) -> tuple[Hashable, ...]:
    """The marks of the hypernetworks in use."""
    first = next(_attention(unet)).to_k
    return first.marks if isinstance(first, Prefixed) else ()


def _attention(unet: nn.Module) -> Iterator[Attention]:
    return (layer for layer in unet.modules() if isinstance(layer, Attention))


def open_hypernet(path: Path) -> Hypernet:
    """Read a hypernetwork file (.pt); raises `ModelFileError`."""
    table = read_pickle(path)
    if not isinstance(table, dict):
        raise ModelFileError(f"{path.name} holds no table, so it is not a hypernetwork.")
    named = str(table.get("activation_func") or "linear").lower().replace("_", "")
    if named not in _ACTIVATIONS:
        raise ModelFileError(f"{path.name} uses the activation {named!r}, which is not known here.")
    at_end = bool(table.get("activate_output", True))
    try:
        pairs = {
            width: (_mlp(pair[0], width, named, at_end), _mlp(pair[1], width, named, at_end))
            for width, pair in table.items()
            if isinstance(width, int) and not isinstance(width, bool)
        }
    except (ValueError, RuntimeError, LookupError, TypeError, AttributeError) as error:
        raise ModelFileError(f"{path.name} is no hypernetwork that can be used here ({error}).") from None
    if not pairs:
        raise ModelFileError(f"{path.name} is not a hypernetwork: it has no layers for any width.")
    return Hypernet(pairs)


def _mlp(state: Mapping[str, Any], width: int, activation: str, at_end: bool) -> Mlp:
    """The network of a state dict; ValueError where its sizes make no chain from `width` to `width`."""
    tensors: dict[int, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        head, _, rest = name.partition(".")
        match = _LAYER.match(f"{_OLD_NAMES[head]}.{rest}" if head in _OLD_NAMES else name)
        if match is None or not isinstance(tensor, Tensor):
            raise ValueError(f"it has an unknown part {name!r}")
        tensors.setdefault(int(match[1]), {})[match[2]] = tensor.detach().float()
    layers = [_layer(tensors[index]) for index in sorted(tensors)]
    size = width
    for layer in layers:
        if isinstance(layer, nn.Linear):
            if layer.in_features != size:
                raise ValueError("its layers do not fit each other")
            size = layer.out_features
    if size != width or not isinstance(layers[0], nn.Linear):
        raise ValueError("its layers do not lead back to their width")
    return Mlp(layers, _ACTIVATIONS[activation], at_end).requires_grad_(False).eval()


def _layer(tensors: Mapping[str, Tensor]) -> nn.Module:
    """A linear layer of a matrix, a layer norm of a vector."""
    weight, bias = tensors["weight"], tensors.get("bias")
    layer: nn.Module
    if weight.ndim == 2:
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    else:
        layer = nn.LayerNorm(weight.shape, bias=bias is not None, device="meta")
    layer.load_state_dict({"weight": weight, **({} if bias is None else {"bias": bias})}, assign=True)
    return layer
