"""Trains the miniature: draws its pictures, trains autoencoder, text encoder and UNet, and writes the model file.

Every stage goes on where it was stopped, from the files in the work folder. A training stage that is asked for again
when it was done begins another round from its averaged weights.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from torch import Tensor

from tools.miniature import autoencoder as ae
from tools.miniature import judge
from tools.miniature.dataset import SIZES as SHAPES
from tools.miniature.dataset import Shard, draw_all, file_hash, pixels_of, plan_shards, replace_file
from tools.miniature.decoder import DecoderSettings
from tools.miniature.diffusion import DiffusionSettings, averaged, paint, trained
from tools.miniature.export import Networks, export
from tools.miniature.journal import Journal, save_grid
from tools.miniature.nets import Sizes
from tools.miniature.optimise import Flat
from tools.miniature.replicas import Plan, processes, train
from tools.miniature.state import State, below, load_state, prefixed, save_state
from tools.miniature.text import TextSettings
from tools.miniature.wording import load_wording
from tools.miniature.world.draw import draw
from tools.miniature.world.sampling import sample

log = logging.getLogger(__name__)

PICTURES = 60_000
SIZES = Sizes()
SHOWN = (
    "a red circle on a blue background",
    "a yellow star on purple",
    "a large green cat on a white background",
    "three orange fish, cyan background",
    "two pink hearts on black",
    "a blue square to the left of a yellow triangle on a gray background",
    "a red bird above a green mushroom, white background",
    "a black cat in the snow at night",
    "an orange boat, the sea, sunset",
    "a purple house in a forest by day, pixel art",
    "a red flower on a yellow background, mosaic",
    "a white moon in the hills at night, watercolour",
)
# What share of the minutes of `all` each stage gets; drawing and encoding take what they need.
SHARES = {"autoencoder": 0.16, "decoder": 0.12, "text": 0.06, "unet": 0.56, "judge": 0.1}
_DESCRIPTION = (
    "A small latent diffusion model of the SD 1 layout, trained from nothing on pictures of its own drawing program "
    "(tools/miniature)."
)


@dataclass(frozen=True)
class Job:
    """What the command line says."""

    work: Path
    device: str = "cpu"
    seed: int = 0
    pictures: int = PICTURES
    processes: int = 0
    batch: int | None = None
    sizes: Sizes = SIZES
    again: bool = True

    @property
    def shards(self) -> tuple[Shard, ...]:
        return tuple(plan_shards(self.work / "pictures", self.pictures, self.seed))

    def latents(self, shard: Shard) -> Path:
        return self.work / "latents" / f"{shard.stem}.npy"

    @property
    def latent_files(self) -> tuple[Path, ...]:
        return tuple(self.latents(shard) for shard in self.shards)

    def file(self, name: str) -> Path:
        return self.work / f"{name}.safetensors"

    def plan(self, minutes: float, steps: int | None) -> Plan:
        return Plan(
            minutes=minutes,
            rate=1e-3,
            steps=steps,
            replicas=processes(self.processes),
            device=self.device,
            seed=self.seed,
            again=self.again,
        )


def run_draw(job: Job, minutes: float, steps: int | None) -> bool:
    for done, of in draw_all(job.work / "pictures", job.pictures, job.seed, processes(job.processes)):
        log.info("draw: %d of %d shards", done, of)
    return True


def held_out(count: int) -> np.ndarray:
    """Drawings of all levels that no stage learns from: uint8 [count, 128, 128, 3]."""
    return np.stack([draw(sample(k, "seen", k % 4)) for k in range(count)])


def run_autoencoder(job: Job, minutes: float, steps: int | None) -> bool:
    def picture(flat: Flat, path: Path) -> str:
        vae = ae.loaded_vae(job.sizes, flat.tensors("average"))
        drawn = held_out(32)
        shown, quality = ae.round_trip(vae, drawn)
        save_grid(path, [drawn[3:32:4][:8], shown[3:32:4][:8], drawn[:8], shown[:8]])
        return f"{quality:.2f} dB on {len(drawn)} held-out drawings"

    settings = ae.AutoencoderSettings(job.shards, job.sizes, job.seed, job.batch or 16, job.device)
    plan = replace(job.plan(minutes, steps), rate=1.2e-3, keep=0.998, warm=0.06)
    journal = Journal(job.work / "logs", "autoencoder", picture, 180)
    return train(settings, plan, job.file("autoencoder"), journal)


def run_latents(job: Job, minutes: float, steps: int | None) -> bool:
    """Settle the code (`vae`, from the autoencoder's averaged weights) and write the latents of all pictures."""
    source = file_hash(job.file("autoencoder")) if job.file("autoencoder").exists() else ""
    settled = load_state(job.file("vae"))
    if settled is None or settled.facts.get("source") != source:
        _settle_code(job, source)
    mark = job.work / "latents" / "autoencoder.sha256"
    code = file_hash(job.file("vae"))
    if not mark.exists() or mark.read_text(encoding="utf-8") != code:
        mark.parent.mkdir(exist_ok=True)
        for path in mark.parent.glob("*.npy"):
            path.unlink()
        replace_file(mark, code.encode())
    missing = [(shard, job.latents(shard)) for shard in job.shards if not job.latents(shard).exists()]
    for number in ae.encode_all(job.file("vae"), job.sizes, missing, job.device, processes(job.processes)):
        log.info("latents: %d of %d shards", number, len(missing))
    return True


def _settle_code(job: Job, source: str) -> None:
    state = load_needed(job.file("autoencoder"))
    vae = ae.loaded_vae(job.sizes, prefixed("vae", below("average.vae", state.tensors)))
    native = [shard for shard in job.shards if shard.size == SHAPES[0]]
    ae.whiten(vae, np.concatenate([pixels_of(shard)[:8] for shard in native]))
    save_state(job.file("vae"), State(dict(vae.state_dict()), {"source": source}))


def run_decoder(job: Job, minutes: float, steps: int | None) -> bool:
    """Teach the decoder, and only it, to paint all that the settled code tells."""

    def picture(flat: Flat, path: Path) -> str:
        vae = painter(job, flat.tensors("average"))
        drawn = held_out(32)
        shown, quality = ae.round_trip(vae, drawn)
        save_grid(path, [drawn[3:32:4][:8], shown[3:32:4][:8], drawn[:8], shown[:8]])
        return f"{quality:.2f} dB on {len(drawn)} held-out drawings"

    code = job.file("vae")
    batch = job.batch or 4
    settings = DecoderSettings(job.shards, job.latent_files, code, job.sizes, job.seed, batch, job.device)
    plan = replace(job.plan(minutes, steps), keep=0.998, data=file_hash(code))
    return train(settings, plan, job.file("decoder"), Journal(job.work / "logs", "decoder", picture, 300))


def painter(job: Job, decoder: Mapping[str, Tensor] | None = None) -> AutoencoderKL:
    """The autoencoder with the decoder given, or the averaged one of its own stage where that has begun."""
    if decoder is None:
        state = load_state(job.file("decoder"))
        decoder = below("average", state.tensors) if state else {}
    return ae.loaded_vae(job.sizes, {**prefixed("vae", load_needed(job.file("vae")).tensors), **decoder})


def run_text(job: Job, minutes: float, steps: int | None) -> bool:
    vocabulary = job.work / "vocabulary.json"
    batch = job.batch or 128
    settings = TextSettings(job.shards, job.latent_files, vocabulary, job.sizes, job.seed, batch, job.device)
    plan = replace(job.plan(minutes, steps), rate=2e-3, keep=0.99, warm=0.05)
    return train(settings, plan, job.file("text"), Journal(job.work / "logs", "text"))


def run_unet(job: Job, minutes: float, steps: int | None) -> bool:
    state = load_state(job.file("text"))
    start = below("average.text", state.tensors) if state else {}
    vocabulary = job.work / "vocabulary.json"
    wording = load_wording(vocabulary)

    def picture(flat: Flat, path: Path) -> str:
        latents = paint(averaged(job.sizes, wording, flat), SHOWN)
        shown = ae.decode_latents(painter(job), latents)
        save_grid(path, list(shown.reshape(-1, 6, *shown.shape[1:])))
        return f"{len(SHOWN)} prompts drawn"

    batch = job.batch or (32 if job.device == "cpu" else 256)
    settings = DiffusionSettings(
        job.shards, job.latent_files, vocabulary, start, job.sizes, job.seed, batch, job.device
    )
    plan = replace(job.plan(minutes, steps), keep=0.998, warm=0.03, data=file_hash(job.file("vae")))
    return train(settings, plan, job.file("unet"), Journal(job.work / "logs", "unet", picture, 420))


def run_judge(job: Job, minutes: float, steps: int | None) -> bool:
    judge.train(job.work / "judge", minutes, job.device, job.seed, steps=steps)
    return True


def run_export(job: Job, minutes: float, steps: int | None) -> bool:
    """Write `work`/miniature.safetensors from the averaged weights so far."""
    state = load_needed(job.file("unet"))
    wording = load_wording(job.work / "vocabulary.json")
    model = trained(job.sizes, wording, below("average", state.tensors))
    notes = {
        "description": _DESCRIPTION,
        "license": "MIT",
        "author": "the contributors to this project",
        "usage_hint": f"{state.facts.get('step', 0)} steps of training in the last round",
    }
    size = export(job.file("miniature"), Networks(model.unet, painter(job), model.text, wording), job.sizes, notes)
    log.info("export: %s, %.1f MB", job.file("miniature"), size / 1e6)
    return True


def load_needed(file: Path) -> State:
    state = load_state(file)
    if state is None:
        raise SystemExit(f"{file.name} is not there yet; run the stages before this one first.")
    return state


STAGES: Mapping[str, Callable[[Job, float, int | None], bool]] = {
    "draw": run_draw,
    "autoencoder": run_autoencoder,
    "latents": run_latents,
    "decoder": run_decoder,
    "text": run_text,
    "unet": run_unet,
    "judge": run_judge,
    "export": run_export,
}


def run(stage: str, job: Job, minutes: float | None, steps: int | None) -> bool:
    """True when the stage is done, False when it was stopped before. "all": each in turn; those done are kept."""
    job.work.mkdir(parents=True, exist_ok=True)
    if stage != "all":
        return STAGES[stage](job, minutes or 10.0, steps)
    kept = replace(job, again=False)
    whole = minutes or 60.0
    return all(function(kept, whole * SHARES.get(name, 0.0), steps) for name, function in STAGES.items())
