"""Weights of a loaded model that were changed, with a way back to the very bits of the file.

The originals of changed tensors alone are kept, on the CPU, and those in float32 that came from a half-precision file
in half precision again. Each change starts from the original in float32 and is rounded once, so nothing drifts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from modules.engine.loading.packing import LaidOutGroupNorm, PackedConv2d, PackedLinear

Edit = Callable[[Tensor], None]


class Slot(NamedTuple):
    """A tensor of a model: its part ("unet", "text"), the layer's name in it, and which of the layer's tensors."""

    part: str
    layer: str
    which: Literal["weight", "bias"]


class ChangedWeights:
    """`version` counts the changes: what was computed with another version may no longer hold."""

    def __init__(self) -> None:
        self._kept: dict[Slot, tuple[nn.Module, Tensor | None]] = {}
        self._own: set[Slot] = set()
        self.version = 0

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def bytes_kept(self) -> int:
        """Size of the originals that are kept."""
        return sum(kept.numel() * kept.element_size() for _, kept in self._kept.values() if kept is not None)

    def edit(self, slot: Slot, layer: nn.Module, edit: Edit) -> None:
        """Let `edit` change the original in place, in float32, and give the result to the layer.

        Where it raises, the original is put back. A bias that is not there is edited as zeros.
        """
        self.version += 1
        # Made under inference mode a tensor could never take part in training again.
        with torch.inference_mode(False), torch.no_grad():
            self._keep(slot, layer)
            try:
                self._edit(slot, layer, edit)
            except BaseException:
                self.restore(slot)
                raise

    def restore(self, slot: Slot) -> None:
        """Put the original back, bit for bit."""
        if slot not in self._kept:
            return
        self.version += 1
        layer, original = self._kept.pop(slot)
        self._own.discard(slot)
        with torch.inference_mode(False), torch.no_grad():
            _put(layer, slot.which, _widened(original, layer, slot.which))

    def restore_all(self) -> None:
        for slot in list(self._kept):
            self.restore(slot)

    def _keep(self, slot: Slot, layer: nn.Module) -> None:
        if slot not in self._kept:
            self._kept[slot] = layer, _narrowed(_get(layer, slot.which))

    def _edit(self, slot: Slot, layer: nn.Module, edit: Edit) -> None:
        original = self._kept[slot][1]
        stored = _stored(layer, slot.which)
        if original is None or stored is None:
            weight = _stored(layer, "weight")
            assert weight is not None
            work = torch.zeros(weight_shape(layer)[0], device=weight.device)
            edit(work)
            _put(layer, slot.which, work.to(weight.dtype))
            return
        # The second change of a plain float32 tensor reuses the memory of the first.
        if slot in self._own:
            edit(stored.copy_(original))
            return
        work = original.to(stored.device, torch.float32, copy=True).contiguous()
        edit(work)
        _put(layer, slot.which, work.to(stored.dtype))
        if stored.dtype == torch.float32 and not isinstance(layer, PackedConv2d) and stored.is_contiguous():
            self._own.add(slot)


def named_layers(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Every layer of `network` that has a weight, by its name without what packing adds to it."""
    for name, layer in network.named_modules():
        if isinstance(layer, LaidOutGroupNorm):
            yield name, layer.inner
        elif isinstance(layer, PackedConv2d | PackedLinear) or (
            isinstance(getattr(layer, "weight", None), Tensor) and not name.endswith(".inner")
        ):
            yield name, layer


def weight_shape(layer: nn.Module) -> torch.Size:
    stored = _stored(layer, "weight")
    assert stored is not None
    return stored.shape


def _get(layer: nn.Module, which: str) -> Tensor | None:
    """The tensor in the ordinary layout."""
    if which == "weight" and isinstance(layer, PackedConv2d | PackedLinear):
        return layer.dense()
    return _stored(layer, which)


def _stored(layer: nn.Module, which: str) -> Tensor | None:
    """The tensor as the layer has it, which may be packed."""
    if which == "weight" and isinstance(layer, PackedConv2d | PackedLinear):
        return layer.packed
    tensor = getattr(layer, which, None)
    return None if tensor is None else tensor.detach()


def _put(layer: nn.Module, which: str, tensor: Tensor | None) -> None:
    if tensor is not None and which == "weight" and isinstance(layer, PackedConv2d | PackedLinear):
        layer.load(tensor)
        return
    setattr(layer, which, None if tensor is None else nn.Parameter(tensor, requires_grad=False))


def _narrowed(tensor: Tensor | None) -> Tensor | None:
    """The tensor on the CPU, in half precision where that holds every value exactly."""
    if tensor is None:
        return None
    if tensor.dtype == torch.float32 and tensor.ndim > 1:
        half = tensor.half()
        if torch.equal(half.float().view(torch.int32), tensor.view(torch.int32)):
            return half.cpu()
    return tensor.cpu()


def _widened(kept: Tensor | None, layer: nn.Module, which: str) -> Tensor | None:
    """What was kept in the layer's present device, format and memory layout."""
    stored = _stored(layer, which)
    if kept is None or stored is None:
        return kept
    if which == "weight" and isinstance(layer, PackedConv2d | PackedLinear):
        return kept.to(stored.dtype)
    if kept.dtype == stored.dtype and kept.device == stored.device:
        return kept
    return torch.empty_like(stored).copy_(kept)
