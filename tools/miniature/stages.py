"""Trains the miniature: draws its pictures, then trains autoencoder, text encoder and UNet, and writes the model file.

Every stage goes on where it was stopped, from the files in the work folder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from tools.miniature import autoencoder as ae
from tools.miniature import nets
from tools.miniature.dataset import Shard, draw_all, plan_shards
from tools.miniature.journal import Journal, save_grid
from tools.miniature.nets import Sizes
from tools.miniature.optimise import Flat
from tools.miniature.replicas import Plan, processes, train, working_dtype
from tools.miniature.state import State, below, load_state, save_state
from tools.miniature.world.draw import draw
from tools.miniature.world.sampling import sample

PICTURES = 60_000
SIZES = Sizes()


@dataclass(frozen=True)
class Job:
    """What the command line says."""

    work: Path
    device: str = "cpu"
    seed: int = 0
    pictures: int = PICTURES
    processes: int = 0
    batch: int | None = None

    @property
    def shards(self) -> tuple[Shard, ...]:
        return tuple(plan_shards(self.work / "pictures", self.pictures, self.seed))

    def plan(self, minutes: float, rate: float, steps: int | None) -> Plan:
        return Plan(
            minutes=minutes,
            rate=rate,
            steps=steps,
            replicas=processes(self.processes),
            device=self.device,
            seed=self.seed,
        )

    def latents(self, shard: Shard) -> Path:
        return self.work / "latents" / f"{shard.stem}.npy"


def run_draw(job: Job, minutes: float, steps: int | None) -> bool:
    for done, of in draw_all(job.work / "pictures", job.pictures, job.seed, processes(job.processes)):
        print(f"draw {done} of {of} shards", flush=True)
    return True


def held_out(count: int, level: int | None = None) -> np.ndarray:
    """Drawings that no stage learns from: uint8 [count, 128, 128, 3], of all levels in turn unless one is given."""
    return np.stack([draw(sample(k, "seen", k % 4 if level is None else level)) for k in range(count)])


def run_autoencoder(job: Job, minutes: float, steps: int | None) -> bool:
    file = job.work / "autoencoder.safetensors"

    def picture(flat: Flat, path: Path) -> str:
        vae = ae.averaged_vae(SIZES, flat)
        drawn = held_out(32)
        shown, quality = ae.round_trip(vae, drawn)
        save_grid(path, [drawn[3:32:4][:8], shown[3:32:4][:8], drawn[:8], shown[:8]])
        return f"{quality:.2f} dB on {len(drawn)} held-out drawings"

    settings = ae.AutoencoderSettings(job.shards, SIZES, job.seed, job.batch or 16, job.device)
    plan = replace(job.plan(minutes, 1.2e-3, steps), keep=0.998, warm=0.06)
    return train(settings, plan, file, Journal(job.work / "logs", "autoencoder", picture, 180))


def run_latents(job: Job, minutes: float, steps: int | None) -> bool:
    state = load_state(job.work / "autoencoder.safetensors")
    if state is None:
        raise SystemExit("There is no autoencoder yet; run the stage autoencoder first.")
    vae = ae.loaded_vae(SIZES, below("average", state.tensors))
    sample_of = np.concatenate([np.load(shard.pixels, mmap_mode="r")[:8] for shard in job.shards[:100] if shard.number])
    ae.whiten(vae, sample_of)
    save_state(job.work / "vae.safetensors", State(dict(vae.state_dict()), {"step": state.facts.get("step", 0)}))
    device = torch.device(job.device)
    vae.to(device, working_dtype(device), memory_format=torch.channels_last)
    (job.work / "latents").mkdir(exist_ok=True)
    for number, shard in enumerate(job.shards):
        ae.encode_shard(vae, shard, job.latents(shard), device)
        if number % 20 == 0:
            print(f"latents {number} of {len(job.shards)} shards", flush=True)
    return True


STAGES: Mapping[str, Callable[[Job, float, int | None], bool]] = {
    "draw": run_draw,
    "autoencoder": run_autoencoder,
    "latents": run_latents,
}


def run(stage: str, job: Job, minutes: float | None, steps: int | None) -> bool:
    """True when the stage is done, False when it was stopped before."""
    job.work.mkdir(parents=True, exist_ok=True)
    return STAGES[stage](job, minutes or 10.0, steps)
