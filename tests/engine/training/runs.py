"""Runs of the embedded model for tests: a folder as the service prepares it, and the events of a training."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from modules.engine.conditioning import PromptEncoder
from modules.engine.loading.store import Store
from modules.engine.training.run import run_training
from modules.schema.engine import EngineJob, ModelRef
from modules.schema.events import Event, Finished
from modules.schema.request import GenerationRequest
from modules.schema.training import TrainingPicture, TrainingRequest, TrainingSet

ROOT = Path(__file__).parents[3]
MINIATURE = ROOT / "models" / "Stable-diffusion" / "miniature.safetensors"
SAMPLES = ROOT / "docs" / "samples" / "uncle_hermann"
TEMPLATE = ("[filewords], by [name]",)
PREVIEW = GenerationRequest(
    prompt="a cat by [name]", seed=1, subseed=1, batch_count=1, steps=2, width=64, height=64, sampler="Euler"
)
QUIET = {"evaluate_every": 0, "create_image_every": 0, "save_embedding_every": 0}


def pictures(side: int = 64, count: int = 24, **changes: Any) -> tuple[TrainingPicture, ...]:
    return tuple(
        TrainingPicture(
            path=str(path), sha256=hashlib.sha256(path.read_bytes()).hexdigest(), caption=path.stem, width=side,
            height=side, **changes,
        )
        for path in sorted(SAMPLES.glob("*.png"))[:count]
    )  # fmt: skip


def make_job(
    tmp: Path,
    data: tuple[TrainingPicture, ...] | None = None,
    template: tuple[str, ...] = TEMPLATE,
    checkpoint: Path = MINIATURE,
    ending: str = "safetensors",
    **values: Any,
) -> EngineJob:
    """A job whose run folder stands in `tmp`; called again with the same folder, it goes on with the run."""
    folder = tmp / "run"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "dataset.json").exists():
        given = TrainingSet(pictures=data or pictures(), template=template)
        (folder / "dataset.json").write_text(given.model_dump_json())
    small: dict[str, Any] = {"training_width": 64, "training_height": 64, "precision": "fp32", "steps": 6}
    named: dict[str, Any] = {"name": "hermann", "run": "run", "seed": 7, "preview": PREVIEW}
    request = TrainingRequest(**{**small, **named, **QUIET, **values})
    files = {"run": str(folder), "result": str(tmp / "embeddings" / f"hermann.{ending}"), "overwrite": ""}
    return EngineJob(id="t", request=request, model=ModelRef(checkpoint=str(checkpoint)), files=files)


def train(
    job: EngineJob, store: Store, answer: Callable[[Event], str | None] = lambda event: None
) -> Iterator[Event]:
    """Every event of the training, answered by `answer`; the models are left as a careless user leaves them."""
    events = run_training(job, store, PromptEncoder())
    told: str | None = None
    try:
        while True:
            event = events.send(told)  # type: ignore[arg-type]
            yield event
            told = answer(event)
    except StopIteration:
        return


def reason(events: list[Event]) -> str:
    assert isinstance(events[-1], Finished)
    return events[-1].reason


def learned(job: EngineJob, name: str = "state.safetensors") -> dict[str, torch.Tensor]:
    return load_file(Path(job.files["run"]) / name)
