"""Captions by a BLIP model (Li et al., "BLIP: Bootstrapping Language-Image Pre-training", arXiv 2201.12086).

The model is a folder as transformers writes it: config.json, model.safetensors, tokenizer.json and, where the
pictures' size or colours differ from BLIP's own, preprocessor_config.json.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer
from torch import Tensor
from transformers import BlipForConditionalGeneration

from modules.catalog.datasets.captions import caption_file, read_text, write_caption
from modules.catalog.datasets.opening import flat, open_upright
from modules.catalog.diffusers_folder import read_json_object
from modules.engine.captioning.added import Caption, added_captioner
from modules.schema.captioning import CaptionRequest
from modules.schema.engine import EngineJob
from modules.schema.errors import ModelFileError, UserError
from modules.schema.events import Event, Finished, Notice, Progress

Events = Generator[Event, Any, None]

_MEAN = (0.48145466, 0.4578275, 0.40821073)
_DEVIATION = (0.26862954, 0.26130258, 0.27577711)


class Blip:
    """A loaded model. Raises ModelFileError for a folder that does not hold one."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        self._dtype = torch.float16 if device.type == "cuda" else torch.float32
        self._device = device
        try:
            model = BlipForConditionalGeneration.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, dtype=self._dtype
            )
            self._model: Any = model.to(device).eval()
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # noqa: BLE001 - tokenizers raises bare Exceptions
            if isinstance(error, MemoryError | torch.OutOfMemoryError):
                raise
            raise ModelFileError(f"The captioning model in {folder} cannot be loaded: {error}") from error
        side = int(self._model.config.vision_config.image_size)
        table = read_json_object(folder / "preprocessor_config.json")
        self._size = (side, side)
        self._mean = _three(table.get("image_mean"), _MEAN)
        self._deviation = _three(table.get("image_std"), _DEVIATION)

    @torch.no_grad()
    def caption(self, picture: Image.Image, request: CaptionRequest) -> str:
        """What is seen in an RGB picture."""
        ids = self._model.generate(
            pixel_values=self._pixels(picture),
            num_beams=request.beams,
            min_length=min(request.min_length, request.max_length),
            max_length=request.max_length,
        )
        return self._tokenizer.decode(ids[0].tolist(), skip_special_tokens=True).strip()

    def _pixels(self, picture: Image.Image) -> Tensor:
        """[1, 3, side, side], stretched to a square as BLIP was trained."""
        sized = picture.resize(self._size, Image.Resampling.BICUBIC)
        values = torch.from_numpy(np.asarray(sized, np.float32) / 255)
        normal = (values - torch.tensor(self._mean)) / torch.tensor(self._deviation)
        return normal.permute(2, 0, 1)[None].to(self._device, self._dtype)


class Captioner:
    """Does caption jobs on one device; the model is loaded for each job and let go after it."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def run(self, job: EngineJob) -> Events:
        """Caption the job's pictures one after another; "interrupt" ends it between two. Raises UserErrors.

        job.files: "model" is the model's folder, each picture's id its file.
        """
        request = job.request
        assert isinstance(request, CaptionRequest)
        began = time.monotonic()
        count = len(request.pictures)
        yield Progress(0, count, 1, count, "loading")
        caption = self._captioner(request, job.files["model"])
        for done, key in enumerate(request.pictures, 1):
            try:
                _write(Path(job.files[key]), caption, request.existing)
            except UserError as error:
                yield Notice(str(error), "warning")
            spent = time.monotonic() - began
            left = spent / done * (count - done)
            if (yield Progress(done, count, done, count, "captioning", done / count, left)) == "interrupt":
                yield Finished("interrupted", spent)
                return
        yield Finished("done", time.monotonic() - began)

    def _captioner(self, request: CaptionRequest, folder: str) -> Caption:
        """An extension's, else BLIP."""
        if request.captioner:
            return added_captioner(request.captioner)
        blip = Blip(Path(folder), self._device)
        return lambda picture: blip.caption(picture, request)


def _write(path: Path, caption: Caption, existing: str) -> None:
    old = read_text(caption_file(path)) or ""
    if old and existing == "Keep":
        return
    seen = caption(flat(open_upright(path)))
    order = {"Prepend": (seen, old), "Append": (old, seen)}.get(existing, (seen,))
    try:
        write_caption(path, ", ".join(text for text in order if text))
    except OSError as error:
        raise UserError(f"The caption of {path.name} cannot be written ({error.strerror}).") from None


def _three(value: object, default: tuple[float, ...]) -> tuple[float, ...]:
    """A list of three numbers, else the default."""
    if not isinstance(value, list):
        return default
    numbers = tuple(float(n) for n in cast("list[Any]", value) if isinstance(n, int | float))
    return numbers if len(numbers) == len(default) else default
