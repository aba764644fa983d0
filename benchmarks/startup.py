"""Command to first answer, to whole page and to first picture, and loading a 2 GB checkpoint beside diffusers.

    python -m benchmarks.startup [--repeats 3]

The environment must be in place (run `python webui.py` once). Loading is measured in fresh processes that alternate;
the file is in the page cache for both.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from threading import Thread

ROOT = Path(__file__).resolve().parents[1]
BODY = {"prompt": "a red boat on a calm sea", "steps": 20, "width": 128, "height": 128, "cfg_scale": 5, "seed": 1}

LOAD_OURS = """
import sys, time, resource
from pathlib import Path
from modules.engine.loading.placement import pick_device
from modules.engine.loading.store import Store
from modules.schema.engine import ModelRef
began = time.perf_counter()
model = Store(capacity=1, device=pick_device("auto")).get(ModelRef(checkpoint=sys.argv[1]), "auto")
"""
LOAD_THEIRS = """
import sys, time, resource
from modules.engine.loading.placement import pick_device, resolve_precision
import torch
from diffusers import StableDiffusionPipeline
device = pick_device("auto")
began = time.perf_counter()
pipe = StableDiffusionPipeline.from_single_file(
    sys.argv[1], config=sys.argv[2], local_files_only=True, torch_dtype=resolve_precision("auto", device),
    safety_checker=None,
).to(device)
"""
REPORT = """
print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


STARTS = ("first answer (a page that takes a job)", "whole page", "first picture")


def start_once() -> tuple[float, float, float]:
    """Seconds from the command to each of `STARTS`, in an empty data folder."""
    with tempfile.TemporaryDirectory() as data:
        address = f"http://127.0.0.1:{(port := free_port())}"
        command = [sys.executable, "webui.py", "--port", str(port), "--data-dir", data]
        began = time.perf_counter()
        server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _wait_for(address, b"<textarea")
            answer = time.perf_counter() - began
            picture = Thread(target=_post, args=(f"{address}/sdapi/v1/txt2img", BODY))
            picture.start()
            _wait_for(address, b"gradio")
            page = time.perf_counter() - began
            picture.join()
            return answer, page, time.perf_counter() - began
        finally:
            server.terminate()
            server.wait()


def _wait_for(address: str, words: bytes, seconds: float = 120) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                if answer.status == 200 and words in answer.read():
                    return
                time.sleep(0.05)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.05)
    raise SystemExit(f"no page at {address} within {seconds:.0f} s")


def _post(address: str, body: dict[str, object]) -> None:
    request = urllib.request.Request(address, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=300) as answer:
        answer.read()


def load_once(script: str, file: Path, config: Path) -> tuple[float, float]:
    """(seconds, peak GiB) of loading `file` in a fresh process; imports not counted."""
    command = [sys.executable, "-c", script + REPORT, str(file), str(config)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    out = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
    if out.returncode:
        raise SystemExit(out.stderr[-2000:])
    seconds, peak = out.stdout.split()[-2:]
    return float(seconds), float(peak)


def prepare(folder: Path) -> tuple[Path, Path]:
    """A random SD1.5 file, and the folder of configurations that diffusers wants beside it; made in a process of
    their own so that this one stays small."""
    script = f"""
from pathlib import Path
from benchmarks.weights import write_configs, write_random_sd15
folder = Path({str(folder)!r})
write_random_sd15(folder / "random-sd15.safetensors")
write_configs(folder / "configs")
"""
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, stderr=subprocess.DEVNULL)
    return folder / "random-sd15.safetensors", folder / "configs"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--skip-load", action="store_true", help="only the start of the server")
    options = parser.parse_args()
    starts = [start_once() for _ in range(options.repeats)]
    for k, what in enumerate(STARTS):
        times = [start[k] for start in starts]
        spread = f"median {statistics.median(times):.2f} s, worst {max(times):.2f} s"
        print(f"command to {what}: {spread} ({len(times)} starts)")
    if options.skip_load:
        return
    with tempfile.TemporaryDirectory() as folder:
        file, config = prepare(Path(folder))
        runs = [
            [load_once(script, file, config) for script in (LOAD_OURS, LOAD_THEIRS)] for _ in range(options.repeats)
        ]
    for k, side in enumerate(("ours", "diffusers")):
        times, peaks = zip(*(run[k] for run in runs), strict=True)
        print(f"load 2 GB checkpoint, {side}: median {statistics.median(times):.2f} s, peak {max(peaks):.2f} GiB")
    ratio = statistics.median(run[1][0] / run[0][0] for run in runs)
    print(f"load ratio (diffusers / ours): {ratio:.2f}x")


if __name__ == "__main__":
    main()
