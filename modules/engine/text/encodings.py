"""What text encoders made of chunks, kept for the next time the same words are asked for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from weakref import WeakKeyDictionary

from torch import Tensor, nn


class Encodings:
    """The last `capacity` chunks of each text encoder; an encoder that is gone takes its chunks along.

    The key must name everything that the states depend on beside the encoder itself: tokens, embeddings, clip skip,
    and what changes the encoder's weights.
    """

    def __init__(self, capacity: int = 256) -> None:
        self._capacity = capacity
        self._kept: WeakKeyDictionary[nn.Module, OrderedDict[Hashable, Tensor]] = WeakKeyDictionary()

    def get(self, encoder: nn.Module, key: Hashable, make: Callable[[], Tensor]) -> Tensor:
        """The states kept under `key`, made where there are none; not to be written to."""
        kept = self._kept.setdefault(encoder, OrderedDict())
        if key not in kept:
            kept[key] = make()
        kept.move_to_end(key)
        while len(kept) > self._capacity:
            kept.popitem(last=False)
        return kept[key]
