"""Which treatment of the vectors' lengths learns best: trains the embedded model briefly with each and compares.

    python -m benchmarks.norms [--rates 0.005 0.02] [--steps 150] [--seeds 1 2 3] [--pictures 4] [--threads 1]

Printed for each choice, as the mean over the seeds and their spread: the evaluation loss at the begin and at the end,
the vectors' length beside that of words, and how near the colours of new subjects with the new word are to the style
(see `uncle.py`), beside the same without the word.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.uncle import MODEL, SAMPLES, WORD, distance, draw, opened, result_of, train
from modules.engine.loading.store import Store
from modules.engine.networks.embeddings import usual_length

SUBJECTS = ("a snowman", "a flower", "a red star", "a boat on the sea", "two trees", "a moon over hills")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--controls", nargs="+", default=["Free", "Keep", "Direction"])
    parser.add_argument("--rates", nargs="+", default=["0.005", "0.02"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--pictures", type=int, default=4, help="of each new subject")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    store = Store(1, torch.device("cpu"))
    style = opened(SAMPLES)
    without = distance(draw(SUBJECTS * arguments.pictures, store, None), style)
    print(f"words: length {usual_length(store.get(MODEL)):.3f}; distance without the word {without:.3f}\n")
    print("| lengths | rate | loss before | after | length | distance to the style |")
    print("|---|---|---|---|---|---|")
    for control in arguments.controls:
        for rate in arguments.rates:
            rows = []
            for seed in arguments.seeds:
                with tempfile.TemporaryDirectory() as folder:
                    rows.append(_row(Path(folder), store, style, arguments, (control, rate, seed)))
            cells = " | ".join(_spread(values) for values in zip(*rows, strict=True))
            print(f"| {control} | {rate} | {cells} |", flush=True)


def _row(folder: Path, store: Store, style: Sequence, arguments: argparse.Namespace, choice: tuple[str, str, int]):
    """(loss before, after, length, distance) of one training."""
    control, rate, seed = choice
    found = train(folder, store, norm_control=control, learn_rate=rate, seed=seed, steps=arguments.steps)
    losses = [loss for _, loss in found["evaluations"]]  # type: ignore[attr-defined]
    prompts = [f"{subject}, by {WORD}" for subject in SUBJECTS] * arguments.pictures
    near = distance(draw(prompts, store, result_of(folder)), style)
    return losses[0], losses[-1], found["length"], near


def _spread(values: Sequence[float]) -> str:
    """Mean, and the standard deviation where there are several."""
    apart = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{apart}"


if __name__ == "__main__":
    main()
