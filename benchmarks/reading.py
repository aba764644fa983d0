"""What is read while an artist types or opens a folder: the tokenizer, a long prompt, a data set; and noise.

    python -m benchmarks.reading [--repeats 5]

Prints the quickest of the repeats in milliseconds of processor time. There is no peer in it: these are small things
that must not be felt.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from PIL import Image

from benchmarks.timing import quickest
from modules.catalog.cache import FileCache
from modules.catalog.datasets.folder import read_folder
from modules.catalog.datasets.notes import Notes
from modules.engine.diffusion.philox import philox_normal
from modules.prompts.chunks import chunk_prompt
from modules.prompts.prompt import parse_prompt
from modules.prompts.tokens import load_tokenizer

_PICTURES = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    with TemporaryDirectory() as folder:
        for name, call in _calls(Path(folder)).items():
            print(f"| {name} | {quickest(call, repeats):.1f} ms |")


def _calls(folder: Path) -> dict[str, Callable[[], object]]:
    tokenizer = load_tokenizer()
    prompt = ", ".join(f"(a shiny fox:1.{i % 9}) [in the] style" for i in range(200))
    noise = partial(philox_normal, [7], (4, 64, 64), offset=0, device=torch.device("cpu"))
    return {
        "the tokenizer, loaded": load_tokenizer,
        f"a prompt of {len(prompt.split())} words, parsed": partial(parse_prompt, prompt),
        "the same, cut into chunks": partial(chunk_prompt, prompt, tokenizer),
        "Philox noise of a 512x512 picture": noise,
        f"a data set of {_PICTURES} pictures, opened again": _data_set(folder),
    }


def _data_set(folder: Path) -> Callable[[], object]:
    pictures = folder / "pictures"
    pictures.mkdir()
    for number in range(_PICTURES):
        Image.new("RGB", (16, 16), (number % 256, 0, 0)).save(pictures / f"{number}.png")
        (pictures / f"{number}.txt").write_text(f"a picture, tag {number}", encoding="utf-8")
    return lambda: read_folder(pictures, FileCache(folder / "cache.sqlite"), Notes())


if __name__ == "__main__":
    main()
