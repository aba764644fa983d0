"""One of A1111's scripts behind our own hooks: always on, or chosen from the menu."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any

from PIL import Image

from modules.extensions.a1111.components import Argument
from modules.extensions.a1111.processing import Processed, StableDiffusionProcessing, drawing
from modules.extensions.a1111.script import PostprocessImageArgs, Script
from modules.extensions.hooks import hook
from modules.extensions.values import Draw, JobFacts, PictureFacts, Prompts, SavedPicture
from modules.schema.extension_options import Options
from modules.schema.frozen import Frozen
from modules.schema.request import GenerationRequest
from modules.schema.scripts import ScriptRequest


class AlwaysOn:
    """A script that works on every job for which its switch is on. Its methods are called in A1111's order."""

    def __init__(self, name: str, script: Script, arguments: list[Argument]) -> None:
        self._name = name
        self._script = script
        self._arguments = arguments
        self._now: ContextVar[StableDiffusionProcessing | None] = ContextVar(f"p of {name}", default=None)
        self._saved: dict[str, list[SavedPicture]] = {}

    @hook
    def request(
        self, request: GenerationRequest, options: Options, texts: dict[str, str]
    ) -> GenerationRequest | None:
        """setup, before_process and process; what they change on `p` is the request from there on."""
        p, arguments = StableDiffusionProcessing(request), self._values(options)
        p.script_args = tuple(arguments)
        for method in ("setup", "before_process", "process"):
            _call(self._script, method, p, *arguments)
        changed = p.request
        if changed.image_count != request.image_count:
            _spread(p, changed)
        texts.update({str(key): str(value) for key, value in p.extra_generation_params.items()})
        self._now.set(p)
        return changed

    @hook
    def prompt(
        self, prompts: Prompts, options: Options, picture: PictureFacts, texts: dict[str, str]
    ) -> Prompts | None:
        """before_process_batch and process_batch, for the whole batch at its first picture."""
        p = self._now.get()
        if p is None or picture.index >= len(p.all_prompts):
            return None
        size = picture.request.batch_size
        if picture.index % size == 0:
            self._batch(p, self._values(options), picture.index // size, size)
            texts.update({str(key): str(value) for key, value in p.extra_generation_params.items()})
        base = picture.request
        mine = Prompts(p.all_prompts[picture.index], p.all_negative_prompts[picture.index])
        own = Prompts(
            mine.prompt if mine.prompt != base.prompt else prompts.prompt,
            mine.negative_prompt if mine.negative_prompt != base.negative_prompt else prompts.negative_prompt,
        )
        return own if own != prompts else None

    @hook
    def image(self, image: Image.Image, options: Options, picture: PictureFacts) -> Image.Image:
        """postprocess_image."""
        given = PostprocessImageArgs(image, picture.index)
        p = StableDiffusionProcessing(picture.request)
        _call(self._script, "postprocess_image", p, given, *self._values(options))
        return given.image

    @hook
    def image_saved(self, job: JobFacts, picture: SavedPicture) -> None:
        """Kept for `postprocess`."""
        if _own(self._script, "postprocess") and _options(job, self._name) is not None:
            self._saved.setdefault(job.id, []).append(picture)

    @hook
    def job_ended(self, job: JobFacts) -> None:
        """postprocess, with the pictures as they were saved."""
        pictures, options = self._saved.pop(job.id, []), _options(job, self._name)
        if not pictures or options is None:
            return
        p = StableDiffusionProcessing(_base(job.request))
        images = [_opened(one) for one in pictures if one.path is not None]
        texts = [one.infotext for one in pictures]
        done = Processed(p, images, p.seed, texts[0] if texts else "", texts, p.prompt, p.negative_prompt)
        _call(self._script, "postprocess", p, done, *self._values(options))

    def _batch(self, p: StableDiffusionProcessing, arguments: list[Any], number: int, size: int) -> None:
        part = slice(number * size, (number + 1) * size)
        p.iteration = number
        p.prompts, p.negative_prompts = p.all_prompts[part], p.all_negative_prompts[part]
        p.seeds, p.subseeds = p.all_seeds[part], p.all_subseeds[part]
        facts = {"batch_number": number, "prompts": p.prompts, "seeds": p.seeds, "subseeds": p.subseeds}
        for method in ("before_process_batch", "process_batch"):
            _call(self._script, method, p, *arguments, **facts)
        p.all_prompts[part], p.all_negative_prompts[part] = p.prompts, p.negative_prompts

    def _values(self, options: Any) -> list[Any]:
        return [argument.of(options) for argument in self._arguments]


def selected(
    script: Script, arguments: list[Argument]
) -> Callable[[GenerationRequest, Frozen, Draw], Iterable[Image.Image]]:
    """The function of a script from the menu: its `run`, whose `process_images` draws through the queue."""

    def run(base: GenerationRequest, options: Frozen, draw: Draw) -> list[Image.Image]:
        asked: list[Image.Image] = []

        def noted(request: GenerationRequest) -> list[Image.Image]:
            pictures = draw(request)
            asked.extend(pictures)
            return pictures

        p = StableDiffusionProcessing(base)
        with drawing(noted):
            done = script.run(p, *(argument.of(options) for argument in arguments))  # type: ignore[attr-defined]
        # What was drawn is shown as it is; of what it returns only the rest is new.
        return [picture for picture in getattr(done, "images", []) if not any(picture is one for one in asked)]

    return run


def _spread(p: StableDiffusionProcessing, request: GenerationRequest) -> None:
    """Lists for another number of pictures."""
    fresh = StableDiffusionProcessing(request)
    p.all_prompts, p.all_negative_prompts = fresh.all_prompts, fresh.all_negative_prompts
    p.all_seeds, p.all_subseeds = fresh.all_seeds, fresh.all_subseeds


def _own(script: Script, method: str) -> Callable[..., Any] | None:
    found = getattr(script, method, None)
    return found if callable(found) else None


def _call(script: Script, method: str, *arguments: Any, **named: Any) -> None:
    """Call a method where the script has it, with those of the named arguments that it takes."""
    function = _own(script, method)
    if function is not None:
        function(*arguments, **{name: value for name, value in named.items() if name in _named(type(script), method)})


@functools.cache
def _named(kind: type[Script], method: str) -> frozenset[str]:
    parameters = inspect.signature(getattr(kind, method)).parameters
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values()):
        return frozenset(("batch_number", "prompts", "seeds", "subseeds"))
    return frozenset(parameters)


def _base(request: Any) -> GenerationRequest:
    return request.base if isinstance(request, ScriptRequest) else request


def _options(job: JobFacts, name: str) -> Any:
    """The options of a script in a job, None where it is off or the job draws nothing."""
    base = _base(job.request)
    if not isinstance(base, GenerationRequest) or name not in base.extensions:
        return None
    return _Values(base.extensions[name])


class _Values:
    """Options as they lie in a request, by attribute."""

    def __init__(self, values: dict[str, Any]) -> None:
        vars(self).update(values)


def _opened(picture: SavedPicture) -> Image.Image:
    assert picture.path is not None
    with Image.open(picture.path) as file:
        return file.convert("RGB")
