"""First stage: pictures to latents and back, and the latents of all pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from torch import Tensor

from modules.engine.families.sd1 import SD1
from tools.miniature import nets
from tools.miniature.dataset import CELL, Shard, pixels_of, save_array
from tools.miniature.lincode import LANES, into_quant, start_linear, whitening
from tools.miniature.nets import Sizes, working_dtype
from tools.miniature.optimise import Group
from tools.miniature.state import load_state, prefixed

CROP = 64
WHOLE_AFTER = 0.8  # of the run; then whole pictures are mixed in
NOISE = 0.06  # on codes of variance 1, so that the decoder bears with a UNet that is not exact
SLOW = 0.1  # rate of the weights that carry the linear code
_STRAIGHT = 0.01  # weight of the code's moments


@dataclass(frozen=True)
class AutoencoderSettings:
    """`batch`: crops a step."""

    shards: tuple[Shard, ...]
    sizes: Sizes
    seed: int = 0
    batch: int = 16
    device: str = "cpu"

    def __call__(self) -> AutoencoderTask:
        return AutoencoderTask(self)


class AutoencoderTask:
    """Crops on the grid of latent pixels, told from the drawing by L1, squares and edges."""

    groups: Sequence[Group] = (
        *(
            Group(f"vae.{name}", SLOW, 0.0)
            for name in ("encoder.conv_out", "decoder.conv_out", "quant", "post_quant")
        ),
        Group("vae", 1.0, 0.001, lead=LANES, lead_rate=SLOW),
    )

    def __init__(self, settings: AutoencoderSettings) -> None:
        self.settings = settings
        self.device = torch.device(settings.device)
        torch.manual_seed(settings.seed)
        self.pictures = [pixels_of(shard) for shard in settings.shards]
        self.vae = nets.build_vae(settings.sizes)
        start_linear(self.vae, as_input(self._draw(np.random.default_rng(settings.seed), 24, CROP)))
        self.vae.to(self.device, memory_format=torch.channels_last)
        self.modules = {"vae": self.vae}

    def _draw(self, rng: np.random.Generator, count: int, side: int) -> np.ndarray:
        """uint8 [count, side, side, 3] crops: the busier one of two each time, as flat ground is soon learned."""
        return np.stack([max(self._crop(rng, side), self._crop(rng, side), key=_busy) for _ in range(count)])

    def _crop(self, rng: np.random.Generator, side: int) -> np.ndarray:
        shard = self.pictures[rng.integers(len(self.pictures))]
        top, left = (int(rng.integers((extent - side) // CELL + 1)) * CELL for extent in shard.shape[1:3])
        return np.array(shard[rng.integers(len(shard)), top : top + side, left : left + side])

    def loss(self, step: int, fraction: float, rank: int, replicas: int) -> tuple[Tensor, Mapping[str, float]]:
        rng = np.random.default_rng([self.settings.seed, step, rank])
        count = max(1, self.settings.batch // replicas)
        side, count = (96, max(1, count * 4 // 9)) if fraction > WHOLE_AFTER and step % 2 else (CROP, count)
        pictures = as_input(self._draw(rng, count, side)).to(self.device)
        working = next(self.vae.parameters()).dtype
        layout = torch.channels_last
        codes = nets.encode(self.vae, pictures.to(working, memory_format=layout))
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        noise = torch.randn(codes.shape, generator=generator).to(self.device, working)
        decoded = nets.decode(self.vae, codes + NOISE * noise).float()
        loss, numbers = likeness(decoded, pictures)
        return loss + _STRAIGHT * _moments(codes.float()), numbers


def likeness(decoded: Tensor, pictures: Tensor) -> tuple[Tensor, dict[str, float]]:
    """How far decoded pictures [B,3,H,W] are from the drawn ones, by squares, L1 and edges; and their PSNR in dB."""
    squares = F.mse_loss(decoded, pictures)
    loss = squares + 0.5 * F.l1_loss(decoded, pictures) + 0.5 * _edges(decoded, pictures)
    return loss, {"psnr": _psnr(float(squares.detach()))}


def _busy(crop: np.ndarray) -> float:
    """How many places of a crop differ from their left neighbours."""
    return float((crop[:, 1:, 1] != crop[:, :-1, 1]).mean())


def _edges(a: Tensor, b: Tensor) -> Tensor:
    """Mean difference of the steps between neighbours."""
    across = F.l1_loss(a[..., 1:] - a[..., :-1], b[..., 1:] - b[..., :-1])
    return across + F.l1_loss(a[..., 1:, :] - a[..., :-1, :], b[..., 1:, :] - b[..., :-1, :])


def _moments(codes: Tensor) -> Tensor:
    """How far the code is from mean 0 and unit covariance."""
    rows = codes.movedim(1, -1).flatten(0, 2)
    mean = rows.mean(0)
    spread = (rows - mean).T @ (rows - mean) / len(rows)
    return mean.square().sum() + (spread - torch.eye(len(mean), device=rows.device)).square().sum()


def _psnr(squares: float) -> float:
    """dB, of values that span 2."""
    return 10 * math.log10(4 / max(squares, 1e-12))


def as_input(pictures: np.ndarray) -> Tensor:
    """uint8 [B,H,W,3] to float32 [B,3,H,W] in -1..1."""
    return torch.from_numpy(np.array(pictures)).float().div(127.5).sub(1).movedim(-1, 1)


def loaded_vae(sizes: Sizes, tensors: Mapping[str, Tensor]) -> AutoencoderKL:
    """An autoencoder from tensors named `vae.`..."""
    vae = nets.build_vae(sizes)
    vae.load_state_dict({name.removeprefix("vae."): t.detach().float().cpu().clone() for name, t in tensors.items()})
    return vae.requires_grad_(False).eval()


@torch.no_grad()
def round_trip(vae: AutoencoderKL, pictures: np.ndarray, batch: int = 8) -> tuple[np.ndarray, float]:
    """uint8 pictures through code and back, and their PSNR in dB (the mean of the pictures' squares)."""
    parts = (part.to(memory_format=torch.channels_last) for part in as_input(pictures).split(batch))
    decoded = torch.cat([nets.decode(vae, nets.encode(vae, part)) for part in parts]).clamp(-1, 1)
    squares = float(F.mse_loss(decoded, as_input(pictures)))
    return ((decoded + 1) * 127.5).round().to(torch.uint8).movedim(1, -1).numpy(), _psnr(squares)


@torch.no_grad()
def decode_latents(vae: AutoencoderKL, latents: Tensor) -> np.ndarray:
    """uint8 pictures of latents in the UNet's scale."""
    decoded = nets.decode(vae, (latents / SD1.latent_scale).to(memory_format=torch.channels_last))
    return ((decoded.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).movedim(1, -1).numpy()


@torch.no_grad()
def whiten(vae: AutoencoderKL, pictures: np.ndarray) -> None:
    """Change the quant convolutions so that code times the family's scale has mean 0 and unit covariance."""
    codes = torch.cat([nets.encode(vae, part) for part in as_input(pictures).split(16)])
    matrix, mean = whitening(codes)
    into_quant(vae, matrix, mean, SD1.latent_scale)


def encode_all(
    file: Path, sizes: Sizes, pairs: Sequence[tuple[Shard, Path]], device: str, workers: int
) -> Iterator[int]:
    """Encode shards into the files beside them with the autoencoder in `file`; yields how many are done."""
    encode = partial(_encode_with, file, sizes, device)
    if device != "cpu" or workers < 2 or len(pairs) < 2:
        yield from (number for number, pair in enumerate(pairs, 1) if encode(pair))
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        yield from (number for number, _ in enumerate(pool.map(encode, pairs), 1))


def _encode_with(file: Path, sizes: Sizes, device: str, pair: tuple[Shard, Path]) -> bool:
    place = torch.device(device)
    vae = _ready_vae(file, sizes, device).to(memory_format=torch.channels_last)
    encode_shard(vae, *pair, place)
    return True


@cache
def _ready_vae(file: Path, sizes: Sizes, device: str) -> AutoencoderKL:
    state = load_state(file)
    if state is None:
        raise FileNotFoundError(file)
    place = torch.device(device)
    return loaded_vae(sizes, prefixed("vae", state.tensors)).to(place, working_dtype(place))


@torch.no_grad()
def encode_shard(vae: AutoencoderKL, shard: Shard, target: Path, device: torch.device, batch: int = 32) -> None:
    """Write the latents of a shard: fp16 [N,4,h,w], times the family's scale."""
    pictures = pixels_of(shard)
    working = next(vae.parameters()).dtype
    parts = []
    for start in range(0, len(pictures), batch):
        part = as_input(pictures[start : start + batch]).to(device, working, memory_format=torch.channels_last)
        parts.append((nets.encode(vae, part).float() * SD1.latent_scale).half().cpu())
    save_array(target, torch.cat(parts).numpy())
