"""In which batches the pictures are learned: every picture once an epoch, pictures of one size together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from modules.engine.training.streams import Streams

Size = tuple[int, int]


@dataclass
class Order:
    """Batches by their running number; nothing of it needs to be kept to go on with a run.

    `sizes`: of each picture. A size whose pictures do not fill the last batch of an epoch has a smaller one.
    """

    sizes: Sequence[Size]
    batch_size: int
    streams: Streams
    _epoch: tuple[int, list[list[int]]] | None = field(default=None, repr=False)

    @property
    def batches(self) -> int:
        """Batches an epoch."""
        counts = [sum(size == one for size in self.sizes) for one in set(self.sizes)]
        return sum(-(-count // self.batch_size) for count in counts)

    def place(self, number: int) -> tuple[int, int]:
        """(epoch, batch in it) of batch `number`, all from 0."""
        return divmod(number, self.batches)

    def batch(self, number: int) -> list[int]:
        """Which pictures are batch `number`."""
        epoch, place = self.place(number)
        if self._epoch is None or self._epoch[0] != epoch:
            self._epoch = (epoch, self._of_epoch(epoch))
        return self._epoch[1][place]

    def _of_epoch(self, epoch: int) -> list[list[int]]:
        groups: dict[Size, list[int]] = {}
        for picture in self.streams.shuffled(len(self.sizes), "order", epoch):
            groups.setdefault(self.sizes[picture], []).append(picture)
        step = self.batch_size
        batches = [group[at : at + step] for group in groups.values() for at in range(0, len(group), step)]
        return [batches[k] for k in self.streams.shuffled(len(batches), "batches", epoch)]
