"""What an X/Y/Z plot can vary: A1111's axes in its order, and every other parameter of a request by its label."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from modules.schema.errors import BadRequest, UnknownName
from modules.schema.extension_options import EXTENSIONS, checked_options
from modules.schema.knob import Knob, knobs
from modules.schema.parts import PARTS
from modules.schema.registry import Registry
from modules.schema.request import GenerationRequest
from modules.service.scripts.ranges import float_values, int_values, split_values

Apply = Callable[[GenerationRequest, Any], GenerationRequest]
Kind = Literal["int", "float", "text", "bool", "search", "order", "none"]


@dataclass(frozen=True)
class Axis:
    """`cost`: how slow a change of value is, 0 to 1; the slowest axis goes to the outer loop.

    `tab`: "txt2img" or "img2img" where A1111 offers it only there. `apply` None: not to be had here yet.
    """

    label: str
    kind: Kind
    apply: Apply | None
    cost: float = 0.0
    tab: str = ""
    aliases: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.label

    def values(self, text: str) -> list[Any]:
        """The values that are meant by what was typed; raises BadRequest."""
        if self.kind == "none":
            return [""]
        if self.kind == "int":
            return list(int_values(text))
        if self.kind == "float":
            return list(float_values(text))
        found = split_values(text)
        if self.kind == "bool":
            return [_boolean(value, self.label) for value in found]
        if self.kind == "search":
            return [(found[0], value) for value in found]
        return list(itertools.permutations(found)) if self.kind == "order" else found

    def legend(self, value: Any) -> str:
        """What stands beside a row or column."""
        if self.kind == "none":
            return ""
        if self.kind == "search":
            return str(value[1])
        if self.kind == "order":
            return ", ".join(value)
        text = f"{value:g}" if isinstance(value, float) else str(value)
        return text if self.label in _PLAIN else f"{self.label}: {text}"

    def set(self, request: GenerationRequest, value: Any) -> GenerationRequest:
        """The request with that value; raises BadRequest for one that is not possible."""
        if self.apply is None:
            raise BadRequest(f"This version cannot vary {self.label!r} yet.", "x_type")
        try:
            return self.apply(request, value)
        except ValidationError as error:
            reason = error.errors(include_url=False)[0]["msg"].removeprefix("Input should be ")
            raise BadRequest(
                f"The axis {self.label} cannot have the value {value!r}: it should be {reason}."
            ) from None


_PLAIN = ("Checkpoint name", "Styles", "Size", "Sampler", "VAE", "Refiner checkpoint")


def _boolean(value: str, label: str) -> bool:
    if value.casefold() not in ("true", "false"):
        raise BadRequest(f"The values of the axis {label} are True and False, not {value!r}.")
    return value.casefold() == "true"


def _put(path: str) -> Apply:
    """Sets a field of the request, or of one of its parts, which must be on."""
    part, _, field = path.rpartition(".")

    def apply(request: GenerationRequest, value: Any) -> GenerationRequest:
        if not part:
            return request.replace(**{field: value})
        old = getattr(request, part)
        if old is None:
            raise BadRequest(f"The axis needs {_PART_NAMES.get(part, part)}: switch that on first.")
        return request.replace(**{part: old.replace(**{field: value})})

    return apply


_PART_NAMES = {"hires": "Hires fix", "image": "a picture to begin with (img2img)", "inpaint": "a mask",
               "refiner": "a refiner", "soft_inpaint": "soft inpainting"}  # fmt: skip


def _denoising(request: GenerationRequest, value: Any) -> GenerationRequest:
    return _put("image.denoising_strength" if request.image else "hires.denoising_strength")(request, value)


def _search(request: GenerationRequest, value: tuple[str, str]) -> GenerationRequest:
    """Prompt S/R."""
    what, by = value
    if what not in request.prompt and what not in request.negative_prompt:
        raise BadRequest(f"Prompt S/R: {what!r} is neither in the prompt nor in the negative prompt.")
    return request.replace(
        prompt=request.prompt.replace(what, by), negative_prompt=request.negative_prompt.replace(what, by)
    )


def _order(request: GenerationRequest, value: tuple[str, ...]) -> GenerationRequest:
    """The fragments of the prompt in another order, each in another's place."""
    places = sorted((request.prompt.find(fragment), fragment) for fragment in value)
    if places and places[0][0] < 0:
        raise BadRequest(f"Prompt order: {places[0][1]!r} is not in the prompt.")
    text, end = "", 0
    for (start, old), new in zip(places, value, strict=True):
        text += request.prompt[end:start] + new
        end = start + len(old)
    return request.replace(prompt=text + request.prompt[end:])


def _size(request: GenerationRequest, value: str) -> GenerationRequest:
    match = re.fullmatch(r"(\d+)\s*[xX×]\s*(\d+)", value)
    if match is None:
        raise BadRequest(f"The axis Size needs values such as 512x768, not {value!r}.")
    return request.replace(width=int(match[1]), height=int(match[2]))


def _styles(request: GenerationRequest, value: str) -> GenerationRequest:
    more = [name for name in split_values(value) if name]
    return request.replace(styles=(*request.styles, *more))


def _refiner(request: GenerationRequest, value: str) -> GenerationRequest:
    if value.casefold() in ("", "none"):
        return request.replace(refiner=None)
    part = PARTS["refiner"]
    return request.replace(refiner=(request.refiner or part()).replace(checkpoint=value))


def _faces(request: GenerationRequest, value: str) -> GenerationRequest:
    """A model's name; or yes or no, where yes is CodeFormer."""
    models = {"gfpgan": "GFPGAN", **dict.fromkeys(("codeformer", "true", "yes", "y", "1"), "CodeFormer")}
    return request.replace(face_restoration=models.get(value.strip().casefold(), "None"))


