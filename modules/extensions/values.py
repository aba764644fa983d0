"""The small values that hooks are given. No torch here: a tensor is whatever the engine hands over."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from modules.schema.events import Failed, Finished
from modules.schema.frozen import Frozen
from modules.schema.request import GenerationRequest

Tensor = Any

Draw = Callable[[GenerationRequest], list[Image.Image]]
"""All pictures of a request, in order."""


@dataclass(frozen=True)
class Prompts:
    """The words of one picture."""

    prompt: str
    negative_prompt: str = ""


@dataclass(frozen=True)
class PictureFacts:
    """Picture `index` of a job, its own `seed`, and the job's resolved request."""

    index: int
    seed: int
    request: GenerationRequest


@dataclass(frozen=True)
class PassFacts:
    """A pass of sampling: its resolved request, the pictures drawn in it, and whether it is hires fix's second."""

    request: GenerationRequest
    images: range
    is_hires: bool = False


@dataclass(frozen=True, eq=False)
class Estimates:
    """Estimates [B,C,h,w] of the clean latent: one for each prompt in `pieces`, with its weight, and that of the
    negative prompt, None where it is left out of a call."""

    pieces: tuple[Tensor, ...]
    negative: Tensor | None
    weights: tuple[float, ...]

    @property
    def positive(self) -> Tensor:
        """That of the (first) prompt."""
        return self.pieces[0]


@dataclass(frozen=True, eq=False)
class Call:
    """A call of the model: number `index` of `total`, at noise level `sigma`, with the noisy latent `x` [B,C,h,w].

    `scale`: the CFG scale. `estimates`: what guidance mixes; None before it is known. `memory` is kept from call to
    call of a pass; an extension uses the key of its name.
    """

    index: int
    total: int
    sigma: float
    x: Tensor
    scale: float
    facts: PassFacts
    estimates: Estimates | None = None
    memory: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Places:
    """Where things are: `data` is the user's folder (models, outputs, ...), `state` what the program keeps."""

    data: Path
    state: Path
    models: Path


@dataclass(frozen=True)
class JobFacts:
    """A job in the queue. `kind` is "generation", "script", "training", ...; `ending` is there once it has ended."""

    id: str
    kind: str
    owner: str
    request: Any
    ending: Failed | Finished | None = None


@dataclass(frozen=True)
class SavedPicture:
    """`name`: its address in the API; `path` None: it could not be written."""

    name: str
    infotext: str
    width: int
    height: int
    path: Path | None = None


@dataclass(frozen=True)
class Script:
    """One request that stands for many. Either `function(base, options, draw)`, see the hook, or `make(base, options,
    inputs)`, which gives a `Program` (modules/service/plans.py): its cells are known before they are drawn.

    `tabs` says where it is offered. `prepare` leaves nothing to chance in the options. `pieces`: its cells are parts
    of the pictures that it makes, and of no use alone. `keeps_random`: whether, with these options, a seed of -1
    stays for each cell to draw its own.
    """

    name: str
    options: type[Frozen] = Frozen
    make: Callable[[GenerationRequest, Any, Any], Any] | None = None
    function: Callable[[GenerationRequest, Any, Draw], Iterable[Image.Image] | None] | None = None
    tabs: tuple[str, ...] = ("txt2img", "img2img")
    prepare: Callable[[Any], Any] = lambda options: options
    pieces: bool = False
    keeps_random: Callable[[Any], bool] = lambda options: False
    aliases: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return self.name
