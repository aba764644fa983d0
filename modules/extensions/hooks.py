"""Every hook there is: the whole contract of extensions on one page. docs/extensions.md is made from it.

A hook is a function of the same name with `@hook` in an extension's file; it takes those of the arguments that it
names. The `register_...` hooks get a function to call with what is to be added, so that a clash is told and the rest
goes on. A stage takes a value and returns the value that is used from there on (None: the same); it is called only
for jobs whose request has the extension's options.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pluggy

from modules.extensions.values import (
    Call,
    Estimates,
    JobFacts,
    PassFacts,
    PictureFacts,
    Places,
    Prompts,
    SavedPicture,
)
from modules.schema.events import TrainStep
from modules.schema.extension_options import Options
from modules.schema.request import GenerationRequest

PROJECT = "webui"
hook = pluggy.HookimplMarker(PROJECT)
_spec = pluggy.HookspecMarker(PROJECT)

Tensor = Any
Register = Callable[..., None]


# Names


@_spec
def options() -> type[Options]:  # type: ignore[return]
    """The parameters: a class of knobs. They appear in the form, the API, the flags, the PNG text and X/Y/Z."""


@_spec
def register_samplers(register: Register) -> None:
    """`register(SamplerFacts(...), function)`; the function is a generator `(denoise, x, plan, noise)` of `Step`s.
    Where it needs torch itself, it is given in engine.py, and extension.py registers the facts alone."""


@_spec
def register_schedules(register: Register) -> None:
    """`register(ScheduleFacts(...), function)`; `function(n, lowest, highest)` gives n falling noise levels without
    the final 0."""


@_spec
def register_upscalers(register: Register) -> None:
    """`register("name", function)`; `function(picture, width, height)` gives the RGB picture at that size. Needed in
    extension.py (the name) and, where it needs torch, in engine.py (with the function)."""


@_spec
def register_captioners(register: Register) -> None:
    """`register("name", function)`; `function(picture)` gives the words for an RGB picture. It stands beside BLIP and
    the WD taggers in Interrogate, Extras and the captions of Train."""


@_spec
def register_families(register: Register) -> None:
    """`register(FamilyFacts(...), recognise)` in extension.py, `register(facts, recognise, record)` in engine.py.
    `recognise(shapes)` knows a checkpoint by its tensors' names and shapes; `record` is a `Family`."""


@_spec
def register_axes(register: Register) -> None:
    """`register(Axis(...))`: an axis of the X/Y/Z plot beyond the parameters, which are axes by themselves."""


@_spec
def register_scripts(register: Register) -> None:
    """`register(Script(...))`: one request that stands for many pictures. Its `function(base, options, draw)` calls
    `draw(request)` for pictures and returns those to show beside them (or None); it is run several times, so it
    has no effects of its own, and how many pictures it draws may not depend on what they show."""


# Stages before the job is queued, in the web process


@_spec
def request(request: GenerationRequest, options: Options, texts: dict[str, str]) -> GenerationRequest | None:
    """The request, with its seed drawn, to the request that is run. `texts` is written into the pictures."""


@_spec
def prompt(prompts: Prompts, options: Options, picture: PictureFacts, texts: dict[str, str]) -> Prompts | None:
    """The prompts of one picture of a job. What is drawn at random comes from `picture.seed`."""


# Stages of the drawing, in the engine process


@_spec
def model(model: Any, options: Options, facts: PassFacts) -> AbstractContextManager[Any]:  # type: ignore[return]
    """A context in which the loaded model is changed for a pass; leaving it undoes that."""


@_spec
def conditioning(words: Any, options: Options, facts: PassFacts) -> Any:
    """The encoded prompts (`Timeline`: `at(call)` gives the `Words` of a model call)."""


@_spec
def sigmas(sigmas: tuple[float, ...], options: Options, facts: PassFacts) -> tuple[float, ...] | None:
    """The falling noise levels of a pass, the last one 0; not of samplers that step through timesteps."""


@_spec
def start_latent(latent: Tensor, options: Options, facts: PassFacts) -> Tensor | None:
    """The latent [B,C,h,w] that the first step begins with."""


@_spec
def model_output(estimates: Estimates, options: Options, call: Call) -> Estimates | None:
    """What the model makes of each prompt, before guidance mixes them."""


@_spec
def denoised(denoised: Tensor, options: Options, call: Call) -> Tensor | None:
    """The guided estimate [B,C,h,w] of the clean latent; `call.estimates` is what guidance mixed."""


@_spec
def image(image: Any, options: Options, picture: PictureFacts) -> Any:
    """A finished picture (`PIL.Image`). From extension.py or engine.py in the engine process; from web.py in the web
    process, before it is saved."""


# The page and the server


@_spec
def register_tabs(register: Register) -> None:
    """`register("Title", build)`; `build()` adds Gradio components to the tab. In web.py."""


@_spec
def register_routes(register: Register) -> None:
    """`register(router)`: FastAPI routes below /api/v1/extensions/NAME/, behind the same access check. In web.py."""


# Events, in the web process


@_spec
def started(places: Places) -> None:
    """The program has started."""


@_spec
def job_started(job: JobFacts) -> None:
    """The engine has begun to work on a job."""


@_spec
def job_ended(job: JobFacts) -> None:
    """A job has ended; `job.ending` says how."""


@_spec
def image_saved(job: JobFacts, picture: SavedPicture) -> None:
    """A picture has been saved."""


@_spec
def training_step(job: JobFacts, step: TrainStep) -> None:
    """A training has got on; told as often as the page is."""


GROUPS: dict[str, tuple[Callable[..., Any], ...]] = {
    "Names": (
        options,
        register_samplers,
        register_schedules,
        register_upscalers,
        register_captioners,
        register_families,
        register_axes,
        register_scripts,
    ),
    "Stages before a job is queued": (request, prompt),
    "Stages of the drawing": (model, conditioning, sigmas, start_latent, model_output, denoised, image),
    "The page and the server": (register_tabs, register_routes),
    "Events": (started, job_started, job_ended, image_saved, training_step),
}
HOOKS: dict[str, Callable[..., Any]] = {one.__name__: one for group in GROUPS.values() for one in group}
AT_THE_DOOR = ("request", "prompt")
EVENTS = ("job_started", "job_ended", "image_saved", "training_step")
ENGINE_STAGES = tuple(one.__name__ for one in GROUPS["Stages of the drawing"])
