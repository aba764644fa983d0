"""The random numbers of a batch.

Each picture has its own generator, so its noise does not depend on its neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal, Protocol

import torch
from torch import Tensor
from torch.nn.functional import normalize

from modules.engine.diffusion.brownian import BrownianTree, Normals
from modules.engine.diffusion.philox import philox_normal

Source = Literal["CPU", "GPU", "NV"]
Shape = tuple[int, ...]
Increments = Callable[[float, float], Tensor]

_PARALLEL = 0.9995


class NormalGenerator(Protocol):
    """A stream of standard normal tensors."""

    def draw(self, shape: Shape) -> Tensor:
        """The next tensor, float32."""
        ...


class TorchNormals:
    """The stream of torch's generator of `origin`, moved to `device`."""

    def __init__(self, seed: int, origin: torch.device, device: torch.device) -> None:
        self._generator = torch.Generator(origin).manual_seed(seed % 2**64)
        self._device = device

    def draw(self, shape: Shape) -> Tensor:
        device = self._generator.device
        return torch.randn(shape, generator=self._generator, device=device, dtype=torch.float32).to(self._device)


class PhiloxNormals:
    """The stream of an NVIDIA card, on any device."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self._seed = seed
        self._device = device
        self._drawn = 0

    def draw(self, shape: Shape) -> Tensor:
        noise = first_philox([self._seed], shape, self._device, self._drawn)[0]
        self._drawn += 1
        return noise


def first_philox(seeds: Sequence[int], shape: Shape, device: torch.device, offset: int = 0) -> Tensor:
    """Philox normals on `device`; computed on the CPU where the device lacks double precision."""
    origin = device if device.type == "cuda" else torch.device("cpu")
    return philox_normal(seeds, shape, offset=offset, device=origin).to(device)


def generator(seed: int, source: Source, device: torch.device) -> NormalGenerator:
    """The normal numbers of `seed` from `source`, as tensors on `device`."""
    if source == "NV":
        return PhiloxNormals(seed, device)
    # On Apple A1111 draws on the CPU, and so pictures made there have the CPU's noise.
    own = source == "GPU" and device.type != "mps"
    return TorchNormals(seed, device if own else torch.device("cpu"), device)


def first_normals(source: Source, device: torch.device) -> Normals:
    """Seeds to the first tensor of each one's stream, all at once where the source can."""

    def draw(seeds: Sequence[int], shape: Shape) -> Tensor:
        if source == "NV":
            return first_philox(seeds, shape, device)
        return torch.stack([generator(seed, source, device).draw(shape) for seed in seeds])

    return draw


def slerp(t: float, a: Tensor, b: Tensor) -> Tensor:
    """From `a` to `b` [C, H, W] along great circles of the columns (dimension 1), as A1111 mixes seeds.

    Where both are nearly parallel on the whole it is a straight line with the weights exchanged, as there.
    """
    cosine = (normalize(a, dim=1) * normalize(b, dim=1)).sum(1, keepdim=True)
    if cosine.mean() > _PARALLEL:
        return a * t + b * (1 - t)
    angle = torch.acos(cosine.clamp(-1, 1))
    sine = torch.sin(angle)
    # Columns that are parallel have no great circle between them: a straight line is its limit.
    straight = sine.abs() < 1e-6
    sine = torch.where(straight, torch.ones_like(sine), sine)
    from_a = torch.where(straight, torch.full_like(sine, 1 - t), torch.sin((1 - t) * angle) / sine)
    to_b = torch.where(straight, torch.full_like(sine, t), torch.sin(t * angle) / sine)
    return from_a * a + to_b * b


def paste_centred(old: Tensor, new: Tensor) -> Tensor:
    """`new` [C, H, W] with `old` [C, h, w] pasted into its middle, cropped where it is larger."""
    result = new.clone()
    target, source = [slice(None)], [slice(None)]
    for old_size, new_size in zip(old.shape[1:], new.shape[1:], strict=True):
        offset = (new_size - old_size) // 2
        size = old_size if offset >= 0 else old_size + 2 * offset
        target.append(slice(max(offset, 0), max(offset, 0) + size))
        source.append(slice(max(-offset, 0), max(-offset, 0) + size))
    result[tuple(target)] = old[tuple(source)]
    return result


class NoiseStream:
    """All noise of one batch; picture i uses `seeds[i]` and `subseeds[i]`, and every result is float32 [B, *shape].

    `subseed_strength` mixes the subseed's noise in; `resize_from` (width, height, in latent pixels) takes the initial
    noise of that size; `ensd` is added to the seeds for all noise after the initial one.
    """

    def __init__(
        self,
        seeds: Sequence[int],
        subseeds: Sequence[int],
        shape: Shape,
        *,
        source: Source,
        device: torch.device,
        subseed_strength: float = 0.0,
        resize_from: tuple[int, int] | None = None,
        ensd: int = 0,
    ) -> None:
        self._seeds = tuple(seeds)
        self._subseeds = tuple(subseeds)
        self._shape = shape
        self._source: Source = source
        self._device = device
        self._strength = subseed_strength
        self._drawn_shape = shape if resize_from is None else (shape[0], resize_from[1], resize_from[0])
        self._ensd = ensd
        self._generators = [generator(seed, source, device) for seed in self._seeds]

    def initial(self) -> Tensor:
        """The noise that the pictures start from; to be called once, before `next`."""
        noise = torch.stack([self._initial_of(index) for index in range(len(self._seeds))])
        if self._ensd:
            self._generators = [generator(seed + self._ensd, self._source, self._device) for seed in self._seeds]
        return noise

    def next(self) -> Tensor:
        """The next noise of every picture."""
        return torch.stack([own.draw(self._shape) for own in self._generators])

    def brownian(self, sigma_min: float, sigma_max: float) -> Increments:
        """A function (from sigma, to sigma) -> noise of unit variance, of each picture's own Brownian path.

        The path spans [sigma_min, sigma_max], which must be those of the full schedule for the noise to be the same
        in a shortened run.
        """
        normals = first_normals(self._source, self._device)
        trees = [BrownianTree(seed, sigma_min, sigma_max, self._shape, normals) for seed in self._seeds]

        def increment(sigma_from: float, sigma_to: float) -> Tensor:
            steps = torch.stack([tree(sigma_from, sigma_to) for tree in trees])
            return steps / math.sqrt(abs(sigma_to - sigma_from)) if sigma_from != sigma_to else steps

        return increment

    def _initial_of(self, index: int) -> Tensor:
        seed, resized = self._seeds[index], self._drawn_shape != self._shape
        own = self._generators[index]
        # A resized picture's own generator draws the surroundings, a second one of the same seed the middle.
        noise = (generator(seed, self._source, self._device) if resized else own).draw(self._drawn_shape)
        if self._strength:
            other = generator(self._subseeds[index], self._source, self._device).draw(self._drawn_shape)
            noise = slerp(self._strength, noise, other)
        return paste_centred(noise, own.draw(self._shape)) if resized else noise
