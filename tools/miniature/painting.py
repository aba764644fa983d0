"""The product's own engine in this process: what is measured is what a user gets."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from modules.engine.generate import generate
from modules.engine.loading.model import LoadedModel
from modules.engine.loading.placement import pick_device
from modules.engine.loading.store import Store
from modules.schema.engine import ModelRef
from modules.schema.events import ImageDone
from modules.schema.request import GenerationRequest
from tools.miniature.judging import Pictures


class Painter:
    """Draws prompts with a checkpoint's file; `seconds` and `pictures` count what it has drawn so far."""

    def __init__(self, file: Path, device: str = "auto", precision: str = "auto") -> None:
        store = Store(1, pick_device(device))
        self.model: LoadedModel = store.get(ModelRef(checkpoint=str(file.resolve())), precision)
        width, height = self.model.native_size
        self._base = GenerationRequest(
            steps=20, sampler="DPM++ 2M", scheduler="Karras", cfg_scale=5, width=width, height=height, subseed=0
        )
        self.seconds = 0.0
        self.pictures = 0

    def paint(self, prompt: str, seed: int, **changes: Any) -> Pictures:
        """uint8 [N, H, W, 3]: 20 steps, DPM++ 2M, Karras, CFG 5, native size, or as `changes` of the request say."""
        began = time.monotonic()
        request = self._base.replace(prompt=prompt, seed=seed, **changes)
        events = [e for e in generate(request, self.model, previews_per_second=0) if isinstance(e, ImageDone)]
        self.seconds += time.monotonic() - began
        self.pictures += len(events)
        return np.stack([np.frombuffer(e.pixels, np.uint8).reshape(e.height, e.width, 3) for e in events])

    def warm_up(self) -> None:
        """Draw something that does not count, so that the first picture is no slower than the rest."""
        self.paint("", 0, steps=2)
        self.seconds, self.pictures = 0.0, 0

    @torch.inference_mode()
    def round_trip(self, pictures: Pictures, batch: int = 8) -> Pictures:
        """uint8 [N, H, W, 3] through the autoencoder and back."""
        return np.concatenate([self._there_and_back(part) for part in torch.from_numpy(pictures).split(batch)])

    def _there_and_back(self, pictures: torch.Tensor) -> Pictures:
        model = self.model
        inputs = (pictures.permute(0, 3, 1, 2).float() / 127.5 - 1).to(model.device, model.vae_dtype)
        latents = model.vae.encode(inputs).latent_dist.mode().float() * model.latent_scale
        decoded: Pictures = model.decode(latents)[0].numpy()
        return decoded


def psnr(first: Pictures, second: Pictures) -> float:
    """Peak signal-to-noise ratio in dB of two sets of pictures, the mean of each picture's own."""
    error = np.square(first.astype(np.float64) - second.astype(np.float64)).mean((1, 2, 3))
    return float(np.mean(10 * np.log10(255**2 / np.maximum(error, 1e-3))))
