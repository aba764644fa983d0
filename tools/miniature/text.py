"""Second stage: the text encoder learns to say what a caption means before it has to steer a UNet.

From what it says at the end of a text, and in the mean of the padding after it, linear heads read the drawing's facts
and a coarse picture of its latent. The heads are thrown away.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tools.miniature import nets
from tools.miniature.dataset import Shard
from tools.miniature.latents import LatentSet
from tools.miniature.nets import Sizes
from tools.miniature.optimise import Group
from tools.miniature.passes import run_text
from tools.miniature.wording import Wording, load_wording
from tools.miniature.world.facts import Facts
from tools.miniature.world.labels import ATTRIBUTES, NOT_SHOWN, labels

COARSE = 8  # side of the latent's coarse picture
SHORT = 40  # tokens of padded text in most steps; captions are shorter
_WHOLE_AFTER = 0.85  # of the run; then all 77


@dataclass(frozen=True)
class TextSettings:
    """`batch`: captions a step."""

    shards: tuple[Shard, ...]
    latents: tuple[Path, ...]
    vocabulary: Path
    sizes: Sizes
    seed: int = 0
    batch: int = 128
    device: str = "cpu"

    def __call__(self) -> TextTask:
        return TextTask(self)


class Heads(nn.Module):
    """Linear readers of the facts and of the coarse latent."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.facts = nn.Linear(2 * width, sum(len(values) for values in ATTRIBUTES.values()))
        self.coarse = nn.Linear(2 * width, 4 * COARSE * COARSE)


class TextTask:
    groups: Sequence[Group] = (Group("text.embeddings", 1.0, 0.0), Group("", 1.0, 0.01))

    def __init__(self, settings: TextSettings) -> None:
        self.settings = settings
        self.device = torch.device(settings.device)
        torch.manual_seed(settings.seed)
        self.wording: Wording = load_wording(settings.vocabulary)
        self.text = nets.build_text(settings.sizes, self.wording.size).to(self.device)
        self.heads = Heads(settings.sizes.text_width).to(self.device)
        self.data = LatentSet(settings.shards, settings.latents, self.device)
        self.modules = {"text": self.text, "heads": self.heads}

    def loss(self, step: int, fraction: float, rank: int, replicas: int) -> tuple[Tensor, Mapping[str, float]]:
        rng = np.random.default_rng([self.settings.seed, step, rank])
        count = max(1, self.settings.batch // replicas)
        latents, facts = self.data.draw(rng, count, 0.3 + 0.7 * fraction, other_size=False)
        rows = self.wording.train_batch(facts, random.Random(int(rng.integers(2**62))), empty=0.0)
        rows = rows if fraction > _WHOLE_AFTER else rows[:, :SHORT]
        said = run_text(self.text, rows.to(self.device))
        ends = self.wording.end(rows).to(self.device)
        read = _read_out(said, ends)
        wrong, right = _facts_loss(self.heads.facts(read).float(), facts)
        coarse = F.adaptive_avg_pool2d(latents, COARSE).flatten(1)
        unlike = F.mse_loss(self.heads.coarse(read).float(), coarse)
        return wrong + unlike, {"right": right, "coarse": float(unlike.detach())}


def _read_out(said: Tensor, ends: Tensor) -> Tensor:
    """[B, 2D] of states [B,T,D]: at the end, and the mean of those after it."""
    after = (torch.arange(said.shape[1], device=said.device) > ends[:, None]).to(said.dtype)[:, :, None]
    mean = (said * after).sum(1) / after.sum(1).clamp(min=1)
    return torch.cat([said[torch.arange(len(said), device=said.device), ends], mean], 1)


def _facts_loss(logits: Tensor, facts: Sequence[Facts]) -> tuple[Tensor, float]:
    """Mean cross-entropy over the attributes, and the share of attributes that were told right."""
    wanted = [labels(one) for one in facts]
    total, right, known = logits.new_zeros(()), 0.0, 0.0
    parts = logits.split([len(values) for values in ATTRIBUTES.values()], 1)
    for name, part in zip(ATTRIBUTES, parts, strict=True):
        target = torch.tensor([one[name] for one in wanted], device=logits.device)
        shown = target != NOT_SHOWN
        if bool(shown.any()):
            total = total + F.cross_entropy(part[shown], target[shown])
            right += float((part[shown].argmax(1) == target[shown]).sum())
            known += float(shown.sum())
    return total / len(ATTRIBUTES), right / max(known, 1.0)
