"""A1111's `p`: a request under A1111's names. What a script changes on it becomes changes of the request."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from modules.extensions.values import Draw
from modules.schema.errors import BadRequest
from modules.schema.request import GenerationRequest

FIELDS: dict[str, str] = {
    **{name: name for name in ("prompt", "negative_prompt", "seed", "subseed", "subseed_strength", "steps", "eta")},
    **{name: name for name in ("cfg_scale", "width", "height", "batch_size", "tiling", "scheduler", "s_churn")},
    **{name: name for name in ("s_tmin", "s_tmax", "s_noise", "s_min_uncond")},
    **{name: name for name in ("seed_resize_from_w", "seed_resize_from_h")},
    "n_iter": "batch_count",
    "sampler_name": "sampler",
}
"""A1111's attribute: the request's field."""

_HIRES = {"hr_scale": "scale", "hr_upscaler": "upscaler", "hr_second_pass_steps": "steps", "hr_resize_x": "width",
          "hr_resize_y": "height", "hr_prompt": "prompt", "hr_negative_prompt": "negative_prompt"}  # fmt: skip
_MODEL_OBJECTS = frozenset(
    ("sd_model", "sampler", "sd_model_hash", "rng", "init_latent", "c", "uc", "modified_noise")
)


class StableDiffusionProcessing:
    """The attributes that scripts read and change. A model object is an AttributeError with a sentence."""

    def __init__(self, request: GenerationRequest) -> None:
        values = vars(self)
        values.update({theirs: getattr(request, ours) for theirs, ours in FIELDS.items()})
        values.update({theirs: getattr(request.hires, ours, None) for theirs, ours in _HIRES.items()})
        part = request.image or request.hires
        self.denoising_strength = part.denoising_strength if part else None
        self.enable_hr = request.hires is not None
        self.styles = list(request.styles)
        self.restore_faces = request.face_restoration != "None"
        self.is_img2img = request.image is not None
        count = request.image_count
        self.all_prompts = [request.prompt] * count
        self.all_negative_prompts = [request.negative_prompt] * count
        self.all_seeds = [request.image_seeds(index)[0] for index in range(count)]
        self.all_subseeds = [request.image_seeds(index)[1] for index in range(count)]
        self.prompts, self.negative_prompts, self.seeds, self.subseeds = [], [], [], []
        self.iteration = 0
        self.extra_generation_params: dict[str, Any] = {}
        self.override_settings: dict[str, Any] = {}
        self.init_images: list[Image.Image] = []
        self.script_args: tuple[Any, ...] = ()
        self.do_not_save_samples = self.do_not_save_grid = False
        self.outpath_samples = self.outpath_grids = ""
        self._request = request
        self._before = dict(values)

    def __getattr__(self, name: str) -> Any:
        if name in _MODEL_OBJECTS:
            raise AttributeError(f"p.{name} is one of A1111's model objects, which are not in this program")
        raise AttributeError(f"p.{name} is not there: this program keeps no such value")

    @property
    def request(self) -> GenerationRequest:
        """The request with what has been changed so far; raises BadRequest for values that it cannot have."""
        changes: dict[str, Any] = {ours: vars(self)[theirs] for theirs, ours in FIELDS.items() if self._new(theirs)}
        request = self._request
        hires = {ours: vars(self)[theirs] for theirs, ours in _HIRES.items() if self._new(theirs)}
        if self._new("denoising_strength"):
            part = "image" if request.image else "hires"
            changes[part] = (getattr(request, part), {"denoising_strength": self.denoising_strength})
        if hires and request.hires is not None:
            changes["hires"] = (request.hires, {**changes.get("hires", (None, {}))[1], **hires})
        parts = {name: old.replace(**new) for name, (old, new) in _parts(changes) if old is not None}
        plain = {name: value for name, value in changes.items() if name not in ("image", "hires")}
        if self._new("enable_hr") and not self.enable_hr:
            parts["hires"] = None
        try:
            return request.replace(**plain, **parts)
        except ValueError as error:
            raise BadRequest(
                f"A script has set a value that is not possible ({str(error).splitlines()[0]})."
            ) from error

    def _new(self, name: str) -> bool:
        return vars(self)[name] != self._before[name]


def _parts(changes: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(name, changes[name]) for name in ("image", "hires") if name in changes]


@dataclass
class Processed:
    """What came of a request: pictures, and A1111's facts about them."""

    p: Any
    images: list[Image.Image]
    seed: int = -1
    info: str = ""
    infotexts: list[str] = field(default_factory=list)
    prompt: str = ""
    negative_prompt: str = ""
    index_of_first_image: int = 0
    comments: str = ""

    @property
    def all_prompts(self) -> list[str]:
        return self.p.all_prompts

    @property
    def all_seeds(self) -> list[int]:
        return self.p.all_seeds

    @property
    def all_subseeds(self) -> list[int]:
        return self.p.all_subseeds

    @property
    def width(self) -> int:
        return self.p.width

    @property
    def height(self) -> int:
        return self.p.height


_DRAW: ContextVar[Draw | None] = ContextVar("draw", default=None)


@contextlib.contextmanager
def drawing(draw: Draw) -> Iterator[None]:
    """Let `process_images` draw."""
    token = _DRAW.set(draw)
    try:
        yield
    finally:
        _DRAW.reset(token)


def process_images(p: StableDiffusionProcessing) -> Processed:
    """Draw what `p` asks for, through the queue; only inside a selected script's `run`."""
    draw = _DRAW.get()
    if draw is None:
        raise RuntimeError("process_images works only inside the run method of a selected script")
    request = p.request.replace(extensions={})
    images = draw(request)
    p.all_prompts = [request.prompt] * len(images)
    p.all_seeds = [request.image_seeds(index)[0] for index in range(len(images))]
    return Processed(p, images, request.seed, prompt=request.prompt, negative_prompt=request.negative_prompt)
