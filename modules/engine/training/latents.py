"""The pictures of a run as latents, encoded once and kept in a file: after that the pictures are not needed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError, safe_open
from torch import Tensor

from modules.catalog.datasets.opening import fitted, weights
from modules.engine.loading.model import LoadedModel
from modules.engine.training.files import save_tensors
from modules.engine.training.streams import Streams
from modules.schema.training import Latents, TrainingPicture

_KEYS = "keys"


@dataclass(frozen=True)
class Encoded:
    """A picture in the UNet's scale: the encoder's `mean` and `deviation` float32 [C,h,w]; `weight` [h,w], mean 1, or
    None where all of it counts the same. On the CPU."""

    mean: Tensor
    deviation: Tensor
    weight: Tensor | None

    @property
    def size(self) -> tuple[int, int]:
        return self.mean.shape[2], self.mean.shape[1]


def key_of(picture: TrainingPicture, vae: str) -> str:
    """What a picture's latents depend on; `vae` names the weights of the autoencoder."""
    facts = picture.model_dump(mode="json", exclude={"path", "caption"})
    return hashlib.sha256(json.dumps([vae, facts], sort_keys=True).encode()).hexdigest()


def read_latents(path: Path, keys: Sequence[str]) -> list[Encoded] | None:
    """What the file holds for all of `keys`; None when it is not there, damaged, or of other pictures."""
    try:
        with safe_open(path, framework="pt") as file:
            if json.loads((file.metadata() or {}).get(_KEYS, "null")) != list(keys):
                return None
            names = set(file.keys())
            found = []
            for k in range(len(keys)):
                weight = file.get_tensor(f"{k}.weight") if f"{k}.weight" in names else None
                found.append(Encoded(file.get_tensor(f"{k}.mean"), file.get_tensor(f"{k}.deviation"), weight))
            return found
    except (OSError, SafetensorError, json.JSONDecodeError):
        return None


def encode_pictures(
    path: Path, pictures: Sequence[TrainingPicture], keys: Sequence[str], model: LoadedModel
) -> Generator[int, LoadedModel, list[Encoded]]:
    """Encode all pictures and write the file; gives the count of those done after each, and is sent the model.

    Raises UserError for a picture that is gone or damaged, and OSError.
    """
    found: list[Encoded] = []
    for number, picture in enumerate(pictures, 1):
        found.append(_encode(picture, model))
        model = yield number
    save_tensors(path, _table(found), {_KEYS: json.dumps(list(keys))})
    return found


def _encode(picture: TrainingPicture, model: LoadedModel) -> Encoded:
    pixels = np.asarray(fitted(picture), np.float32) / 127.5 - 1
    mean, deviation = model.encode(torch.from_numpy(pixels).permute(2, 0, 1)[None])
    weight = weights(picture)
    size = (mean.shape[3], mean.shape[2])
    # Made where generation may have been, a tensor could take no part in training.
    return Encoded(mean[0].cpu(), deviation[0].cpu(), None if weight is None else _weight(weight, size))


def _weight(mask: Image.Image, size: tuple[int, int]) -> Tensor | None:
    """How much each latent pixel counts, in the mean 1; None for a mask without anything in it."""
    values = torch.from_numpy(np.asarray(mask.resize(size, Image.Resampling.BOX), np.float32).copy())
    mean = float(values.mean())
    return values / mean if mean > 0 else None


def _table(found: Sequence[Encoded]) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for k, one in enumerate(found):
        tensors |= {f"{k}.mean": one.mean, f"{k}.deviation": one.deviation}
        if one.weight is not None:
            tensors[f"{k}.weight"] = one.weight
    return tensors


@dataclass(frozen=True)
class Album:
    """The encoded pictures, sampled as the request says."""

    pictures: Sequence[Encoded]
    sampling: Latents
    streams: Streams

    def latent(self, picture: int, batch: int) -> Tensor:
        """float32 [C,h,w] of a picture in batch `batch` of the run."""
        if self.sampling == "random":
            return self._drawn(picture, "latent", picture, batch)
        return self.fixed(picture)

    def fixed(self, picture: int) -> Tensor:
        """The same every time."""
        if self.sampling == "deterministic":
            return self.pictures[picture].mean
        return self._drawn(picture, "latent", picture)

    def weights(self, chosen: Sequence[int]) -> Tensor | None:
        """[B,1,h,w] of pictures of one size; None where everything counts the same."""
        found = [self.pictures[k].weight for k in chosen]
        if all(weight is None for weight in found):
            return None
        ones = torch.ones(self.pictures[chosen[0]].mean.shape[1:])
        return torch.stack([ones if weight is None else weight for weight in found])[:, None]

    def _drawn(self, picture: int, purpose: str, *where: int) -> Tensor:
        one = self.pictures[picture]
        return one.mean + one.deviation * self.streams.normal(one.mean.shape, purpose, *where)
