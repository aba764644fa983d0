"""Captions by a BLIP model (Li et al., "BLIP: Bootstrapping Language-Image Pre-training", arXiv 2201.12086).

The model is a folder as transformers writes it: config.json, model.safetensors, tokenizer.json and, where the
pictures' size or colours differ from BLIP's own, preprocessor_config.json.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer
from torch import Tensor
from transformers import BlipForConditionalGeneration

from modules.catalog.diffusers_folder import read_json_object
from modules.schema.captioning import CaptionOptions
from modules.schema.errors import ModelFileError

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
    def caption(self, picture: Image.Image, options: CaptionOptions) -> str:
        """What is seen in an RGB picture."""
        longest = options.interrogate_clip_max_length
        ids = self._model.generate(
            pixel_values=self._pixels(picture),
            num_beams=options.interrogate_clip_num_beams,
            min_length=min(options.interrogate_clip_min_length, longest),
            max_length=longest,
        )
        return self._tokenizer.decode(ids[0].tolist(), skip_special_tokens=True).strip()

    def _pixels(self, picture: Image.Image) -> Tensor:
        """[1, 3, side, side], stretched to a square as BLIP was trained."""
        sized = picture.resize(self._size, Image.Resampling.BICUBIC)
        values = torch.from_numpy(np.asarray(sized, np.float32) / 255)
        normal = (values - torch.tensor(self._mean)) / torch.tensor(self._deviation)
        return normal.permute(2, 0, 1)[None].to(self._device, self._dtype)


def _three(value: object, default: tuple[float, ...]) -> tuple[float, ...]:
    """A list of three numbers, else the default."""
    if not isinstance(value, list):
        return default
    numbers = tuple(float(n) for n in cast("list[Any]", value) if isinstance(n, int | float))
    return numbers if len(numbers) == len(default) else default
