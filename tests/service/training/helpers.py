"""A data set of a few pictures, and trainings on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from safetensors import safe_open

from modules.schema.events import TrainStep
from modules.schema.request import GenerationRequest
from modules.schema.training import TrainingRequest
from modules.service.app import App
from tests.service.helpers import until


def data_set(folder: Path) -> Path:
    """Three small pictures with captions in their names."""
    root = folder / "pictures"
    root.mkdir(parents=True, exist_ok=True)
    for number, colour in enumerate(("red", "green", "blue")):
        noise = np.random.default_rng(number).integers(0, 60, (96, 96, 3), dtype=np.uint8)
        picture = Image.blend(Image.fromarray(noise), Image.new("RGB", (96, 96), colour), 0.5)
        picture.save(root / f"{number} a {colour} square.png")
    return root


def training(folder: Path, name: str, **values: Any) -> TrainingRequest:
    """A training of 20 steps at the embedded model's size."""
    given = {
        "data_root": str(data_set(folder)), "steps": 20, "training_width": 128, "training_height": 128,
        "save_embedding_every": 10, "create_image_every": 10, "num_vectors_per_token": 2, "seed": 7,
        "preview": GenerationRequest(prompt="[name]", steps=2, width=128, height=128), **values,
    }  # fmt: skip
    return TrainingRequest(name=name, **given)


def run_of(app: App, job_id: str, owner: str = "ann") -> str:
    request = app.job(job_id, owner).request
    assert isinstance(request, TrainingRequest)
    return request.run


def at_step(app: App, run: str, step: int) -> None:
    """Wait until a run has got so far."""
    until(lambda: app.training.summary(run).step >= step, 90)


def vectors(path: Path) -> np.ndarray:
    """What a fake training has made."""
    with safe_open(path, "np") as file:
        return file.get_tensor("emb_params")


def steps_of(events: list[Any]) -> list[int]:
    return [event.step for event in events if isinstance(event, TrainStep)]
