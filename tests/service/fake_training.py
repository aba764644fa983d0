"""A training without a network: numbers that depend on the seed and the step, kept and gone on with as agreed.

Its name says what it does: slow: 0.05 s a step. die: the process ends at step 7, the first time. stuck: every time.
broken: fails at step 4. Its state is saved every 5 steps.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import save_file

from modules.schema.events import Event, Failed, Finished, Notice, TrainFile, TrainStep

SAVE_EVERY = 5


def _write(path: Path, vectors: np.ndarray, **metadata: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.tmp")
    save_file({"emb_params": vectors}, draft, metadata=metadata)
    os.replace(draft, path)


class _Fake:
    def __init__(self, job: dict[str, Any]) -> None:
        self.request, self.files = job["request"], job["files"]
        self.folder, self.name = Path(job["files"]["run"]), job["request"]["name"]
        self.run, self.steps = self.request["run"], self.request["steps"]
        self.step, self.vectors = 0, np.zeros((self.request["num_vectors_per_token"], 4), np.float32)
        if self.state.exists():
            with safe_open(self.state, "np") as file:
                self.vectors = file.get_tensor("emb_params")
                self.step = json.loads(file.metadata()["state"])["step"]
        history = self.folder / "history.jsonl"
        lines = history.read_text().splitlines()[: self.step] if history.exists() else []
        history.write_text("".join(f"{line}\n" for line in lines))

    @property
    def state(self) -> Path:
        return self.folder / "state.safetensors"

    def save(self) -> None:
        state = {
            "step": self.step,
            "seconds": self.step * 0.25,
            "best_step": self.step // 10 * 10,
            "best": 1.0 - self.step / 1000,
        }
        _write(self.state, self.vectors, state=json.dumps(state))

    def one_step(self) -> TrainStep:
        self.step += 1
        numbers = np.random.default_rng([self.request["seed"], self.step]).normal(size=self.vectors.shape)
        self.vectors = (self.vectors * 0.9 + numbers).astype(np.float32)
        loss = float(1 / self.step)
        evaluation = loss if self.step % 10 == 0 else None
        row = {"step": self.step, "loss": loss, "smooth": loss, "rate": 0.005, "norm": 0.4, "evaluation": evaluation}
        with (self.folder / "history.jsonl").open("a") as file:
            file.write(json.dumps({**row, "seconds": 0.01}) + "\n")
        return TrainStep(
            self.run, self.step, self.steps, loss=loss, smooth=loss, rate=0.005, norm=0.4, seconds_left=9
        )

    def copy(self) -> list[Event]:
        every = self.request["save_embedding_every"]
        if not every or self.step % every:
            return []
        name = f"embeddings/{self.name}-{self.step}.safetensors"
        _write(self.folder / name, self.vectors)
        _write(self.folder / "best.safetensors", self.vectors)
        (self.folder / "images").mkdir(exist_ok=True)
        picture = f"images/{self.name}-{self.step}-0.png"
        Image.new("RGB", (8, 8), "red").save(self.folder / picture)
        return [TrainFile(self.run, self.step, "copy", name), TrainFile(self.run, self.step, "preview", picture)]

    def misbehave(self) -> None:
        died = self.folder / "died"
        if self.step == 7 and ("stuck" in self.name or ("die" in self.name and not died.exists())):
            died.touch()
            os._exit(9)


def train(job: dict[str, Any]) -> Generator[Event, str | None, None]:
    """The events of a training; is sent None, "pause" or "interrupt" after each."""
    fake = _Fake(job)
    if "notice" in fake.name:
        yield Notice("Look at this.")
    told: str | None = None
    while fake.step < fake.steps and told is None:
        time.sleep(0.05 if "slow" in fake.name else 0.002)
        if "broken" in fake.name and fake.step == 3:
            yield Failed("There is no room on the disk: make some.", "UserError")
            return
        told = yield fake.one_step()
        fake.misbehave()
        for event in fake.copy():
            told = (yield event) or told
        if fake.step % SAVE_EVERY == 0:
            fake.save()
    fake.save()
    if told != "pause":
        _write(Path(fake.files["result"]), fake.vectors, name=fake.name, step=str(fake.step))
    yield Finished({"pause": "paused", "interrupt": "interrupted"}.get(told or "", "done"), 0.5)
