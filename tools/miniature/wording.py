"""Captions as the text encoder reads them: rows of a small embedding of the tokens that captions use.

The embedding of the model file has 49,408 rows. Training keeps one row for each token that occurs, and one for all
others, so that it costs nothing; the file gets them all (`full_embedding`).
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from modules.prompts.chunks import chunk_prompt
from modules.prompts.tokens import BOS, EOS, ClipTokenizer, load_tokenizer
from tools.miniature.dataset import replace_file
from tools.miniature.nets import VOCABULARY
from tools.miniature.world.captions import caption
from tools.miniature.world.facts import Facts
from tools.miniature.world.sampling import LEVELS, sample

OTHER = 0  # the row of every token that no caption uses
_CAPTIONS = 12_000  # that are read to find the tokens in use
UNKNOWN_SHARE = 0.1  # of captions that get unknown words in training
EMPTY_SHARE = 0.1  # of captions that are left out in training, so that the empty prompt means something


@dataclass(frozen=True)
class Wording:
    """`tokens`: in the order of their rows, which begin after `OTHER`."""

    tokens: tuple[int, ...]

    @cached_property
    def rows(self) -> dict[int, int]:
        return {token: row for row, token in enumerate(self.tokens, OTHER + 1)}

    @cached_property
    def tokenizer(self) -> ClipTokenizer:
        return load_tokenizer()

    @property
    def size(self) -> int:
        return len(self.tokens) + 1

    def read(self, text: str) -> list[int]:
        """Rows of the first chunk of a prompt, 77 of them."""
        return [self.rows.get(token, OTHER) for token in chunk_prompt(text, self.tokenizer)[0].tokens]

    def batch(self, texts: Sequence[str]) -> Tensor:
        """[B, 77]"""
        return torch.tensor([self.read(text) for text in texts])

    def train_batch(self, facts: Sequence[Facts], rng: random.Random, empty: float = EMPTY_SHARE) -> Tensor:
        """New captions of `facts`, some left out, some with unknown words among theirs: [B, 77]."""
        return torch.tensor([self._train_rows(one, rng, empty) for one in facts])

    def _train_rows(self, facts: Facts, rng: random.Random, empty: float) -> list[int]:
        if rng.random() < empty:
            return self.read("")
        rows = self.read(caption(facts, rng))
        if rng.random() < UNKNOWN_SHARE:
            words = rows.index(self.rows[EOS])
            for _ in range(rng.randint(1, 3)):
                rows.insert(rng.randint(1, words), OTHER)
                rows.pop()
        return rows

    def end(self, rows: Tensor) -> Tensor:
        """Where each text [B,77] ends: the place of its first end token [B]."""
        return (rows == self.rows[EOS]).int().argmax(1)

    def full_embedding(self, small: Tensor) -> Tensor:
        """The embedding [49408, D] of the model file from the trained one."""
        full = small[OTHER].repeat(VOCABULARY, 1)
        full[list(self.tokens)] = small[OTHER + 1 :]
        return full


def load_wording(path: Path) -> Wording:
    """From the file of an earlier run, or found from captions and written there."""
    if path.exists():
        return Wording(tuple(json.loads(path.read_text(encoding="utf-8"))))
    tokenizer, rng = load_tokenizer(), random.Random(0)
    used: set[int] = {BOS, EOS}
    for seed in range(_CAPTIONS):
        used.update(tokenizer.encode(caption(sample(seed, "train", seed % LEVELS), rng)))
    wording = Wording(tuple(sorted(used)))
    replace_file(path, json.dumps(wording.tokens).encode())
    return wording
