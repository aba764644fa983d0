"""The decoder alone, after the code is settled: the latents stay, so what the UNet has learned stays true.

The code tells fine textures apart long before the decoder can paint them; here it learns to, from whole pictures of
every style alike.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from modules.engine.families.sd1 import SD1
from tools.miniature import nets
from tools.miniature.autoencoder import NOISE, as_input, likeness, loaded_vae
from tools.miniature.dataset import SIZES, Shard, pixels_of
from tools.miniature.nets import Sizes
from tools.miniature.optimise import Group
from tools.miniature.state import load_state, prefixed

OTHER_SIZES_EVERY = 10  # steps
PARTS = ("decoder", "post_quant_conv")


@dataclass(frozen=True)
class DecoderSettings:
    """`latents`: the file of each shard; `code`: that of the settled autoencoder; `batch`: pictures a step."""

    shards: tuple[Shard, ...]
    latents: tuple[Path, ...]
    code: Path
    sizes: Sizes
    seed: int = 0
    batch: int = 4
    device: str = "cpu"

    def __call__(self) -> DecoderTask:
        return DecoderTask(self)


class DecoderTask:
    """Pictures from their latents, told from the drawing as in the first stage."""

    groups: Sequence[Group] = (Group("vae", 1.0, 0.001),)

    def __init__(self, settings: DecoderSettings) -> None:
        self.settings = settings
        self.device = torch.device(settings.device)
        state = load_state(settings.code)
        if state is None:
            raise FileNotFoundError(settings.code)
        self.vae = loaded_vae(settings.sizes, prefixed("vae", state.tensors))
        self.vae.to(self.device, memory_format=torch.channels_last)
        self.modules = {f"vae.{part}": getattr(self.vae, part).requires_grad_(True) for part in PARTS}
        pairs = list(zip(settings.shards, settings.latents, strict=True))
        self._sets = [_StyleSet([pair for pair in pairs if pair[0].size == size]) for size in SIZES]

    def loss(self, step: int, fraction: float, rank: int, replicas: int) -> tuple[Tensor, Mapping[str, float]]:
        rng = np.random.default_rng([self.settings.seed, step, rank])
        other = step % OTHER_SIZES_EVERY == OTHER_SIZES_EVERY - 1
        held = self._sets[int(rng.integers(1, len(self._sets))) if other else 0]
        latents, pictures = held.draw(rng, max(1, self.settings.batch // replicas))
        codes = (latents + NOISE * rng.standard_normal(latents.shape, np.float32)) / SD1.latent_scale
        working = next(self.vae.decoder.parameters()).dtype
        given = torch.from_numpy(codes).to(self.device, working, memory_format=torch.channels_last)
        return likeness(nets.decode(self.vae, given).float(), as_input(pictures).to(self.device))


class _StyleSet:
    """The pictures of one size with their latents, drawn in equal shares of the styles."""

    def __init__(self, pairs: Sequence[tuple[Shard, Path]]) -> None:
        self._held = [(np.load(latents, mmap_mode="r"), pixels_of(shard)) for shard, latents in pairs]
        self._of_style: dict[str, list[tuple[int, int]]] = {}
        for number, (shard, _) in enumerate(pairs):
            for place, line in enumerate(shard.lines.read_text(encoding="utf-8").splitlines()):
                self._of_style.setdefault(json.loads(line)["style"], []).append((number, place))

    def draw(self, rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Latents float32 [count,4,h,w] in the UNet's scale, and their pictures uint8 [count,H,W,3]."""
        styles = list(self._of_style.values())
        chosen = [styles[style] for style in rng.integers(len(styles), size=count)]
        places = [places[rng.integers(len(places))] for places in chosen]
        latents = np.stack([self._held[number][0][place] for number, place in places])
        return latents.astype(np.float32), np.stack([self._held[number][1][place] for number, place in places])
