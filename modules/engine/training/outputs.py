"""What a run leaves behind beside its state: copies, previews, the best, the result, and the manifest."""

from __future__ import annotations

import glob
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from modules.engine.loading.model import PRECISION_NAMES, LoadedModel
from modules.engine.training.facts import Facts
from modules.engine.training.files import save_json, write_with
from modules.engine.training.lesson import Learned
from modules.engine.training.state import Course
from modules.schema.engine import EngineJob
from modules.schema.events import TrainFile
from modules.schema.training import TrainingRequest, TrainingSet
from modules.version import VERSION

_LIBRARIES = ("torch", "diffusers", "transformers")
_HASH_DIGITS = 10


@dataclass(frozen=True)
class Outputs:
    """Writes into the run's `folder`, and the result to `result`. `sha256` is the checkpoint's. All of it raises
    OSError."""

    request: TrainingRequest
    data: TrainingSet
    learned: Learned
    folder: Path
    result: Path
    model_name: str
    sha256: str

    def copy(self, flat: Tensor, step: int) -> TrainFile:
        """What is learned after `step`, usable as it is."""
        path = self.folder / self.learned.folder / f"{self.request.name}-{step}.safetensors"
        path.parent.mkdir(exist_ok=True)
        self.learned.write(path, flat, self.facts(step))
        return self.event(step, "copy", path)

    def best(self, flat: Tensor, step: int) -> None:
        self.learned.write(self.folder / "best.safetensors", flat, self.facts(step))

    def drawn_with(self, flat: Tensor, step: int) -> Path:
        """The file that previews are drawn with."""
        path = self.folder / "preview.safetensors"
        self.learned.write(path, flat, self.facts(step))
        return path

    def preview_path(self, step: int, index: int) -> Path:
        return self.folder / "images" / f"{self.request.name}-{step}-{index}.png"

    def plain_path(self, index: int) -> Path:
        return self.folder / "images" / f"plain-{index}.png"

    def preview(self, picture: Image.Image, flat: Tensor, step: int, index: int) -> TrainFile:
        """Keep a preview, and (on request) one that carries what it shows."""
        path = self.preview_path(step, index)
        save_png(path, picture)
        if self.request.save_image_with_stored_embedding:
            carrier = self.folder / "image_embeddings" / path.name
            carrier.parent.mkdir(exist_ok=True)
            self.learned.write_on(carrier, flat, self.facts(step), picture)
        return self.event(step, "preview", path, index)

    def plain(self, picture: Image.Image, index: int) -> TrainFile:
        path = self.plain_path(index)
        save_png(path, picture)
        return self.event(0, "plain", path, index)

    def write_result(self, flat: Tensor, step: int) -> TrainFile:
        """The final file, in the format that its ending says."""
        self.result.parent.mkdir(parents=True, exist_ok=True)
        self.learned.write(self.result, flat, self.facts(step), self._newest_preview())
        return TrainFile(self.request.run, step, "result", self.result.name)

    def manifest(self, course: Course, model: LoadedModel, keys: Sequence[str], job: EngineJob) -> None:
        """Everything that a run came from, so that it can be told and repeated."""
        value: dict[str, Any] = {
            "request": self.request.model_dump(mode="json"),
            "seed": self.request.seed,
            "data_set": {
                "hash": hashlib.sha256("".join(keys).encode()).hexdigest(),
                "pictures": [
                    {"file": Path(one.path).name, **one.model_dump(mode="json", exclude={"path", "mask"})}
                    for one in self.data.pictures
                ],
                "template": list(self.data.template),
            },
            "checkpoint": {"name": self.model_name, "sha256": self.sha256},
            "vae": Path(job.model.vae).name if job.model.vae else None,
            "device": str(model.device),
            "precision": PRECISION_NAMES[model.dtype],
            "steps": course.step,
            "falls": course.falls,
            "best": {"step": course.best_step, "evaluation": course.best},
            "result": self.result.name,
            "versions": {"webui": VERSION, **{name: version(name) for name in _LIBRARIES}},
        }
        save_json(self.folder / "manifest.json", value)

    def facts(self, step: int) -> Facts:
        return Facts(self.request.name, step, self.model_name, self.sha256[:_HASH_DIGITS], self._notes())

    def event(self, step: int, kind: str, path: Path, index: int = 0) -> TrainFile:
        return TrainFile(self.request.run, step, kind, path.relative_to(self.folder).as_posix(), index)

    def _notes(self) -> dict[str, str]:
        """kohya's names for what a LoRA file tells of its training."""
        request = self.request
        tags: dict[str, int] = {}
        for picture in self.data.pictures:
            for tag in filter(None, (part.strip() for part in picture.caption.split(","))):
                tags[tag] = tags.get(tag, 0) + 1
        return {
            "ss_network_module": "networks.lora",
            "ss_network_dim": str(request.lora_rank),
            "ss_network_alpha": str(request.lora_alpha),
            "ss_base_model_version": "sd_v1",
            "ss_sd_model_name": self.model_name,
            "ss_sd_model_hash": self.sha256[:_HASH_DIGITS],
            "ss_new_sd_model_hash": self.sha256,
            "ss_output_name": request.name,
            "ss_learning_rate": request.learn_rate,
            "ss_max_train_steps": str(request.steps),
            "ss_batch_size_per_device": str(request.batch_size),
            "ss_gradient_accumulation_steps": str(request.gradient_step),
            "ss_num_train_images": str(len(self.data.pictures)),
            "ss_resolution": f"({request.training_width}, {request.training_height})",
            "ss_clip_skip": str(request.preview.clip_skip),
            "ss_seed": str(request.seed),
            "ss_optimizer": "AdamW",
            "ss_tag_frequency": json.dumps({request.name: tags}, ensure_ascii=False),
        }

    def _newest_preview(self) -> Image.Image | None:
        pattern = f"{glob.escape(self.request.name)}-*-0.png"
        found = sorted((self.folder / "images").glob(pattern), key=lambda path: path.stat().st_mtime)
        if not found:
            return None
        with Image.open(found[-1]) as image:
            return image.convert("RGB")


def save_png(path: Path, picture: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_with(path, lambda part: picture.save(part, format="PNG"))
