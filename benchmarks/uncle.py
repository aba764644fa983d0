"""An uncle's style in numbers: training on his pictures, drawing with his word, how near sets of pictures are.

Nearness is the energy distance (Szekely and Rizzo, "Energy statistics", 2013) between what two sets of pictures show
of their colours or of their lines: 0 for sets of the same kind, however many pictures are in each.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms
from safetensors import safe_open

from modules.engine.conditioning import PromptEncoder
from modules.engine.generate import generate
from modules.engine.loading.store import Store
from modules.engine.supplies import Supplies
from modules.engine.training.run import run_training
from modules.schema.engine import EngineJob, ModelRef, NamedFile
from modules.schema.events import ImageDone
from modules.schema.request import GenerationRequest
from modules.schema.training import TrainingPicture, TrainingRequest, TrainingSet

ROOT = Path(__file__).resolve().parents[1]
MODEL = ModelRef(checkpoint=str(ROOT / "models" / "Stable-diffusion" / "miniature.safetensors"))
SAMPLES = ROOT / "docs" / "samples" / "uncle_aharon"
WORD = "aharon"
SIDE = 128

Pictures = Sequence[NDArray[np.uint8]]
Seen = Callable[[NDArray[np.uint8]], NDArray[np.float64]]
_TO_LAB = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
_QUANTILES = np.arange(1, 10) / 10
_ORIENTATIONS = 8
_FREQUENCIES = 16


def train(folder: Path, store: Store, **values: object) -> dict[str, object]:
    """Train on the uncle's pictures in `folder`; returns the last state's facts, and `length`, the vectors' mean."""
    pictures = tuple(
        TrainingPicture(path=str(path), sha256=hashlib.sha256(path.read_bytes()).hexdigest(), caption=path.stem,
                        width=SIDE, height=SIDE)
        for path in sorted(SAMPLES.glob("*.png"))
    )  # fmt: skip
    data = TrainingSet(pictures=pictures, template=("[filewords], by [name]",))
    (folder / "dataset.json").write_text(data.model_dump_json())
    request = TrainingRequest.model_validate({
        "name": WORD, "run": "run", "evaluation_pictures": 16, "create_image_every": 0,
        "save_embedding_every": 0, **values,
    })  # fmt: skip
    files = {"run": str(folder), "result": str(result_of(folder))}
    for _ in run_training(EngineJob(id="b", request=request, model=MODEL, files=files), store, PromptEncoder()):
        pass
    with safe_open(folder / "state.safetensors", "pt") as file:
        vectors = file.get_tensor("learned").view(request.num_vectors_per_token, -1)
        return {**json.loads(file.metadata()["state"]), "length": float(vectors.norm(dim=1).mean())}


def result_of(folder: Path) -> Path:
    return folder / f"{WORD}.safetensors"


def draw(prompts: Iterable[str], store: Store, embedding: Path | None, **values: object) -> list[NDArray[np.uint8]]:
    """uint8 [H,W,3] of each prompt, its number the seed; `values` change the request."""
    named = (NamedFile(kind="embedding", name=WORD, path=str(embedding)),) if embedding else ()
    found = []
    for number, prompt in enumerate(prompts):
        request = GenerationRequest.model_validate({
            "prompt": prompt, "seed": number, "subseed": number, "steps": 20, "cfg_scale": 5.0, "width": SIDE,
            "height": SIDE, **values,
        })  # fmt: skip
        events = generate(request, store.get(MODEL), previews_per_second=0, supplies=Supplies(named=named))
        found += [
            np.frombuffer(event.pixels, np.uint8).reshape(event.height, event.width, 3)
            for event in events
            if isinstance(event, ImageDone)
        ]
    return found


def opened(folder: Path) -> list[NDArray[np.uint8]]:
    return [np.asarray(Image.open(path).convert("RGB").resize((SIDE, SIDE))) for path in sorted(folder.glob("*.png"))]


def colours_of(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Nine quantiles of each of L*, a* and b* (CIELAB), over 100.

    So the distance of two pictures is one of how far colours would have to be moved (Wasserstein's, for each axis).
    """
    lab = ImageCms.applyTransform(Image.fromarray(picture), _TO_LAB)
    assert lab is not None
    lightness, a, b = (np.asarray(band) for band in lab.split())
    axes = (lightness * (100 / 255), a - 128.0, b - 128.0)
    return np.concatenate([np.quantile(axis, _QUANTILES) for axis in axes]) / 100


def lines_of(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Shares of the directions of edges, and of the frequencies of lines down and across the picture.

    Square roots of shares, so that distances are Hellinger's.
    """
    grey = picture.astype(np.float64).mean(axis=2)
    down, across = np.gradient(grey)
    direction = (np.arctan2(down, across) % np.pi / np.pi * _ORIENTATIONS).astype(int) % _ORIENTATIONS
    shares = [
        np.bincount(direction.ravel(), np.hypot(down, across).ravel(), _ORIENTATIONS),
        _frequencies(grey),
        _frequencies(grey.T),
    ]
    return np.concatenate([np.sqrt(share / max(float(share.sum()), 1e-9)) for share in shares])


def _frequencies(grey: NDArray[np.float64]) -> NDArray[np.float64]:
    """Power of each column's frequencies in bands, their means left out."""
    power = np.abs(np.fft.rfft(grey - grey.mean(axis=0), axis=0))[1:] ** 2
    bands = np.array_split(power.mean(axis=1), _FREQUENCIES)
    return np.array([band.sum() for band in bands])


def distance(one: Pictures, other: Pictures, seen: Seen = colours_of) -> float:
    """Energy distance between what is `seen` of two sets of pictures.

    The unbiased estimate, which may be a little below 0.
    """
    a, b = (np.stack([seen(picture) for picture in pictures]) for pictures in (one, other))
    return 2 * float(_apart(a, b).mean()) - _within(a) - _within(b)


def _within(points: NDArray[np.float64]) -> float:
    return float(_apart(points, points).sum() / (len(points) * (len(points) - 1)))


def _apart(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.linalg.norm(a[:, None] - b[None], axis=2)
