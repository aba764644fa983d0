"""Seconds to merge a LoRA into a model of Stable Diffusion 1.5's size, to change its weight, and to undo it.

    python -m benchmarks.networks [--precisions fp32 bf16] [--rank 16] [--all-layers]

The weights are random: speed does not depend on them. Without `--all-layers` the LoRA changes what kohya's does by
default: every linear layer of attention and feed-forward blocks of UNet and text encoder, and their projections.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from benchmarks.weights import write_random_sd15
from modules.engine.loading.changed import named_layers, weight_shape
from modules.engine.loading.load import load_model
from modules.engine.loading.model import LoadedModel
from modules.engine.networks.apply import use_networks
from modules.engine.networks.network import NetworkRef
from modules.schema.engine import ModelRef

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_USUAL = (".attn1.", ".attn2.", ".ff.", ".proj_in", ".proj_out")


def write_lora(path: Path, model: LoadedModel, rank: int, all_layers: bool) -> int:
    """Write a random LoRA in fp16; returns how many layers it changes."""
    tensors: dict[str, Tensor] = {}
    for prefix, network in (("lora_unet", model.unet), ("lora_te_text_model", model.text_encoder)):
        for name, layer in named_layers(network):
            shape = weight_shape(layer)
            usual = prefix != "lora_unet" or any(part in name for part in _USUAL)
            if len(shape) < 2 or "embedding" in name or not (all_layers or usual):
                continue
            key = f"{prefix}_{name.replace('.', '_')}"
            ones = (1,) * (len(shape) - 2)
            tensors[f"{key}.lora_up.weight"] = torch.randn(shape[0], rank, *ones).half() * 0.01
            tensors[f"{key}.lora_down.weight"] = torch.randn(rank, *shape[1:]).half() * 0.01
            tensors[f"{key}.alpha"] = torch.tensor(float(rank))
    save_file(tensors, path)
    return len(tensors) // 3


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """(seconds on the clock, seconds of all cores)."""
    clock, cores = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - cores


def measure(model: LoadedModel, lora: Path) -> None:
    ref = NetworkRef(kind="lora", name="lora", path=str(lora))
    steps: dict[str, Callable[[], object]] = {
        "first merge": lambda: use_networks(model, [ref]),
        "the same again": lambda: use_networks(model, [ref]),
        "weight 0.8": lambda: use_networks(model, [ref.replace(text=0.8, unet=0.8)]),
        "weight 0.6": lambda: use_networks(model, [ref.replace(text=0.6, unet=0.6)]),
        "weight 0.4": lambda: use_networks(model, [ref.replace(text=0.4, unet=0.4)]),
    }
    for name, work in steps.items():
        clock, cores = timed(work)
        print(f"  {name:16} {clock:6.2f} s ({cores:.2f} s of all cores)")
    print(f"  originals kept   {model.changed.bytes_kept / 2**20:6.0f} MiB")
    clock, cores = timed(lambda: use_networks(model, []))
    print(f"  undo             {clock:6.2f} s ({cores:.2f} s of all cores)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--precisions", nargs="+", default=["fp32", "bf16"], choices=DTYPES)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--all-layers", action="store_true")
    parser.add_argument("--checkpoint", type=Path, help="a checkpoint to use instead of a random one")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = given.checkpoint or write_random_sd15(Path(folder) / "sd15.safetensors")
        for precision in given.precisions:
            model = load_model(ModelRef(checkpoint=str(path)), torch.device("cpu"), DTYPES[precision])
            lora = Path(folder) / "lora.safetensors"
            layers = write_lora(lora, model, given.rank, given.all_layers)
            print(f"{precision}, rank {given.rank}, {layers} layers, {lora.stat().st_size / 2**20:.0f} MiB")
            measure(model, lora)
            del model
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB")


if __name__ == "__main__":
    main()
