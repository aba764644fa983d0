"""Seconds a picture and peak memory, beside diffusers' StableDiffusionPipeline.

    python -m benchmarks.txt2img [--models embedded sd15] [--precisions fp32 bf16] [--repeats 7]

Both sides run the same weights, prompt, sampler, steps, size, batch and precision, each in its own process with the
model loaded and warm; their runs alternate, so that a noisy machine is noisy for both. Reported are medians and the
median of the ratios of neighbouring runs.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from benchmarks.peer import pipeline, scheduler
from benchmarks.weights import write_random_sd15
from modules.engine.generate import generate
from modules.engine.loading.placement import pick_device
from modules.engine.loading.store import Store
from modules.schema.engine import ModelRef
from modules.schema.events import ImageDone
from modules.schema.request import GenerationRequest

ROOT = Path(__file__).resolve().parents[1]
PROMPT = "a painting of a red boat on a calm blue sea, hills, sunset"
NEGATIVE = "blurry, dark"
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    model: str
    precision: str
    sampler: str
    steps: int
    size: int
    batch: int


def rows(models: list[str], precisions: list[str], sd15_steps: int) -> list[Row]:
    """All lines asked for."""
    table = []
    for precision in precisions:
        if "embedded" in models:
            table += [Row("embedded", precision, "DPM++ 2M", 20, 128, batch) for batch in (1, 4)]
            table += [Row("embedded", precision, "Euler", 20, 128, 1)]
        if "sd15" in models:
            table += [Row("sd15", precision, "DPM++ 2M", sd15_steps, 512, 1)]
    return table


def ours(file: Path, precision: str, device: str) -> Callable[[Row], None]:
    """This engine, as the product runs it (live previews included)."""
    model = Store(capacity=1, device=pick_device(device)).get(ModelRef(checkpoint=str(file)), precision)

    def draw(row: Row) -> None:
        request = GenerationRequest(
            prompt=PROMPT,
            negative_prompt=NEGATIVE,
            sampler=row.sampler,
            steps=row.steps,
            width=row.size,
            height=row.size,
            batch_size=row.batch,
            cfg_scale=5.0,
            seed=1,
            subseed=1,
            precision=precision,
        )
        pictures = [event for event in generate(request, model) if isinstance(event, ImageDone)]
        if len(pictures) != row.batch:
            raise RuntimeError(f"{len(pictures)} pictures instead of {row.batch}")

    return draw


def theirs(file: Path, precision: str, device: str) -> Callable[[Row], None]:
    """diffusers' pipeline over the same file."""
    pipe = pipeline(file, DTYPES[precision], str(pick_device(device)))

    def draw(row: Row) -> None:
        pipe.scheduler = scheduler(row.sampler)
        pipe(
            [PROMPT] * row.batch,
            negative_prompt=[NEGATIVE] * row.batch,
            num_inference_steps=row.steps,
            width=row.size,
            height=row.size,
            guidance_scale=5.0,
            generator=[torch.Generator().manual_seed(1 + k) for k in range(row.batch)],
        )

    return draw


def work(side: str, file: Path, precision: str, device: str) -> None:
    """A worker process: rows as JSON lines in, seconds and peak memory out."""
    draw = (ours if side == "ours" else theirs)(file, precision, device)
    for line in sys.stdin:
        row = Row(**json.loads(line))
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        began = time.perf_counter()
        draw(row)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        print(json.dumps({"seconds": time.perf_counter() - began, "peak": _peak_bytes()}), flush=True)


def _peak_bytes() -> int:
    """Peak memory of the device in use: video memory on a GPU, resident memory of the process otherwise."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Worker:
    """Handle of a worker process."""

    def __init__(self, side: str, file: Path, precision: str, device: str) -> None:
        command = [sys.executable, "-m", "benchmarks.txt2img", "--worker", side]
        command += ["--file", str(file), "--precisions", precision, "--device", device]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT
        )

    def draw(self, row: Row) -> dict[str, float]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(asdict(row)) + "\n")
        self._process.stdin.flush()
        # Libraries may print between the answers.
        answer = next((line for line in self._process.stdout if line.startswith('{"seconds"')), None)
        if answer is None:
            raise RuntimeError("a benchmark process ended early; run it with --worker to see why")
        return json.loads(answer)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def measure(table: list[Row], files: dict[str, Path], repeats: int, device: str) -> None:
    """Run every row on both sides, alternating, and print the table."""
    print("| model | precision | sampler | steps | size | batch | ours s/image | diffusers s/image | ratio | peak |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for key in dict.fromkeys((row.model, row.precision) for row in table):
        sides = [Worker(side, files[key[0]], key[1], device) for side in ("ours", "theirs")]
        for row in (row for row in table if (row.model, row.precision) == key):
            _measure_row(row, sides, repeats)
        for worker in sides:
            worker.close()


def _measure_row(row: Row, sides: list[Worker], repeats: int) -> None:
    for worker in sides:
        worker.draw(row)
    runs = [[worker.draw(row) for worker in sides] for _ in range(repeats)]
    mine, peer = (statistics.median(run[k]["seconds"] for run in runs) / row.batch for k in (0, 1))
    ratio = statistics.median(run[1]["seconds"] / run[0]["seconds"] for run in runs)
    peaks = " / ".join(f"{runs[-1][k]['peak'] / 2**30:.2f}" for k in (0, 1))
    print(
        f"| {row.model} | {row.precision} | {row.sampler} | {row.steps} | {row.size} | {row.batch} "
        f"| {mine:.3f} | {peer:.3f} | {ratio:.2f}x | {peaks} GiB |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["embedded", "sd15"], choices=["embedded", "sd15"])
    parser.add_argument("--precisions", nargs="+", default=["fp32", "bf16"], choices=list(DTYPES))
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--sd15-steps", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--worker", choices=["ours", "theirs"], help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options.worker, options.file, options.precisions[0], options.device)
        return
    with tempfile.TemporaryDirectory() as folder:
        files = {"embedded": ROOT / "models/Stable-diffusion/miniature.safetensors"}
        if "sd15" in options.models:
            files["sd15"] = write_random_sd15(Path(folder) / "random-sd15.safetensors")
        table = rows(options.models, options.precisions, options.sd15_steps)
        measure(table, files, options.repeats, options.device)


if __name__ == "__main__":
    main()
