"""Which treatment of the vectors' lengths learns best: trains the embedded model briefly with each and compares.

    python -m benchmarks.norms [--rates 0.005 0.02] [--steps 150] [--seeds 1 2] [--pictures 4] [--threads 1]

Printed for each choice: the evaluation loss at the begin and at the end, the vectors' length beside that of words,
and how near pictures of new subjects with the new word are to the style: the distance between the mean statistics of
their colours and edges and those of the training pictures, beside the same without the word, and between two halves
of the training pictures (as near as anything can be).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors import safe_open

from modules.engine.conditioning import PromptEncoder
from modules.engine.generate import generate
from modules.engine.loading.store import Store
from modules.engine.networks.embeddings import usual_length
from modules.engine.supplies import Supplies
from modules.engine.training.run import run_training
from modules.schema.engine import EngineJob, ModelRef, NamedFile
from modules.schema.events import ImageDone
from modules.schema.request import GenerationRequest
from modules.schema.training import TrainingPicture, TrainingRequest, TrainingSet

ROOT = Path(__file__).resolve().parents[1]
MODEL = ModelRef(checkpoint=str(ROOT / "models" / "Stable-diffusion" / "miniature.safetensors"))
SAMPLES = ROOT / "docs" / "samples" / "uncle_hermann"
SUBJECTS = ("a snowman", "a flower", "a red star", "a boat on the sea", "two trees", "a moon over hills")
SIDE = 128


def train(folder: Path, store: Store, **values: object) -> dict[str, object]:
    """Train in `folder`; returns the last state's facts."""
    pictures = tuple(
        TrainingPicture(path=str(path), sha256=hashlib.sha256(path.read_bytes()).hexdigest(), caption=path.stem,
                        width=SIDE, height=SIDE)
        for path in sorted(SAMPLES.glob("*.png"))
    )  # fmt: skip
    data = TrainingSet(pictures=pictures, template=("[filewords], by [name]",))
    (folder / "dataset.json").write_text(data.model_dump_json())
    request = TrainingRequest.model_validate({
        "name": "hermann", "run": "run", "init_text": "drawing", "evaluation_pictures": 16, "create_image_every": 0,
        "save_embedding_every": 0, **values,
    })  # fmt: skip
    files = {"run": str(folder), "result": str(folder / "hermann.safetensors")}
    for _ in run_training(EngineJob(id="b", request=request, model=MODEL, files=files), store, PromptEncoder()):
        pass
    with safe_open(folder / "state.safetensors", "pt") as file:
        vectors = file.get_tensor("learned").view(request.num_vectors_per_token, -1)
        return {**json.loads(file.metadata()["state"]), "length": float(vectors.norm(dim=1).mean())}


def draw(words: str, store: Store, count: int, embedding: Path | None) -> list[NDArray[np.float64]]:
    """Statistics of `count` pictures of each new subject."""
    named = (NamedFile(kind="embedding", name="hermann", path=str(embedding)),) if embedding else ()
    found = []
    for subject in SUBJECTS:
        request = GenerationRequest(prompt=f"{subject}{words}", seed=5, subseed=5, batch_count=count, steps=12,
                                    cfg_scale=4.0, width=SIDE, height=SIDE)  # fmt: skip
        model = store.get(MODEL)
        events = generate(request, model, previews_per_second=0, supplies=Supplies(named=named))
        done = [event for event in events if isinstance(event, ImageDone)]
        found += [statistics_of(Image.frombytes("RGB", (one.width, one.height), one.pixels)) for one in done]
    return found


def statistics_of(picture: Image.Image) -> NDArray[np.float64]:
    """Shares of 64 colours (square roots, so that distances are Hellinger's), and of 16 strengths of edges."""
    pixels = np.asarray(picture.convert("RGB").resize((SIDE, SIDE)), np.int64)
    codes = (pixels // 64) @ np.array([16, 4, 1])
    grey = pixels.mean(axis=2)
    edges = np.hypot(*np.gradient(grey)).clip(0, 63.9)
    shares = [np.bincount(codes.ravel(), minlength=64), np.histogram(edges, 16, (0, 64))[0]]
    return np.concatenate([np.sqrt(share / share.sum()) for share in shares])


def distance(one: Sequence[NDArray[np.float64]], other: Sequence[NDArray[np.float64]]) -> float:
    return float(np.linalg.norm(np.mean(one, axis=0) - np.mean(other, axis=0)))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--controls", nargs="+", default=["Free", "Keep", "Direction"])
    parser.add_argument("--rates", nargs="+", default=["0.005", "0.02"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--pictures", type=int, default=4, help="of each new subject")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    store = Store(1, torch.device("cpu"))
    style = [statistics_of(Image.open(path)) for path in sorted(SAMPLES.glob("*.png"))]
    without = distance(draw("", store, arguments.pictures, None), style)
    print(f"words: length {usual_length(store.get(MODEL)):.3f}; distance without the word {without:.3f}, between "
          f"halves of the style {distance(style[::2], style[1::2]):.3f}\n")  # fmt: skip
    print("| lengths | rate | seed | loss before | after | best | length | distance to the style |")
    print("|---|---|---|---|---|---|---|---|")
    for control in arguments.controls:
        for rate in arguments.rates:
            for seed in arguments.seeds:
                with tempfile.TemporaryDirectory() as folder:
                    path = Path(folder)
                    found = train(
                        path, store, norm_control=control, learn_rate=rate, seed=seed, steps=arguments.steps
                    )
                    near = distance(
                        draw(", by hermann", store, arguments.pictures, path / "hermann.safetensors"), style
                    )
                losses = [loss for _, loss in found["evaluations"]]  # type: ignore[attr-defined]
                print(f"| {control} | {rate} | {seed} | {losses[0]:.4f} | {losses[-1]:.4f} | {min(losses):.4f} | "
                      f"{found['length']:.2f} | {near:.3f} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