_TXT, _IMG = "txt2img", "img2img"

AXES: tuple[Axis, ...] = (
    Axis("Nothing", "none", lambda request, _: request),
    Axis("Seed", "int", _put("seed")),
    Axis("Var. seed", "int", _put("subseed")),
    Axis("Var. strength", "float", _put("subseed_strength")),
    Axis("Steps", "int", _put("steps")),
    Axis("Hires steps", "int", _put("hires.steps"), tab=_TXT),
    Axis("CFG Scale", "float", _put("cfg_scale")),
    Axis("Image CFG Scale", "float", None, tab=_IMG),
    Axis("Prompt S/R", "search", _search),
    Axis("Prompt order", "order", _order),
    Axis("Sampler", "text", _put("sampler")),
    Axis("Hires sampler", "text", _put("hires.sampler"), tab=_TXT),
    Axis("Checkpoint name", "text", _put("checkpoint"), cost=1.0),
    Axis("Negative Guidance minimum sigma", "float", _put("s_min_uncond")),
    Axis("Sigma Churn", "float", _put("s_churn")),
    Axis("Sigma min", "float", _put("s_tmin")),
    Axis("Sigma max", "float", _put("s_tmax")),
    Axis("Sigma noise", "float", _put("s_noise")),
    Axis("Schedule type", "text", _put("scheduler")),
    Axis("Schedule min sigma", "float", _put("sigma_min")),
    Axis("Schedule max sigma", "float", _put("sigma_max")),
    Axis("Schedule rho", "float", _put("rho")),
    Axis("Beta schedule alpha", "float", _put("beta_alpha")),
    Axis("Beta schedule beta", "float", _put("beta_beta")),
    Axis("Eta", "float", _put("eta")),
    Axis("Clip skip", "int", _put("clip_skip"), cost=0.5),
    Axis("Denoising", "float", _denoising),
    Axis("Initial noise multiplier", "float", _put("image.noise_multiplier")),
    Axis("Extra noise", "float", _put("image.extra_noise")),
    Axis("Hires upscaler", "text", _put("hires.upscaler"), tab=_TXT),
    Axis("Cond. Image Mask Weight", "float", _put("inpaint.mask_weight"), tab=_IMG),
    Axis("VAE", "text", _put("vae"), cost=0.7),
    Axis("Styles", "text", _styles),
    Axis("UniPC Order", "int", _put("unipc_order"), cost=0.5),
    Axis("Face restore", "text", _faces),
    Axis("Token merging ratio", "float", None),
    Axis("Token merging ratio high-res", "float", None),
    Axis("Always discard next-to-last sigma", "bool", _put("discard_penultimate")),
    Axis("SGM noise multiplier", "bool", _put("sgm_noise_multiplier")),
    Axis("Refiner checkpoint", "text", _refiner, cost=1.0),
    Axis("Refiner switch at", "float", _put("refiner.switch_at")),
    Axis("RNG source", "text", _put("rng")),
    Axis("FP8 mode", "text", None, cost=0.9),
    Axis("Size", "text", _size),
)
"""A1111's axes; by a number the API means the place in this list (without the other tab's)."""


def _kind(knob: Knob) -> Kind:
    kinds: dict[type, Kind] = {bool: "bool", int: "int", float: "float"}
    return kinds.get(knob.kind, "text")


def _more_axes() -> list[Axis]:
    """Every parameter that is not in A1111's list, parts too."""
    taken = {axis.label.casefold() for axis in AXES}
    found: list[Axis] = []
    for part, model in {"": GenerationRequest, **PARTS}.items():
        for name, knob in knobs(model).items():
            label = knob.label if not part else f"{_PART_LABELS[part]}: {knob.label}"
            if knob.kind in (bool, int, float, str) and not knob.hidden and label.casefold() not in taken:
                taken.add(label.casefold())
                found.append(Axis(label, _kind(knob), _put(f"{part}.{name}" if part else name)))
    return found


_PART_LABELS = {"image": "Img2img", "inpaint": "Inpaint", "soft_inpaint": "Soft inpaint", "hires": "Hires",
                "refiner": "Refiner"}  # fmt: skip

_OWN_AXES: tuple[Axis, ...] = (*AXES, *_more_axes())
MORE_AXES: Registry[Axis] = Registry("axis", ())
"""Those that extensions add."""


def _option(name: str, field: str) -> Apply:
    """Sets an option of an extension, which is switched on by it."""

    def apply(request: GenerationRequest, value: Any) -> GenerationRequest:
        changed = {**request.extensions.get(name, {}), field: value}
        return request.replace(extensions={**request.extensions, **checked_options({name: changed})})

    return apply


def _option_axes() -> Iterator[Axis]:
    """The options of every extension."""
    for facts in EXTENSIONS:
        for field, knob in facts.knobs.items():
            if knob.kind in (bool, int, float, str) and not knob.hidden:
                yield Axis(f"{facts.label}: {knob.label}", _kind(knob), _option(facts.name, field))


def all_axes() -> tuple[Axis, ...]:
    """Everything that can be varied here."""
    return (*_OWN_AXES, *_option_axes(), *MORE_AXES)


def axis_labels() -> tuple[str, ...]:
    return tuple(axis.label for axis in all_axes())


def axes_of(tab: str) -> Sequence[Axis]:
    """A1111's list for a tab."""
    return [axis for axis in AXES if axis.tab in ("", tab)]


def find_axis(name: str, field: str) -> Axis:
    """The axis of that name in any case; raises UnknownName."""
    wanted = name.strip().casefold() or "nothing"
    for axis in all_axes():
        if axis.label.casefold() == wanted:
            return axis
    raise UnknownName("axis", name, axis_labels(), field)
