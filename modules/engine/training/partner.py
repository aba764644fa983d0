"""A process that works out a part of each step's gradient on a further device; `team` starts it and asks it.

Those of one training form a process group of accelerate's. The first of them is told the numbers that are learned and
answers with the sum of what all of them found.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from torch import Tensor

from modules.engine.loading.store import Store
from modules.engine.pipes import claim_input, claim_output
from modules.engine.training.latents import read_latents
from modules.engine.training.lesson import Lesson, learned_of
from modules.engine.training.model import TrainingModel
from modules.engine.training.shares import Share
from modules.schema import log_lines
from modules.schema.engine import EngineJob, read_frame, write_frame
from modules.schema.errors import UserError
from modules.schema.training import TrainingRequest, TrainingSet

log = logging.getLogger(__name__)

END = -1
"""In place of a step: there is no more to do."""


def main() -> int:
    """The first frame has the training's job and the keys of its latents' file. Ends with the pipe it reads from."""
    log_lines.start(logging.INFO, sys.stderr)
    frames, orders = claim_output(), claim_input()
    first = read_frame(orders)
    if first is None:
        return 0
    try:
        accelerator = Accelerator(cpu=not os.environ.get("CUDA_VISIBLE_DEVICES"))
        partner = _Partner(EngineJob.model_validate_json(first[0]), json.loads(first[1]), accelerator)
    except UserError as error:
        log.error("%s", error)
        return 1
    if accelerator.is_main_process:
        partner.lead(orders, frames)
    else:
        threading.Thread(target=_end_with, args=(orders,), daemon=True).start()
        partner.follow()
    accelerator.end_training()
    return 0


def _end_with(stream: BinaryIO) -> None:
    """The one who started us is gone when nothing can come any more."""
    while stream.read(1):
        pass
    os._exit(0)


class _Partner:
    def __init__(self, job: EngineJob, keys: list[str], accelerator: Accelerator) -> None:
        assert isinstance(job.request, TrainingRequest)
        self._accelerator, self._falls = accelerator, 0
        # The engine has the first share.
        self._share = Share(accelerator.process_index + 1, accelerator.num_processes + 1)
        folder = Path(job.files["run"])
        data = TrainingSet.model_validate_json((folder / "dataset.json").read_bytes())
        pictures = read_latents(folder / "latents.safetensors", keys)
        if pictures is None:
            raise UserError("The training's latents cannot be read.")
        model, _ = TrainingModel(job.model, Store(1, accelerator.device), job.request.precision).claim()
        learned = learned_of(job.request, model, job.files.get("start", ""))
        self._lesson = Lesson(job.request, data, pictures, learned, job.model.named)
        self._lesson.take(model)

    def lead(self, orders: BinaryIO, frames: BinaryIO) -> None:
        """Say that everybody is ready; then answer every order with the loss and the gradient of all partners."""
        self._accelerator.wait_for_everyone()
        write_frame(frames, b"{}")
        while (frame := read_frame(orders)) is not None:
            asked = json.loads(frame[0])
            flat = torch.from_numpy(np.frombuffer(frame[1], np.float32).copy())
            loss, values = self._together(int(asked["step"]), int(asked["falls"]), flat)
            write_frame(frames, json.dumps({"loss": loss}).encode(), values.cpu().numpy().tobytes())
        if self._accelerator.num_processes > 1:
            self._shared(torch.tensor([END, 0, 0]))

    def follow(self) -> None:
        """Take part until told that it is the end."""
        self._accelerator.wait_for_everyone()
        while True:
            step, falls, size = self._shared(torch.zeros(3, dtype=torch.int64)).tolist()
            if step == END:
                return
            self._sum(step, falls, self._shared(torch.zeros(size)))

    def _together(self, step: int, falls: int, flat: Tensor) -> tuple[float, Tensor]:
        self._shared(torch.tensor([step, falls, flat.numel()]))
        return self._sum(step, falls, self._shared(flat))

    def _shared(self, tensor: Tensor) -> Tensor:
        """The first partner's `tensor`, for all of them."""
        return broadcast(tensor.to(self._accelerator.device))

    def _sum(self, step: int, falls: int, flat: Tensor) -> tuple[float, Tensor]:
        """Loss and gradient of all partners' shares."""
        if falls != self._falls:
            self._lesson.fell(falls)
            self._falls = falls
        own = self._lesson.gradient(flat, step, self._share)
        packed = torch.cat([own.values, own.values.new_tensor([own.loss])])
        found = self._accelerator.reduce(packed, reduction="sum")
        return float(found[-1]), found[:-1]


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    os._exit(code)
