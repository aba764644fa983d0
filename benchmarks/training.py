"""Steps a second and peak memory of textual inversion, beside what diffusers' example script of it does.

    python -m benchmarks.training [--precisions fp32 bf16] [--batches 1 4] [--rounds 5] [--steps 10] [--threads 1]

The example's documented behaviour, written anew: the whole table of token vectors is learned by AdamW, every other
row is put back after each step, and each picture is read and encoded by the VAE each time. Both sides train the same
weights, pictures, texts, batch and precision, each in its own process, warm; their rounds alternate, so that a noisy
machine is noisy for both. Reported are medians of steps a second, the median of the ratios of neighbouring rounds,
the same of CPU time, and peak memory.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import DDPMScheduler
from PIL import Image
from torch.nn import functional as F

from benchmarks.peer import BETAS, pipeline
from modules.engine.conditioning import PromptEncoder
from modules.engine.loading.placement import pick_device
from modules.engine.loading.store import Store
from modules.engine.training.run import run_training
from modules.schema.engine import EngineJob, ModelRef
from modules.schema.events import TrainStep
from modules.schema.training import TrainingPicture, TrainingRequest, TrainingSet

ROOT = Path(__file__).resolve().parents[1]
MODEL = ROOT / "models" / "Stable-diffusion" / "miniature.safetensors"
SAMPLES = ROOT / "docs" / "samples" / "uncle_hermann"
TEXT = "{}, by hermann"
VECTORS = 4
SIDE = 128
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

Advance = Callable[[int], int]
"""Train at least so many steps; returns how many it were."""


def ours(precision: str, batch: int, device: str) -> Advance:
    """This engine's loop, as the product runs it, its state saved as usual."""
    folder = Path(tempfile.mkdtemp())
    pictures = tuple(
        TrainingPicture(path=str(path), sha256=hashlib.sha256(path.read_bytes()).hexdigest(), caption=path.stem,
                        width=SIDE, height=SIDE)
        for path in sorted(SAMPLES.glob("*.png"))
    )  # fmt: skip
    data = TrainingSet(pictures=pictures, template=(TEXT.format("[filewords]").replace("hermann", "[name]"),))
    (folder / "dataset.json").write_text(data.model_dump_json())
    request = TrainingRequest(
        name="hermann", run="run", seed=1, steps=1_000_000, batch_size=batch, num_vectors_per_token=VECTORS,
        precision=precision, evaluate_every=0, create_image_every=0, save_embedding_every=0,
    )  # fmt: skip
    files = {"run": str(folder), "result": str(folder / "hermann.safetensors")}
    job = EngineJob(id="b", request=request, model=ModelRef(checkpoint=str(MODEL)), files=files)
    events = run_training(job, Store(1, pick_device(device)), PromptEncoder())
    done = 0

    def advance(count: int) -> int:
        nonlocal done
        begin = done
        while done < begin + count:
            event = next(events)
            if isinstance(event, TrainStep):
                done = event.step
        return done - begin

    advance(2)
    return advance


class Example:
    """The example script's step."""

    def __init__(self, precision: str, batch: int, device: str) -> None:
        self._dtype, self._device, self._batch = DTYPES[precision], pick_device(device), batch
        pipe = pipeline(MODEL, torch.float32, str(self._device))
        self._tokenizer, self._encoder = pipe.tokenizer, pipe.text_encoder
        self._vae = pipe.vae.to(dtype=self._dtype).requires_grad_(False)
        self._unet = pipe.unet.to(dtype=self._dtype).requires_grad_(False)
        self._words = [f"hermann_{k}" for k in range(VECTORS)]
        self._tokenizer.add_tokens(self._words)
        self._encoder.resize_token_embeddings(len(self._tokenizer))
        self._encoder.requires_grad_(False)
        self._table = self._encoder.get_input_embeddings().weight.requires_grad_()
        self._new = self._tokenizer.convert_tokens_to_ids(self._words)
        self._before = self._table.detach().clone()
        self._optimizer = torch.optim.AdamW([self._table], lr=5e-4, weight_decay=1e-2)
        self._noising = DDPMScheduler(**BETAS, num_train_timesteps=1000)
        self._paths = sorted(SAMPLES.glob("*.png"))

    def step(self) -> None:
        chosen = [self._paths[k] for k in torch.randint(len(self._paths), (self._batch,))]
        pixels = torch.stack([_read(path) for path in chosen]).to(self._device, self._dtype)
        with torch.no_grad():
            latents = self._vae.encode(pixels).latent_dist.sample() * self._vae.config.scaling_factor
        noise = torch.randn_like(latents)
        times = torch.randint(1000, (self._batch,), device=self._device)
        noisy = self._noising.add_noise(latents, noise, times)
        texts = [TEXT.format(path.stem).replace("hermann", " ".join(self._words)) for path in chosen]
        ids = self._tokenizer(
            texts, padding="max_length", truncation=True, max_length=77, return_tensors="pt"
        ).input_ids.to(self._device)
        with torch.autocast(self._device.type, self._dtype, enabled=self._dtype != torch.float32):
            words = self._encoder(ids)[0]
        given = self._unet(noisy, times, words.to(self._dtype)).sample
        F.mse_loss(given.float(), noise.float()).backward()
        self._optimizer.step()
        self._optimizer.zero_grad()
        kept = torch.ones(len(self._table), dtype=torch.bool)
        kept[self._new] = False
        with torch.no_grad():
            self._table[kept] = self._before[kept]


