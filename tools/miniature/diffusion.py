"""Third stage: the UNet learns to see noise in latents, and the text encoder to tell it what is there."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn
from transformers.models.clip.modeling_clip import CLIPTextModel

from modules.engine.diffusion.noise import NoiseStream
from modules.engine.diffusion.prediction import denoiser
from modules.engine.diffusion.sampling import plan, run, start
from modules.engine.diffusion.schedule import NoiseSchedule
from modules.engine.families.sd1 import SD1
from modules.schema.request import GenerationRequest
from tools.miniature import nets
from tools.miniature.dataset import Shard
from tools.miniature.latents import OTHER_SIZES_EVERY, LatentSet
from tools.miniature.nets import Sizes
from tools.miniature.optimise import Flat, Group
from tools.miniature.passes import run_text, run_unet
from tools.miniature.replicas import ROUND
from tools.miniature.wording import Wording, load_wording

SNR_CAP = 5.0  # min-SNR weighting (Hang et al. 2023)
SHARED = 2  # noisy versions of each drawn sample in a batch: its caption is encoded once
SMALL_UNTIL, SMALL = 0.35, 2  # early steps, with a batch so many times smaller


@dataclass(frozen=True)
class DiffusionSettings:
    """`batch`: noisy latents a step; `start`: tensors of the pretrained text encoder."""

    shards: tuple[Shard, ...]
    latents: tuple[Path, ...]
    vocabulary: Path
    start: Mapping[str, Tensor]
    sizes: Sizes
    seed: int = 0
    batch: int = 32
    device: str = "cpu"

    def __call__(self) -> DiffusionTask:
        return DiffusionTask(self)


class DiffusionTask:
    groups: Sequence[Group] = (Group("text", 0.3, 0.0), Group("unet", 1.0, 0.01))

    def __init__(self, settings: DiffusionSettings) -> None:
        self.settings = settings
        self.device = torch.device(settings.device)
        torch.manual_seed(settings.seed)
        self.wording = load_wording(settings.vocabulary)
        unet = nets.build_unet(settings.sizes)
        start_quiet(unet)
        text = nets.build_text(settings.sizes, self.wording.size)
        if settings.start:
            text.load_state_dict(dict(settings.start))
        layout = torch.channels_last
        self.unet, self.text = unet.to(self.device, memory_format=layout), text.to(self.device)
        self.modules = {"unet": self.unet, "text": self.text}
        self.data = LatentSet(settings.shards, settings.latents, self.device)
        self.alphas = SD1.schedule().alphas_cumprod.to(self.device)

    def loss(self, step: int, fraction: float, rank: int, replicas: int) -> tuple[Tensor, Mapping[str, float]]:
        rng = np.random.default_rng([self.settings.seed, step, rank])
        # What was learned in order once is gone over mixed.
        fraction = fraction if step < ROUND else 1.0
        batch = self.settings.batch // (SMALL if fraction < SMALL_UNTIL else 1)
        count = max(1, batch // replicas // SHARED)
        # The same size in every replica, so that none waits for the others.
        odd = step % OTHER_SIZES_EVERY == OTHER_SIZES_EVERY - 1
        latents, facts = self.data.draw(rng, count, fraction, odd)
        rows = self.wording.train_batch(facts, random.Random(int(rng.integers(2**62)))).to(self.device)
        working = next(self.unet.parameters()).dtype
        words = run_text(self.text, rows).repeat(SHARED, 1, 1)
        latents = latents.repeat(SHARED, 1, 1, 1)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        noise = torch.randn(latents.shape, generator=generator).to(self.device)
        t = stratified(rng, rank, replicas, len(latents)).to(self.device)
        alpha = self.alphas[t][:, None, None, None]
        noisy = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise
        seen = run_unet(self.unet, noisy.to(working, memory_format=torch.channels_last), t, words)
        squares = (seen.float() - noise).square().mean((1, 2, 3))
        loss = (squares * snr_weight(self.alphas[t])).mean()
        return loss, {"squares": float(squares.detach().mean())}


def stratified(rng: np.random.Generator, rank: int, replicas: int, count: int) -> Tensor:
    """Timesteps [count] in 0..999 in random order, spread evenly over the schedule by all replicas together."""
    places = (np.arange(count) * replicas + rank + rng.random(count)) / (count * replicas)
    return torch.from_numpy(rng.permutation((places * 1000).astype(np.int64).clip(0, 999)))


def snr_weight(alphas: Tensor) -> Tensor:
    """Weight of the squared error of epsilon: min(SNR, 5) / SNR."""
    snr = alphas / (1 - alphas)
    return snr.clamp(max=SNR_CAP) / snr


@torch.no_grad()
def start_quiet(unet: UNet2DConditionModel) -> None:
    """Let every block add nothing at first, as in the first DDPMs: the last layer of each starts at zero."""
    for name, layer in unet.named_modules():
        if name.endswith(("conv2", "proj_out", "conv_out")):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)


@dataclass(frozen=True)
class Trained:
    """Networks with averaged weights, in fp32 on the CPU."""

    unet: UNet2DConditionModel
    text: CLIPTextModel
    wording: Wording


def trained(sizes: Sizes, wording: Wording, tensors: Mapping[str, Tensor]) -> Trained:
    """From tensors named `unet.`... and `text.`..."""
    unet, text = nets.build_unet(sizes), nets.build_text(sizes, wording.size)
    for prefix, module in (("unet.", unet), ("text.", text)):
        own = {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
        module.load_state_dict({name: t.detach().float().cpu().clone() for name, t in own.items()})
    return Trained(unet.requires_grad_(False).eval(), text.requires_grad_(False).eval(), wording)


def averaged(sizes: Sizes, wording: Wording, flat: Flat) -> Trained:
    return trained(sizes, wording, flat.tensors("average"))


@torch.no_grad()
def paint(model: Trained, texts: Sequence[str], *, steps: int = 12, cfg: float = 5.0, seed: int = 1) -> Tensor:
    """Latents [N,4,16,16] of prompts, by the product's own sampler (DPM++ 2M Karras), all in one batch."""
    working = torch.bfloat16 if torch.cpu.get_capabilities().get("amx_bf16") else torch.float32
    unet = model.unet.to(working, memory_format=torch.channels_last)
    words = run_text(model.text, model.wording.batch([*texts, *[""] * len(texts)])).to(working)
    schedule: NoiseSchedule = SD1.schedule()

    def network(x: Tensor, t: Tensor, cross: Tensor) -> Tensor:
        return run_unet(unet, x.to(working, memory_format=torch.channels_last), t, cross).float()

    estimate = denoiser(network, schedule, "epsilon")

    class _Guided:
        def __call__(self, x: Tensor, sigma: float) -> Tensor:
            asked, empty = estimate(torch.cat([x, x]), sigma, words).chunk(2)
            return empty + cfg * (asked - empty)

        def both(self, x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
            return self(x, sigma), x

    request = GenerationRequest(steps=steps, sampler="DPM++ 2M", scheduler="Karras")
    seeds = [seed] * len(texts)
    side = nets.NATIVE // SD1.latent_factor
    stream = NoiseStream(seeds, seeds, (SD1.latent_channels, side, side), source="CPU", device=torch.device("cpu"))
    path = plan(request, schedule)
    *_, last = run(path, _Guided(), start(path, stream.initial()), stream)
    return last.x
