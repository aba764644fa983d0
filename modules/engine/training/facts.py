"""What a written file tells of its training."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Facts:
    """`checkpoint_hash` is A1111's, 10 digits of the sha256. `notes` are a LoRA's own, by kohya's names."""

    name: str
    step: int
    checkpoint: str
    checkpoint_hash: str
    notes: dict[str, str]