def theirs(precision: str, batch: int, device: str) -> Advance:
    """What the example does."""
    torch.manual_seed(1)
    example = Example(precision, batch, device)

    def advance(count: int) -> int:
        for _ in range(count):
            example.step()
        return count

    advance(2)
    return advance


def _read(path: Path) -> torch.Tensor:
    """float32 [3,H,W] in -1..1."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.float32)
    return torch.from_numpy(pixels / 127.5 - 1).permute(2, 0, 1)


def work(arguments: argparse.Namespace) -> None:
    """A worker process: counts of steps in, facts as JSON lines out."""
    torch.set_num_threads(arguments.threads)
    advance = {"ours": ours, "theirs": theirs}[arguments.work](
        arguments.precisions[0], arguments.batches[0], arguments.device
    )
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        steps = advance(int(line))
        facts = {"wall": (time.perf_counter() - wall) / steps, "cpu": (time.process_time() - cpu) / steps}
        print(json.dumps({**facts, "memory": _peak(arguments.device)}), flush=True)


def _peak(device: str) -> float:
    """MB."""
    if pick_device(device).type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Worker:
    """One side in its own process."""

    def __init__(self, side: str, precision: str, batch: int, arguments: argparse.Namespace) -> None:
        words = ["--work", side, "--precisions", precision, "--batches", str(batch), "--device", arguments.device,
                 "--threads", str(arguments.threads)]  # fmt: skip
        self._process = subprocess.Popen([sys.executable, "-m", "benchmarks.training", *words], cwd=ROOT, text=True,
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
        self._answer()

    def round(self, steps: int) -> dict[str, float]:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{steps}\n")
        self._process.stdin.flush()
        return self._answer()

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _answer(self) -> dict[str, float]:
        """The next line that is JSON; libraries print too."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise RuntimeError("a worker ended")


def measure(precision: str, batch: int, arguments: argparse.Namespace) -> str:
    """A line of the table."""
    sides = [Worker(side, precision, batch, arguments) for side in ("ours", "theirs")]
    rounds = [[side.round(arguments.steps) for side in sides] for _ in range(arguments.rounds)]
    for side in sides:
        side.end()
    speed = [1 / statistics.median(one[k]["wall"] for one in rounds) for k in (0, 1)]
    wall, cpu = (statistics.median(b[what] / a[what] for a, b in rounds) for what in ("wall", "cpu"))
    memory = [rounds[-1][k]["memory"] for k in (0, 1)]
    return (
        f"| {precision} | {batch} | {speed[0]:.2f} | {speed[1]:.2f} | {wall:.2f} | {cpu:.2f} | {memory[0]:.0f} | "
        f"{memory[1]:.0f} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--precisions", nargs="+", default=["fp32", "bf16"], choices=sorted(DTYPES))
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 4])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--work", choices=["ours", "theirs"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(arguments)
        return
    print("| precision | batch | steps/s ours | theirs | ratio | ratio of CPU time | MB ours | theirs |")
    print("|---|---|---|---|---|---|---|---|")
    for precision in arguments.precisions:
        for batch in arguments.batches:
            print(measure(precision, batch, arguments), flush=True)


if __name__ == "__main__":
    main()
